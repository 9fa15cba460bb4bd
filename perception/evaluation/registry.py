"""Names -> evaluators. A recipe says ``{"type": "DepthEvaluator", "protocol": "nyu_eigen"}``; literals only."""

from __future__ import annotations

from perception.registry import Registry

EVALUATORS = Registry(
    "evaluator",
    {
        "DepthEvaluator": "perception.evaluation.depth",
        "NormalsEvaluator": "perception.evaluation.normals",
        "SemanticEvaluator": "perception.evaluation.segmentation",
        "PanopticEvaluator": "perception.evaluation.panoptic",
        "KittiEvaluator": "perception.evaluation.kitti",
        "NuScenesDetectionEvaluator": "perception.evaluation.nuscenes_detection",
        "NuScenesTrackingEvaluator": "perception.evaluation.nuscenes_tracking",
        "OccupancyEvaluator": "perception.evaluation.occupancy",
        "MotionEvaluator": "perception.evaluation.motion",
        "StereoEvaluator": "perception.evaluation.matching",
        "FlowEvaluator": "perception.evaluation.matching",
    },
)
register_evaluator = EVALUATORS.register
list_evaluators = EVALUATORS.names
evaluator_class = EVALUATORS.find
build_evaluator = EVALUATORS.build
