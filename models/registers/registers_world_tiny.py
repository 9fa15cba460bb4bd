"""PH-Reg on the procedural world with a tiny vision transformer: shows that the recipe runs. For use, name a trained teacher."""

_base_ = ["../_base_/runtime.py", "../_base_/schedules/adamw_cosine.py"]

model = dict(
    type="RegisterDistillation",
    backbone="vit_tiny_patch16_224",
    model_args=dict(embed_dim=96, depth=4, num_heads=3),
    registers=4,
    views=4,
)
train_dataloader = dict(
    batch_size=8,
    num_workers=0,
    dataset=dict(
        type="World",
        kind="room",
        seeds=(10000, 10063),
        style="mixed",
        views_per_scene=4,
        size=(144, 192),
        truth=("depth",),
        cache="work_dirs/world",
    ),
)
train_cfg = dict(max_iters=500, val_interval=500)
optim_wrapper = dict(optimizer=dict(lr=5e-4))
