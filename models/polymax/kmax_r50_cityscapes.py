"""kMaX-DeepLab with ResNet-50 on Cityscapes panoptic, after the PyTorch port (arXiv 2207.04044).

Five maps instead of four, 256 clusters. Without the published copy-paste augmentation.
"""

_base_ = ["../_base_/runtime.py", "../_base_/data/cityscapes_panoptic.py", "../_base_/schedules/adamw_kmax.py"]

model = dict(
    type="KMaXDeepLab",
    backbone=dict(type="BottleneckResNet", depth=50, return_stem=True, pretrained="resnet50.a1_in1k"),
    variant="torch",
    semantic_head="cityscapes",
    semantic_samples=None,
    criterion=dict(sample_temperature=0.6),
    pixel_decoder=dict(widths=(512, 256, 128, 64, 32), blocks=(1, 5, 1, 1, 1), axial=(True, True, False, False, False)),
    decoder=dict(num_queries=256, drop_path=0.2),
    thresholds=dict(thing=0.5, stuff=0.3, overlap=0.9, mask_power=0.0),
    preprocess=dict(pixels=1025 * 2049, multiple=32, offset=1),
)
train_cfg = dict(max_iters=60000, val_interval=5000)
optim_wrapper = dict(optimizer=dict(lr=0.0003))
amp = "bfloat16"
