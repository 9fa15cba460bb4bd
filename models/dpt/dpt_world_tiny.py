"""DPT on the procedural world, 1.7 M parameters, made for two CPU cores: depth, normals and 15 groups of classes of any photo."""

_base_ = ["../_base_/runtime.py", "../_base_/schedules/adamw_cosine.py"]

model = dict(
    type="DPT",
    backbone=dict(name="resnet10t", model_args=dict(channels=(32, 64, 128, 256), stem_width=16)),
    tasks=("depth", "normals", "semantic"),
    num_classes=15,
    class_names=[
        "sky",
        "road",
        "ground",
        "building",
        "vegetation",
        "pole_sign",
        "person",
        "vehicle",
        "two_wheeler",
        "floor",
        "wall",
        "ceiling",
        "opening",
        "furniture",
        "clutter",
    ],
    sky_class=0,
    channels=(32, 48, 64, 96),
    head_channels=16,
    detail_channels=8,
    preprocess=dict(pixels=24576, multiple=32),
)
_world = dict(
    type="World",
    size=(144, 192),
    truth=("depth", "normals", "semantic"),
    labels="groups",
    cache="work_dirs/world",
)
train_dataloader = dict(
    batch_size=16,
    num_workers=0,
    dataset=dict(
        type="Concat",
        datasets=[
            dict(kind="room", seeds=(10000, 11999), style="mixed", views_per_scene=3, **_world),
            dict(kind="street", seeds=(20000, 20999), style="mixed", views_per_scene=5, **_world),
        ],
    ),
)
val_dataloader = dict(
    batch_size=16,
    num_workers=0,
    dataset=dict(
        type="Concat",
        datasets=[
            dict(kind="room", seeds=(900000, 900079), style="plausible", views_per_scene=1, **_world),
            dict(kind="street", seeds=(910000, 910079), style="plausible", views_per_scene=1, **_world),
        ],
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
    dict(type="RandomZoomCrop", size=(96, 128), zoom=(0.8, 1.6), aspect=0.15),
    dict(type="RandomColour"),
    dict(type="RandomBlur"),
    dict(type="RandomNoise"),
]
train_cfg = dict(max_iters=8000, val_interval=2000)
optim_wrapper = dict(optimizer=dict(lr=3e-3))
channels_last = True
publish = dict(
    about=dict(
        title="Depth, normals and classes of a photo: DPT, trained on the procedural world",
        licence="Apache-2.0",
        tasks=["depth", "normals", "segmentation"],
        default=True,
        card="models/dpt/README.md",
    )
)
