"""CroCo for stereo on the world's pairs, made for two CPU cores. Better started from completion: model.pretrained=work_dirs/croco_completion_world_tiny/export."""

_base_ = ["../_base_/runtime.py", "../_base_/data/world_stereo.py", "../_base_/schedules/adamw_cosine.py"]

model = dict(
    type="CroCo",
    size=dict(enc_dim=192, enc_depth=6, enc_heads=3, dec_dim=128, dec_depth=4, dec_heads=4),
    task="stereo",
    tile=(96, 192),
    layer_dims=(32, 48, 64, 96),
    features=48,
    head_dims=(32, 16),
    criterion="laplacian-bounded-log",
)
train_cfg = dict(max_iters=20000, val_interval=4000)
optim_wrapper = dict(optimizer=dict(lr=4e-4, weight_decay=0.05), clip_grad=dict(max_norm=1.0))
publish = dict(
    about=dict(
        title="Disparity of a stereo pair: CroCo, trained on the procedural world",
        licence="Apache-2.0",
        tasks=["disparity"],
        card="models/croco/README.md",
    )
)
