"""MonoDINO-DETR as published: Depth Anything V2 Base, frozen, pictures squashed to 518 x 518; batch 32 over 4 GPUs.

It starts from Depth Anything V2's own weights: put ``depth_anything_v2_vitb.pth`` where `pretrained` says (see README.md).
"""

_base_ = ["../_base_/runtime.py", "../_base_/data/kitti_mono3d.py", "../_base_/schedules/monodetr.py"]

seed = 444
ema = None
non_finite = "skip"  # one bad step must not end a run of days
model = dict(
    type="MonoDINODETR",
    encoder="vitb",
    pretrained="weights/depth_anything_v2_vitb.pth",
    vit_size=(518, 518),
    classes=("Pedestrian", "Car", "Cyclist"),
    num_logits=4,
    image_size=(384, 1280),
    num_queries=50,
    query_groups=11,
)
train_dataloader = dict(batch_size=8)
