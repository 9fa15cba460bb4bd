"""HyDRa without radar: what the cameras alone give."""

_base_ = ["./hydra_r50_nuscenes.py"]

model = dict(radar=False)
