"""The world's streets at 192 x 640 with persons, cars and bicycles as KITTI's three classes, rendered once into a cache."""

train_dataloader = dict(
    batch_size=16,
    num_workers=2,
    dataset=dict(
        type="World",
        kind="street",
        style="mixed",
        seeds=(0, 2999),
        views_per_scene=3,
        size=(192, 640),
        truth=("boxes",),
        box_classes=("person", "car", "bicycle"),
        min_visibility=0.3,
        max_distance=65.0,
        cache="work_dirs/world_mono3d",
    ),
)
val_dataloader = dict(
    batch_size=16,
    num_workers=1,
    dataset=dict(
        type="World",
        kind="street",
        style="plausible",
        seeds=(900000, 900199),
        views_per_scene=2,
        size=(192, 640),
        truth=("boxes",),
        box_classes=("person", "car", "bicycle"),
        max_distance=65.0,
        cache="work_dirs/world_mono3d",
    ),
)
test_dataloader = val_dataloader
val_evaluator = [dict(type="KittiEvaluator")]
test_evaluator = val_evaluator
batch_transform = [
    dict(type="Mono3DFilter", min_height=12, max_truncation=0.5, max_occlusion=2),
    dict(type="Mono3DPhotometric", strength=0.6, permute=False),
    dict(type="Mono3DAugment", flip=0.5, crop=0.5, scale=0.1, shift=0.05),
]
