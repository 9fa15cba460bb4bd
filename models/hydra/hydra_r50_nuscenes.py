"""HyDRa with ResNet-50 at 256 x 704 on nuScenes, cameras and radars, one frame: 20 epochs, batch 64 over 8 GPUs.

The paper's schedule is not published; this follows its ancestors (FB-BEV, CRN).
"""

_base_ = ["../_base_/runtime.py", "../_base_/data/nuscenes_rig.py", "../_base_/schedules/adamw_cosine.py"]

model = dict(
    type="HyDRa",
    backbone="resnet50",
    pretrained=True,
    backbone_strides=(8, 16, 32),
    image_size=(256, 704),
    feature_stride=16,
    depth=(2.0, 58.0, 0.5),
    bev=dict(x=(-51.2, 51.2, 0.8), y=(-51.2, 51.2, 0.8)),
    radar_depth=(2.0, 58.0, 0.8),
    backward_options=dict(heads=8, points=8, anchors=4),
    widths=dict(image=256, mid=256, context=80, radar=64, bev=80, encoder=(160, 320, 640), blocks=2, out=256),
)
train_cfg = dict(max_epochs=20, val_interval=2200)
optim_wrapper = dict(optimizer=dict(lr=2e-4, weight_decay=1e-2), clip_grad=dict(max_norm=5.0))
amp = "bfloat16"
