"""DPT on the world, 4.3 M parameters: depth, normals and 15 classes of any photo. The baseline of polymax_world_tiny."""

_base_ = ["../_base_/runtime.py", "../_base_/data/world_dense.py", "../_base_/schedules/adamw_cosine.py"]

model = dict(
    type="DPT",
    backbone=dict(name="resnet18d", model_args=dict(channels=(48, 96, 160, 256), stem_width=24)),
    tasks=("depth", "normals", "semantic"),
    num_classes=15,
    class_names=(
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
    ),
    sky_class=0,
    channels=(64, 80, 96, 128),
    head_channels=32,
    detail_channels=16,
    preprocess=dict(pixels=49152, multiple=32),
)
train_cfg = dict(max_iters=20000, val_interval=2000)
optim_wrapper = dict(optimizer=dict(lr=2e-3))
publish = dict(
    about=dict(
        title="Depth, normals and classes of a photo, DPT trained on the procedural world",
        licence="Apache-2.0",
        tasks=["depth", "normals", "segmentation"],
    )
)
