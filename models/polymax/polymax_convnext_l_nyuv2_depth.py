"""PolyMaX with ConvNeXt-L for depth on NYUv2, the published single-task setting at full size (arXiv 2311.05770).

The authors released neither code nor schedule: crop, rate and number of steps are this project's choice after kMaX-DeepLab's. The paper is said to
pre-train on Taskonomy; this recipe starts from ImageNet-22k (timm downloads it).
"""

_base_ = ["../_base_/runtime.py", "../_base_/data/nyuv2.py", "../_base_/schedules/adamw_kmax.py"]

model = dict(
    type="PolyMaX",
    backbone=dict(name="convnext_large.fb_in22k", pretrained=True, model_args=dict(drop_path_rate=0.6)),
    tasks=["depth"],
    variant="tf",
    depth_space="metric",
    depth_range=(1e-3, 10.0),
    depth_focal=519.0,
    camera=False,
    prior=False,
    decoder=dict(num_queries=128, drop_path=0.2),
    preprocess=dict(pixels=480 * 640, multiple=32, offset=1),
)
val_evaluator = [dict(type="DepthEvaluator", protocol="nyu_eigen", alignments=["none"], baselines=False)]
test_evaluator = [dict(type="DepthEvaluator", protocol="nyu_eigen", alignments=["none", "median"])]
train_cfg = dict(max_iters=50000, val_interval=5000)
amp = "bfloat16"
