"""OmniFusion's schedule for Stanford2D3D: AdamW 1e-4 with decay on everything, cosine restarts after 5, 15, 35 and 75 of 100 epochs; no clipping in the
released code, a harmless one here."""

train_cfg = dict(max_epochs=100, val_interval=1300)
optim_wrapper = dict(
    optimizer=dict(type="AdamW", lr=1e-4, betas=(0.9, 0.999), weight_decay=0.01), clip_grad=dict(max_norm=100.0)
)
param_scheduler = [dict(type="CosineRestartsLR", restarts=[0.05, 0.15, 0.35, 0.75], end_factor=0.01)]
