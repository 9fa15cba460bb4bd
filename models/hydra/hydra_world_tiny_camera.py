"""`hydra_world_tiny` without radar, for the comparison."""

_base_ = ["./hydra_world_tiny.py"]

model = dict(radar=False)
