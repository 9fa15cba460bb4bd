"""MonoDETR as released: ResNet-50 from ImageNet, 384 x 1280, cars of KITTI, batch 16, 195 epochs (one large GPU)."""

_base_ = ["../_base_/runtime.py", "../_base_/data/kitti_mono3d.py", "../_base_/schedules/monodetr.py"]

seed = 444
ema = None
non_finite = "skip"  # one bad step must not end a run of days
model = dict(
    type="MonoDETR",
    backbone="resnet50",
    pretrained=True,
    classes=("Pedestrian", "Car", "Cyclist"),
    image_size=(384, 1280),
    num_queries=50,
    query_groups=11,
    depth_bins=80,
    depth_range=(1e-3, 60.0),
)
publish = dict(
    about=dict(
        title="3D boxes from one picture, MonoDETR ResNet-50 on KITTI",
        licence="Apache-2.0; KITTI's pictures are CC BY-NC-SA",
        tasks=["boxes3d"],
    )
)
