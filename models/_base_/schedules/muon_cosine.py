"""As adamw_cosine.py with Muon for matrices and kernels: fewer iterations from random weights, at twice AdamW's rate."""

_base_ = ["./adamw_cosine.py"]

optim_wrapper = dict(optimizer=dict(type="MuonAdamW", lr=6e-3, weight_decay=0.05))
