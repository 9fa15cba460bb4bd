"""OmniFusion in two passes on Matterport3D (UniFuse's stitching and lists; the train list without the validation samples that OmniFusion's own contains)."""

_base_ = ["omnifusion_2iter_stanford2d3d.py"]

_data = dict(_delete_=True, type="Matterport3D", root="data/matterport3d", size=(512, 1024))
train_dataloader = dict(dataset=dict(listing="data/matterport3d/train.txt", min_depth=0.1, max_depth=10.0, **_data))
val_dataloader = dict(dataset=dict(listing="data/matterport3d/test.txt", **_data))
test_dataloader = val_dataloader
val_evaluator = [dict(type="DepthEvaluator", protocol="omnifusion_matterport3d", baselines=False)]
test_evaluator = [dict(type="DepthEvaluator", protocol="omnifusion_matterport3d")]
train_cfg = dict(val_interval=10000)
publish = dict(about=dict(title="Depth of an indoor panorama: OmniFusion, two passes, Matterport3D"))
