"""HyDRa: camera-radar detection, tracking and occupancy in the bird's-eye view."""

from perception.models.hydra.model import HyDRa

__all__ = ["HyDRa"]
