"""MonoDETR: 3D boxes from one picture with a depth-guided transformer (arXiv 2203.13310)."""

from perception.models.monodetr.model import MonoDetector, MonoDETR

__all__ = ["MonoDETR", "MonoDetector"]
