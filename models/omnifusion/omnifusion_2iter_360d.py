"""OmniFusion in two passes on 360D / 3D60 at 256 x 512: patches of 128 pixels, 80 epochs with restarts of 2, 4, 8, ... epochs."""

_base_ = ["omnifusion_2iter_stanford2d3d.py"]

model = dict(size=(256, 512), patch=128)
_data = dict(_delete_=True, type="Panorama3D60", root="data/3d60", size=(256, 512))
train_dataloader = dict(dataset=dict(listing="data/3d60/train.txt", min_depth=0.1, max_depth=8.0, **_data))
val_dataloader = dict(dataset=dict(listing="data/3d60/test.txt", **_data))
test_dataloader = val_dataloader
train_cfg = dict(max_epochs=80, val_interval=10000)
param_scheduler = [dict(type="CosineRestartsLR", restarts=[0.025, 0.075, 0.175, 0.375, 0.775], end_factor=0.01)]
publish = dict(about=dict(title="Depth of a panorama: OmniFusion, two passes, 360D"))
