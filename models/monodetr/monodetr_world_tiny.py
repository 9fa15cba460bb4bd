"""MonoDETR on the world's streets, 6 M parameters, 192 x 640, any lens: trained from scratch on a CPU, no download."""

_base_ = ["../_base_/runtime.py", "../_base_/data/world_mono3d.py", "../_base_/schedules/adamw_cosine.py"]

model = dict(
    type="MonoDETR",
    backbone=dict(name="resnet18d", model_args=dict(channels=(48, 96, 160, 256), stem_width=24)),
    classes=("Pedestrian", "Car", "Cyclist"),
    image_size=(192, 640),
    dim=128,
    ffn_dim=256,
    encoder_layers=1,
    decoder_layers=2,
    dropout=0.0,
    num_queries=30,
    query_groups=6,
    depth_bins=48,
    depth_range=(1e-3, 65.0),
    virtual_focal=370.0,
)
train_cfg = dict(max_iters=12000, val_interval=2000)
optim_wrapper = dict(
    optimizer=dict(lr=6e-4, weight_decay=1e-4),
    clip_grad=dict(max_norm=10.0),
)
publish = dict(
    about=dict(
        title="3D boxes from one street picture, small MonoDETR trained on the procedural world",
        licence="Apache-2.0",
        tasks=["boxes3d"],
    )
)
