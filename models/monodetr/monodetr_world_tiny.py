"""MonoDETR on the world's streets, 96 x 320, any lens: trained on one CPU thread, no download. It starts from the backbone of the bundled dense model."""

_base_ = ["../_base_/runtime.py", "../_base_/data/world_mono3d.py", "../_base_/schedules/adamw_cosine.py"]

model = dict(
    type="MonoDETR",
    backbone=dict(name="resnet10t", model_args=dict(channels=(32, 64, 128, 256), stem_width=16)),
    pretrained="dpt-world-tiny",
    classes=("Pedestrian", "Car", "Cyclist"),
    image_size=(96, 320),
    strides=(4, 8, 16, 32),
    top_down=True,
    dim=96,
    heads=4,
    ffn_dim=256,
    encoder_layers=1,
    decoder_layers=2,
    dropout=0.0,
    num_queries=30,
    query_groups=2,
    query_start="peaks",
    depth_bins=48,
    depth_range=(1e-3, 65.0),
    virtual_focal=185.0,
)
train_dataloader = dict(batch_size=8)
train_cfg = dict(max_iters=6000, val_interval=2000)
optim_wrapper = dict(
    optimizer=dict(lr=5e-4, weight_decay=1e-4),
    clip_grad=dict(max_norm=10.0),
)
publish = dict(
    about=dict(
        title="3D boxes from one street picture, small MonoDETR trained on the procedural world",
        licence="Apache-2.0",
        tasks=["boxes3d"],
        card="models/monodetr/README.md",
    )
)
