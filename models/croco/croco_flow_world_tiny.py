"""CroCo for optical flow on the world's drives, made for two CPU cores."""

_base_ = ["../_base_/runtime.py", "../_base_/schedules/adamw_cosine.py"]

model = dict(
    type="CroCo",
    size=dict(enc_dim=192, enc_depth=6, enc_heads=3, dec_dim=128, dec_depth=4, dec_heads=4),
    task="flow",
    tile=(96, 192),
    layer_dims=(32, 48, 64, 96),
    features=48,
    head_dims=(32, 16),
)
_pairs = dict(type="WorldPairs", task="flow", kind="street", size=(96, 192), cache="work_dirs/world_pairs")
train_dataloader = dict(
    batch_size=8, num_workers=0, dataset=dict(seeds=(90000, 90999), style="mixed", views_per_scene=4, **_pairs)
)
val_dataloader = dict(batch_size=8, num_workers=0, dataset=dict(seeds=(970000, 970079), views_per_scene=1, **_pairs))
test_dataloader = val_dataloader
val_evaluator = [dict(type="FlowEvaluator")]
test_evaluator = [dict(type="FlowEvaluator")]
batch_transform = [dict(type="RandomFramesFlip"), dict(type="RandomFramesColour", apart=0.2)]
train_cfg = dict(max_iters=20000, val_interval=4000)
optim_wrapper = dict(optimizer=dict(lr=4e-4, weight_decay=0.05), clip_grad=dict(max_norm=1.0))
publish = dict(
    about=dict(
        title="Optical flow of two frames: CroCo, trained on the procedural world",
        licence="Apache-2.0",
        tasks=["flow"],
        card="models/croco/README.md",
    )
)
