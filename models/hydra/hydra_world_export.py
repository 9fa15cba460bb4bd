"""`hydra_world_tiny` on files: the world exported in nuScenes' layout and read by the nuScenes reader, with LiDAR depth and Occ3D's voxels.

python tools/make_world.py --layout nuscenes --count 50 --views 8 --size 450 800 --out data/world_nuscenes

`tools/test.py` also writes detections, tracks and occupancy in the official formats, for `tools/track.py` and `tools/evaluate.py`.
"""

_base_ = ["./hydra_world_tiny.py"]

_common = dict(
    type="NuScenes",
    root="data/world_nuscenes",
    version="v1.0-trainval",
    size=(64, 176),
    fit="bottom",
    radar_keep="devkit",
    occupancy=True,
)
model = dict(
    occupancy=dict(x=(-40.0, 40.0, 0.4), y=(-40.0, 40.0, 0.4), z=(-1.0, 5.4, 0.4)),
)
train_dataloader = dict(
    batch_size=2,
    dataset=dict(_delete_=True, split="train", depth=True, min_points=1, **_common),
)
val_dataloader = dict(batch_size=2, dataset=dict(_delete_=True, split="val", **_common))
test_dataloader = val_dataloader
test_evaluator = [
    dict(
        type="NuScenesDetectionEvaluator",
        name="nuscenes",
        submission="work_dirs/hydra_world_export/results/detections.json",
    ),
    dict(type="OccupancyEvaluator", submission="work_dirs/hydra_world_export/results/occupancy"),
    dict(
        type="NuScenesTrackingEvaluator",
        name="tracking",
        tracker={},
        submission="work_dirs/hydra_world_export/results/tracks.json",
    ),
]
train_cfg = dict(max_iters=4000)
