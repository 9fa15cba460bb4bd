"""Identities over time for boxes that were found frame by frame."""

from perception.tracking.greedy import CLASS_LIMITS, GreedyTracker
from perception.tracking.nuscenes import track_results

__all__ = ["CLASS_LIMITS", "GreedyTracker", "track_results"]
