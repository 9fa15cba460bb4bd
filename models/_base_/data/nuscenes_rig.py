"""nuScenes key frames, six pictures of 256 x 704, five radars with 8 sweeps, depth from the LiDAR (datasets/nuscenes/README.md)."""

_common = dict(
    type="NuScenes",
    root="data/nuscenes",
    version="v1.0-trainval",
    radar_sweeps=8,
    radar_keep="crn",
    size=(256, 704),
    fit="bottom",
)
train_dataloader = dict(
    batch_size=8,
    num_workers=8,
    dataset=dict(split="train", depth=True, min_points=1, **_common),
)
val_dataloader = dict(batch_size=4, num_workers=4, dataset=dict(split="val", **_common))
test_dataloader = val_dataloader
val_evaluator = [dict(type="NuScenesDetectionEvaluator", name="nuscenes")]
test_evaluator = val_evaluator
batch_transform = [
    dict(type="RigPhotometric", strength=0.2),
    dict(type="RigImageFlip", p=0.5),
    dict(type="RigBevAugment", rotation=22.5, scale=(0.9, 1.1)),
    dict(type="RadarDropout", cloud=0.05, points=0.2),
]
