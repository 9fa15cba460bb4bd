"""SQLdepth with ResNet-50 at 320 x 1024, as SPIdepth's repository configures it: 128 queries and bins, patches of 20, Adam 1e-4, 25 epochs, a tenth after 15."""

_base_ = ["../_base_/runtime.py", "../_base_/data/kitti_video.py"]

ema = None
model = dict(
    type="SPIdepth",
    backbone="resnet50",
    encoder="resnet",
    pretrained=True,
    width=256,
    size=(320, 1024),
    dim=32,
    patch=20,
    queries=128,
    bins=128,
    min_depth=0.01,
    max_depth=80.0,
    ffn_dim=512,
    flip_average=True,
    metres_per_unit=1.0,  # the other camera is given in metres
)
train_dataloader = dict(batch_size=16)
train_cfg = dict(max_epochs=25, val_interval=2000)
optim_wrapper = dict(optimizer=dict(type="Adam", lr=1e-4))
param_scheduler = [dict(type="WarmupStepLR", milestones=[0.6])]
publish = dict(
    about=dict(
        title="Depth of a street learned from video and stereo, SQLdepth ResNet-50 on KITTI",
        licence="Apache-2.0; KITTI's pictures are CC BY-NC-SA",
        tasks=["depth"],
        card="models/spidepth/README.md",
    )
)
