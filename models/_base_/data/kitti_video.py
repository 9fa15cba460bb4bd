"""KITTI raw: each frame with the one before, the one after and the other camera's; Eigen split (Zhou's training list), improved ground truth to test."""

_pictures = dict(size=(320, 1024), fit="stretch")
train_dataloader = dict(
    batch_size=4,
    num_workers=8,
    dataset=dict(
        type="KittiRaw",
        root="data/kitti_raw",
        frames="data/kitti_raw/splits/eigen_zhou/train_files.txt",
        velodyne=False,
        offsets=(-1, 1),
        stereo=True,
        **_pictures,
    ),
)
val_dataloader = dict(
    batch_size=4,
    num_workers=4,
    dataset=dict(
        type="KittiDepth",
        root="data/kitti_depth",
        raw_root="data/kitti_raw",
        split="data/kitti_raw/splits/eigen_benchmark/test_files.txt",
    ),
)
test_dataloader = val_dataloader
val_evaluator = [
    dict(type="DepthEvaluator", protocol="kitti_eigen_garg", alignments=["median", "none"], baselines=False)
]
test_evaluator = [dict(type="DepthEvaluator", protocol="kitti_eigen_garg", alignments=["median", "none"])]
batch_transform = [dict(type="RandomFramesColour", gain=0.2, contrast=0.2, saturation=0.2, white_balance=0.0)]
