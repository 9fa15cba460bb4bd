"""MonoDINO-DETR: MonoDETR's detector on the frozen features of Depth Anything V2 (arXiv 2502.00315)."""

from perception.models.monodino_detr.model import MonoDINODETR

__all__ = ["MonoDINODETR"]
