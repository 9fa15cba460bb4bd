"""MonoDETR: 3D boxes from one picture with a depth-guided transformer (arXiv 2203.13310)."""

from perception.models.monodetr.detector import MonoDetector
from perception.models.monodetr.model import MonoDETR

__all__ = ["MonoDETR", "MonoDetector"]
