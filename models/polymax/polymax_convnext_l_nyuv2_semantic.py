"""PolyMaX with ConvNeXt-L for 40 classes on NYUv2, the published single-task setting at full size (arXiv 2311.05770)."""

_base_ = ["./polymax_convnext_l_nyuv2_depth.py"]

model = dict(tasks=["semantic"], num_classes=40)
val_evaluator = [dict(type="SemanticEvaluator", num_classes=40)]
test_evaluator = val_evaluator
