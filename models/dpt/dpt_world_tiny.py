"""DPT on the procedural world, 1.7 M parameters, made for two CPU cores: depth, normals and 15 groups of classes of any photo."""

_base_ = ["../_base_/runtime.py", "../_base_/data/world_dense.py", "../_base_/schedules/muon_cosine.py"]

model = dict(
    type="DPT",
    backbone=dict(name="resnet10t", model_args=dict(channels=(32, 64, 128, 256), stem_width=16)),
    tasks=("depth", "normals", "semantic"),
    channels=(32, 48, 64, 96),
    head_channels=16,
    detail_channels=8,
    preprocess=dict(pixels=32768, multiple=32),
)
train_cfg = dict(max_iters=8000, val_interval=2000)
channels_last = True
bundled = "dpt-world-tiny"
publish = dict(
    about=dict(
        title="Depth, normals and classes of a photo: DPT, trained on the procedural world",
        licence="Apache-2.0",
        tasks=["depth", "normals", "segmentation"],
        default=True,
        card="models/dpt/README.md",
    )
)
