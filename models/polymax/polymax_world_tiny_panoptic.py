"""As polymax_world_tiny, with panoptic segments: each person, vehicle and piece of furniture by itself. Needs the world's instances, a cache of its own."""

_base_ = ["./polymax_world_tiny.py"]

_panoptic = dict(
    type="World",
    size=(144, 192),
    truth=("depth", "normals", "semantic", "instance"),
    labels="groups",
    cache="work_dirs/world",
)
model = dict(
    tasks=("depth", "normals", "panoptic"),
    thing_classes=(6, 7, 8, 13, 14),
    criterion=dict(samples=512),
    loss_weights={"class": 1.0, "dice": 1.0, "mask": 0.3, "instance": 0.1},
    thresholds=dict(thing=0.5, stuff=0.4),
)
train_dataloader = dict(
    dataset=dict(
        datasets=[
            dict(kind="room", seeds=(10000, 11999), style="mixed", views_per_scene=3, **_panoptic),
            dict(kind="street", seeds=(20000, 20999), style="mixed", views_per_scene=5, **_panoptic),
        ],
    ),
)
val_dataloader = dict(
    dataset=dict(
        datasets=[
            dict(kind="room", seeds=(900000, 900079), style="plausible", views_per_scene=1, **_panoptic),
            dict(kind="street", seeds=(910000, 910079), style="plausible", views_per_scene=1, **_panoptic),
        ],
    ),
)
test_dataloader = val_dataloader
test_evaluator = [
    dict(type="DepthEvaluator", protocol="world", alignments=["none", "median", "affine-log", "affine-disparity"]),
    dict(type="NormalsEvaluator"),
    dict(type="SemanticEvaluator", num_classes=15),
    dict(type="PanopticEvaluator", things=(6, 7, 8, 13, 14), stuff=(0, 1, 2, 3, 4, 5, 9, 10, 11, 12)),
]
publish = dict(
    about=dict(title="Depth, normals and panoptic segments of a photo: PolyMaX, trained on the procedural world")
)
