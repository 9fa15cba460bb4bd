"""The world's rooms and streets with depth, normals and 15 groups of classes, rendered once into a cache; augmented on the device."""

train_dataloader = dict(
    batch_size=32,
    num_workers=2,
    dataset=dict(
        type="World",
        kind="mixed",
        style="mixed",
        seeds=(0, 3999),
        views_per_scene=3,
        size=(240, 320),
        truth=("depth", "normals", "semantic", "instance"),
        labels="groups",
        cache="work_dirs/world",
    ),
)
val_dataloader = dict(
    batch_size=16,
    num_workers=1,
    dataset=dict(
        type="World",
        kind="mixed",
        style="plausible",
        seeds=(900000, 900159),
        views_per_scene=1,
        size=(240, 320),
        truth=("depth", "normals", "semantic", "instance"),
        labels="groups",
        cache="work_dirs/world",
    ),
)
test_dataloader = val_dataloader
val_evaluator = [
    dict(type="DepthEvaluator", protocol="world", alignments=["none", "median"], baselines=False),
    dict(type="NormalsEvaluator"),
    dict(type="SemanticEvaluator", num_classes=15),
]
test_evaluator = [
    dict(type="DepthEvaluator", protocol="world", alignments=["none", "median", "affine-log", "affine-disparity"]),
    dict(type="NormalsEvaluator"),
    dict(type="SemanticEvaluator", num_classes=15),
]
batch_transform = [
    dict(type="RandomHorizontalFlip"),
    dict(type="RandomZoomCrop", size=(192, 256), zoom=(0.8, 1.8), aspect=0.15),
    dict(type="RandomColour"),
    dict(type="RandomBlur"),
    dict(type="RandomNoise"),
]
