"""The world's streets around a vehicle: six pictures of 64 x 176, five radars, exact depth and occupancy, rendered once into a cache."""

train_dataloader = dict(
    batch_size=4,
    num_workers=0,
    dataset=dict(
        type="WorldRig",
        seeds=(0, 399),
        frames=4,
        size=(64, 176),
        occupancy=dict(lower=(-40.0, -40.0, -1.0), voxel=0.8, shape=(100, 100, 8)),
        cache="work_dirs/world_rig",
    ),
)
val_dataloader = dict(
    batch_size=4,
    num_workers=0,
    dataset=dict(
        type="WorldRig",
        seeds=(900000, 900039),
        frames=4,
        size=(64, 176),
        occupancy=dict(lower=(-40.0, -40.0, -1.0), voxel=0.8, shape=(100, 100, 8)),
        cache="work_dirs/world_rig",
    ),
)
test_dataloader = val_dataloader
val_evaluator = [dict(type="NuScenesDetectionEvaluator", name="nuscenes"), dict(type="OccupancyEvaluator")]
test_evaluator = [
    dict(type="NuScenesDetectionEvaluator", name="nuscenes"),
    dict(type="OccupancyEvaluator"),
    dict(type="NuScenesTrackingEvaluator", name="tracking", tracker={}),
]
batch_transform = [
    dict(type="RigPhotometric", strength=0.3),
    dict(type="RigImageFlip", p=0.5),
    dict(type="RigBevAugment", rotation=22.5, scale=(0.95, 1.05)),
    dict(type="RadarDropout", cloud=0.1, points=0.2),
]
