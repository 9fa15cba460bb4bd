"""PolyMaX on the procedural world, 1.7 M parameters: depth, normals and 15 groups of classes by clusters.

Trunk, data and augmentation are those of models/dpt/dpt_world_tiny.py; an iteration costs 1.3 times as much. The optimiser is AdamW, which that recipe
had when the two were compared; Muon has not been tried here.
"""

_base_ = ["../_base_/runtime.py", "../_base_/data/world_dense.py", "../_base_/schedules/adamw_cosine.py"]
bundled = "polymax-world-tiny"

model = dict(
    type="PolyMaX",
    backbone=dict(name="resnet10t", model_args=dict(channels=(32, 64, 128, 256), stem_width=16)),
    tasks=("depth", "normals", "semantic"),
    depth_space="canonical",
    out_stride=2,
    mask_channels=32,
    mask_gain=1.0,
    norm_momentum=0.1,
    pixel_decoder=dict(widths=(24, 16, 12, 8), blocks=(1, 1, 1, 1), heads=4),
    decoder=dict(channels=64, num_queries=48, layers=(1, 1, 1), ffn_channels=128, heads=4),
    preprocess=dict(pixels=24576, multiple=32),
)
train_cfg = dict(max_iters=8000, val_interval=2000)
optim_wrapper = dict(optimizer=dict(lr=3e-3))
channels_last = True
publish = dict(
    about=dict(
        title="Depth, normals and classes of a photo: PolyMaX, trained on the procedural world",
        licence="Apache-2.0",
        tasks=["depth", "normals", "segmentation"],
        card="models/polymax/README.md",
    )
)
