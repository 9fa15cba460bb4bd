"""kMaX-DeepLab with ResNet-50 on ADE20K panoptic, after the PyTorch port (arXiv 2207.04044).

Without the published copy-paste augmentation.
"""

_base_ = ["../_base_/runtime.py", "../_base_/data/ade20k_panoptic.py", "../_base_/schedules/adamw_kmax.py"]

model = dict(
    type="KMaXDeepLab",
    backbone=dict(type="BottleneckResNet", depth=50, pretrained="resnet50.a1_in1k"),
    variant="torch",
    thresholds=dict(thing=0.4, stuff=0.4),
    preprocess=dict(pixels=1281 * 961, multiple=32, offset=1),
)
train_cfg = dict(max_iters=100000, val_interval=5000)
optim_wrapper = dict(optimizer=dict(lr=0.0005))
amp = "bfloat16"
