"""HyDRa with ResNet-50 for occupancy on Occ3D-nuScenes: detection and 200 x 200 x 16 voxels of 0.4 m from one BEV."""

_base_ = ["./hydra_r50_nuscenes.py"]

model = dict(
    occupancy=dict(x=(-40.0, 40.0, 0.4), y=(-40.0, 40.0, 0.4), z=(-1.0, 5.4, 0.4), classes=18, channels=64),
    loss_weights=dict(depth=1.0),
)
train_dataloader = dict(dataset=dict(occupancy=True))
val_dataloader = dict(dataset=dict(occupancy=True))
test_dataloader = val_dataloader
val_evaluator = [dict(type="NuScenesDetectionEvaluator", name="nuscenes"), dict(type="OccupancyEvaluator")]
test_evaluator = val_evaluator
