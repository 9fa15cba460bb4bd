"""The typed results that every model returns: frozen, validated, in original pixels and metres.

result = model("street.jpg")           a Prediction: any subset of the parts below
result.depth                           DepthResult         depth, valid, kind, camera, confidence
result.normals                         NormalsResult       normals, valid
result.segmentation                    SegmentationResult  semantic, instance, panoptic, segments
result.boxes3d                         Boxes3DResult       boxes, labels, scores, velocity, track_ids
result.disparity, result.flow          DisparityResult, FlowResult   of two pictures
result.save("out/"); result.plot()     files, or one picture of everything
"""

from __future__ import annotations

from perception.results.base import Result
from perception.results.boxes import Boxes3DResult
from perception.results.depth import DepthResult
from perception.results.matching import DisparityResult, FlowResult
from perception.results.normals import NormalsResult
from perception.results.occupancy import OccupancyResult
from perception.results.point_cloud import PointCloud
from perception.results.prediction import Prediction
from perception.results.rig import RigPrediction
from perception.results.segmentation import Segment, SegmentationResult

__all__ = [
    "Boxes3DResult",
    "DepthResult",
    "DisparityResult",
    "FlowResult",
    "NormalsResult",
    "OccupancyResult",
    "PointCloud",
    "Prediction",
    "Result",
    "RigPrediction",
    "Segment",
    "SegmentationResult",
]
