"""SPIdepth on the world's driving videos, 3 M parameters (and 1.5 M of pose network), made for two CPU cores: depth of a street up to scale, learned without labels."""

_base_ = ["../_base_/runtime.py", "../_base_/data/world_video.py", "../_base_/schedules/adamw_cosine.py"]

model = dict(
    type="SPIdepth",
    backbone=dict(name="resnet10t", model_args=dict(channels=(32, 64, 128, 256), stem_width=16)),
    size=(96, 320),
    dim=32,
    channels=(128, 64, 48, 32),
    patch=12,
    queries=32,
    bins=48,
    min_depth=0.1,
    max_depth=100.0,
    ffn_dim=256,
    dropout=0.0,
    pose_backbone=dict(name="resnet10t", model_args=dict(channels=(16, 32, 64, 128), stem_width=16)),
)
train_cfg = dict(max_iters=8000, val_interval=2000)
optim_wrapper = dict(optimizer=dict(lr=3e-4, weight_decay=0.01), clip_grad=dict(max_norm=5.0))
channels_last = True
publish = dict(
    about=dict(
        title="Depth of a street up to scale: SPIdepth, learned from videos of the procedural world",
        licence="Apache-2.0",
        tasks=["depth"],
        card="models/spidepth/README.md",
    )
)
