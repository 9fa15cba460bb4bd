"""Depth and motion from short panoramic videos of the world's rooms, without labels; truth is used to measure only."""

_base_ = ["../_base_/runtime.py", "../_base_/schedules/adamw_cosine.py"]

model = dict(
    type="Video360",
    size=(96, 192),
    face=64,
    widths=(24, 48, 96, 128, 128),
    scales=3,
    near=0.05,
    far=20.0,
    latitude=True,
    pose_widths=(16, 32, 64, 96, 96),
    pose_scale=0.1,
    pose_flow=True,
    photometric="plain",
    convention="consistent",
    loss_weights=dict(explain=0.3),
)
_video = dict(type="WorldPanoramaVideo", kind="room", size=(96, 192), cache="work_dirs/video360")
train_dataloader = dict(
    batch_size=4, num_workers=0, dataset=dict(seeds=(60000, 60399), views_per_scene=4, style="mixed", **_video)
)
val_dataloader = dict(batch_size=4, num_workers=0, dataset=dict(seeds=(940000, 940047), style="plausible", **_video))
test_dataloader = val_dataloader
val_evaluator = [
    dict(type="DepthEvaluator", protocol="clean", alignments=["median"], baselines=False),
    dict(type="MotionEvaluator"),
]
test_evaluator = [
    dict(type="DepthEvaluator", protocol="clean", alignments=["median", "none"]),
    dict(type="MotionEvaluator"),
]
batch_transform = [dict(type="RandomPanoramaRoll")]
train_cfg = dict(max_iters=6000, val_interval=2000)
optim_wrapper = dict(optimizer=dict(lr=1e-3, weight_decay=0.0), clip_grad=dict(max_norm=5.0))
publish = dict(
    about=dict(
        title="Depth of a panorama learned from video without labels, trained on the procedural world",
        licence="Apache-2.0",
        tasks=["depth", "panorama"],
        card="models/video360/README.md",
    )
)
