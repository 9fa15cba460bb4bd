"""kMaX-DeepLab with ResNet-50 on COCO panoptic, after the PyTorch port (arXiv 2207.04044).

The published training also pastes segments of other pictures (copy-paste), which this one lacks.
"""

_base_ = ["../_base_/runtime.py", "../_base_/data/coco_panoptic.py", "../_base_/schedules/adamw_kmax.py"]

model = dict(
    type="KMaXDeepLab",
    backbone=dict(type="BottleneckResNet", depth=50, pretrained="resnet50.a1_in1k"),
    variant="torch",
    decoder=dict(drop_path=0.2),
    preprocess=dict(pixels=1281 * 961, multiple=32, offset=1),
)
train_cfg = dict(max_iters=150000, val_interval=5000)
optim_wrapper = dict(optimizer=dict(lr=0.0005))
amp = "bfloat16"
