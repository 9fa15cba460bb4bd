"""kMaX-DeepLab with ConvNeXt-Base on COCO panoptic, after the PyTorch port (arXiv 2207.04044)."""

_base_ = ["./kmax_r50_coco.py"]

model = dict(
    backbone=dict(
        _delete_=True,
        type="PaddedConvNeXt",
        size="base",
        drop_path=0.5,
        pretrained="convnext_base.fb_in22k_ft_in1k_384",
    )
)
