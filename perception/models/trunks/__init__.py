"""Trunks in the layouts of released systems, and `build_backbone`: the one entry to these and to the zoo (`perception.models.backbones`).

Importing this package does not import timm; the zoo does.
"""

from perception.models.trunks.factory import build_backbone

__all__ = ["build_backbone"]
