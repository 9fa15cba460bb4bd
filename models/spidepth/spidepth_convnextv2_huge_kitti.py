"""SPIdepth as published: ConvNeXt V2 huge from ImageNet, 320 x 1024, KITTI's videos and stereo pairs, Adam 4e-5, 20 epochs, a tenth after 10."""

_base_ = ["../_base_/runtime.py", "../_base_/data/kitti_video.py"]

ema = None
model = dict(
    type="SPIdepth",
    backbone="convnextv2_huge.fcmae_ft_in22k_in1k_384",
    pretrained=True,
    size=(320, 1024),
    dim=32,
    channels=(1024, 512, 256, 128),
    patch=32,
    queries=64,
    bins=64,
    min_depth=0.001,
    max_depth=80.0,
    flip_average=True,
    metres_per_unit=1.0,  # the other camera is given in metres
)
train_cfg = dict(max_epochs=20, val_interval=5000)
optim_wrapper = dict(optimizer=dict(type="Adam", lr=4e-5))
param_scheduler = [dict(type="WarmupStepLR", milestones=[0.5])]
publish = dict(
    about=dict(
        title="Depth of a street learned from video and stereo, SPIdepth ConvNeXt V2 huge on KITTI",
        licence="Apache-2.0; KITTI's pictures are CC BY-NC-SA",
        tasks=["depth"],
        card="models/spidepth/README.md",
    )
)
