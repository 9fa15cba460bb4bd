"""Stanford2D3D panoramas, areas 1, 2, 3, 4, 6 against area 5, 512 x 1024, range up to 8 m; flips and any turn (released: quarter turns)."""

train_dataloader = dict(
    batch_size=8,
    num_workers=4,
    dataset=dict(
        type="Stanford2D3D", root="data/stanford2d3d", split="train", size=(512, 1024), min_depth=0.1, max_depth=8.0
    ),
)
val_dataloader = dict(
    batch_size=2,
    num_workers=2,
    dataset=dict(type="Stanford2D3D", root="data/stanford2d3d", split="test", size=(512, 1024)),
)
test_dataloader = val_dataloader
val_evaluator = [dict(type="DepthEvaluator", protocol="omnifusion", baselines=False)]
test_evaluator = [dict(type="DepthEvaluator", protocol="omnifusion")]
batch_transform = [dict(type="RandomHorizontalFlip"), dict(type="RandomPanoramaRoll")]
