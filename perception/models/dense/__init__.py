"""What dense models (depth, normals, semantics of one picture) share: cameras, canonical depth, losses, preprocessing, results."""
