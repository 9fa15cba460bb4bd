"""kMaX-DeepLab with ConvNeXt-Large on ADE20K panoptic, after the PyTorch port (arXiv 2207.04044)."""

_base_ = ["./kmax_r50_ade20k.py"]

model = dict(
    backbone=dict(
        _delete_=True,
        type="PaddedConvNeXt",
        size="large",
        drop_path=0.7,
        pretrained="convnext_large.fb_in22k_ft_in1k_384",
    )
)
