"""The zoo of backbones: any timm model by name (`Backbone`), and the architectures that timm lacks.

Importing this package registers those with timm, and costs what importing timm costs (200 MB and a second). Models with a trunk of their own do
without: they go through `perception.models.trunks`.
"""

from perception.models.backbones.adapter import Backbone, list_backbones

__all__ = ["Backbone", "list_backbones"]
