"""kMaX-DeepLab as a registered model: network, preprocessing, losses and results."""

from __future__ import annotations
