"""kMaX-DeepLab with ConvNeXt-Large on Cityscapes panoptic, after the PyTorch port (arXiv 2207.04044)."""

_base_ = ["./kmax_r50_cityscapes.py"]

model = dict(
    backbone=dict(
        _delete_=True,
        type="PaddedConvNeXt",
        size="large",
        drop_path=0.6,
        return_stem=True,
        pretrained="convnext_large.fb_in22k_ft_in1k_384",
    )
)
