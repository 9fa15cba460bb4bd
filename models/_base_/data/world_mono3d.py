"""The world's streets as a driver sees them, 96 x 320 with 65 to 93 degrees, and KITTI's three classes; rendered once into a cache.

Difficulties count in pixels of these pictures, as the protocol does for its own: 25 pixels ("moderate") are a car 11 m away, not 43 m as on KITTI. The
test evaluates the same detections a second time with heights as they would be at KITTI's 1242 x 375.
"""

_world = dict(
    type="World",
    kind="street",
    viewpoint="driver",
    size=(96, 320),
    degrees=(50.0, 68.0),
    truth=("boxes",),
    box_classes="kitti",
    cache="work_dirs/world_mono3d",
)
train_dataloader = dict(
    batch_size=16,
    num_workers=0,
    dataset=dict(
        seeds=(30000, 30399), views_per_scene=8, style="mixed", min_visibility=0.25, max_distance=65.0, **_world
    ),
)
val_dataloader = dict(
    batch_size=16,
    num_workers=0,
    dataset=dict(seeds=(930000, 930059), views_per_scene=4, style="plausible", **_world),
)
test_dataloader = val_dataloader
val_evaluator = [dict(type="KittiEvaluator", classes=("Pedestrian", "Car", "Cyclist"))]
test_evaluator = [
    dict(type="KittiEvaluator", classes=("Pedestrian", "Car", "Cyclist")),
    dict(type="KittiEvaluator", name="kitti_pixels", classes=("Pedestrian", "Car", "Cyclist"), pixel_scale=3.88),
]
batch_transform = [
    dict(type="Mono3DFilter", min_height=5, max_truncation=0.7, max_occlusion=2),
    dict(type="Mono3DPhotometric", strength=0.6, permute=False),
    dict(type="Mono3DAugment", flip=0.5, crop=0.5, scale=0.1, shift=0.05),
]
