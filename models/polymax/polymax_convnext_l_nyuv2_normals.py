"""PolyMaX with ConvNeXt-L for surface normals on NYUv2, the published single-task setting at full size (arXiv 2311.05770).

The published numbers are on the normals of Ladicky et al.; `normals="depth"` of the data set computes them from the depth and differs from those.
"""

_base_ = ["./polymax_convnext_l_nyuv2_depth.py"]

model = dict(tasks=["normals"], normal_loss="l2")
val_evaluator = [dict(type="NormalsEvaluator", crop="nyu_eigen")]
test_evaluator = val_evaluator
