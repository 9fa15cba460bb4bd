"""`hydra_world_tiny` with one past frame (0.5 s)."""

_base_ = ["./hydra_world_tiny.py"]

_occupancy = dict(lower=(-40.0, -40.0, -1.0), voxel=0.8, shape=(100, 100, 8))
model = dict(history=1)
train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type="RigSequences",
        history=1,
        dataset=dict(
            type="WorldRig",
            seeds=(0, 399),
            frames=4,
            size=(64, 176),
            occupancy=_occupancy,
            cache="work_dirs/world_rig",
        ),
    )
)
val_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type="RigSequences",
        history=1,
        dataset=dict(
            type="WorldRig",
            seeds=(900000, 900039),
            frames=4,
            size=(64, 176),
            occupancy=_occupancy,
            cache="work_dirs/world_rig",
        ),
    )
)
test_dataloader = val_dataloader
