"""As polymax_world_tiny, with panoptic segments: each person, vehicle and piece of furniture by itself. Starts from the bundled polymax-world-tiny."""

_base_ = ["./polymax_world_tiny.py"]
bundled = "polymax-panoptic-world-tiny"

model = dict(
    tasks=("depth", "normals", "panoptic"),
    thing_classes=(6, 7, 8, 13, 14),
    criterion=dict(samples=512),
    loss_weights={"class": 1.0, "dice": 1.0, "mask": 0.3, "instance": 0.1},
    thresholds=dict(thing=0.5, stuff=0.4),
)
load_from = "polymax-world-tiny"
load_partly = True
train_cfg = dict(max_iters=2800, val_interval=700)
test_evaluator = [
    dict(type="DepthEvaluator", protocol="world", alignments=["none", "median", "affine-log", "affine-disparity"]),
    dict(type="NormalsEvaluator"),
    dict(type="SemanticEvaluator", num_classes=15),
    dict(type="PanopticEvaluator", things=(6, 7, 8, 13, 14), stuff=(0, 1, 2, 3, 4, 5, 9, 10, 11, 12)),
]
publish = dict(
    about=dict(title="Depth, normals and panoptic segments of a photo: PolyMaX, trained on the procedural world")
)
