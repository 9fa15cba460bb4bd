"""Cross-view completion on the world's pairs: pre-training of the networks of croco_stereo_world_tiny and croco_flow_world_tiny; no labels."""

_base_ = ["../_base_/runtime.py", "../_base_/schedules/adamw_cosine.py"]

model = dict(
    type="CroCoCompletion",
    size=dict(enc_dim=192, enc_depth=6, enc_heads=3, dec_dim=128, dec_depth=4, dec_heads=4),
    image_size=(96, 192),
    mask_ratio=0.85,  # 72 patches only: 0.9 of the published 196 leaves 19 to see, this leaves 11
)
_pairs = dict(type="WorldPairs", task="stereo", size=(96, 192), cache="work_dirs/world_pairs")
train_dataloader = dict(
    batch_size=16,
    num_workers=0,
    dataset=dict(
        type="Concat",
        datasets=[
            dict(kind="room", seeds=(80000, 80999), style="mixed", views_per_scene=3, **_pairs),
            dict(kind="street", seeds=(90000, 90499), style="mixed", views_per_scene=4, **_pairs),
        ],
    ),
)
batch_transform = [dict(type="RandomFramesColour", apart=0.2)]
train_cfg = dict(max_iters=20000, val_interval=20000)
optim_wrapper = dict(optimizer=dict(lr=6e-4, betas=(0.9, 0.95), weight_decay=0.05), clip_grad=dict(max_norm=1.0))
publish = dict(
    about=dict(
        title="Cross-view completion, trained on the procedural world",
        licence="Apache-2.0",
        tasks=["completion"],
        card="models/croco/README.md",
    )
)
