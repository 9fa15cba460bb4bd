"""PolyMaX with ConvNeXt-L on NYUv2, multi-task: depth, normals and 40 classes from one trunk in one pass."""

_base_ = ["./polymax_convnext_l_nyuv2_depth.py"]

model = dict(tasks=["depth", "normals", "semantic"], num_classes=40, normal_loss="l2")
val_evaluator = [
    dict(type="DepthEvaluator", protocol="nyu_eigen", alignments=["none"], baselines=False),
    dict(type="NormalsEvaluator", crop="nyu_eigen"),
    dict(type="SemanticEvaluator", num_classes=40),
]
test_evaluator = val_evaluator
