"""kMaX-DeepLab and PolyMaX: dense prediction by clusters of pixels."""
