"""HyDRa with ResNet-50 and 8 past key frames (4 s), fused in the bird's-eye view."""

_base_ = ["./hydra_r50_nuscenes.py"]

_common = dict(
    type="NuScenes",
    root="data/nuscenes",
    version="v1.0-trainval",
    radar_sweeps=8,
    radar_keep="crn",
    size=(256, 704),
    fit="bottom",
)
model = dict(history=8)
train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type="RigSequences",
        history=8,
        dataset=dict(split="train", depth=True, min_points=1, **_common),
    )
)
val_dataloader = dict(dataset=dict(_delete_=True, type="RigSequences", history=8, dataset=dict(split="val", **_common)))
test_dataloader = val_dataloader
