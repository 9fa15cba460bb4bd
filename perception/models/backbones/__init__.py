"""Trunks: any timm model by name (`adapter`), and the architectures that timm lacks, registered with it by importing this package."""

from perception.models.backbones import cswin, cvt, hornet, rmt, soft, sret, transnext
from perception.models.backbones.adapter import Backbone, list_backbones
from perception.models.backbones.factory import build_backbone

__all__ = ["Backbone", "build_backbone", "cswin", "cvt", "hornet", "list_backbones", "rmt", "soft", "sret", "transnext"]
