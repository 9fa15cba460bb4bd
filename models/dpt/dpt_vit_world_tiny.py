"""DPT on a small plain vision transformer with registers, on the procedural world: what token clustering is tried on."""

_base_ = ["./dpt_world_tiny.py"]

model = dict(
    backbone=dict(
        _delete_=True,
        name="vit_tiny_patch16_224",
        model_args=dict(embed_dim=192, depth=8, num_heads=3, reg_tokens=4, img_size=192),
    ),
    preprocess=dict(pixels=24576),
)
optim_wrapper = dict(
    optimizer=dict(_delete_=True, type="AdamW", lr=1e-3, betas=(0.9, 0.999), weight_decay=0.03),
)
