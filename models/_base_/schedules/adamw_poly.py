"""The schedule of the DeepLab family: AdamW, warm-up over 5000 iterations, then (1 - progress) ** 0.9."""

train_cfg = dict(max_iters=150000, val_interval=10000)
optim_wrapper = dict(
    optimizer=dict(type="AdamW", lr=5e-4, betas=(0.9, 0.999), weight_decay=0.05),
    clip_grad=dict(max_norm=1.0),
    paramwise_cfg=dict(norm_decay_mult=0.0, bias_decay_mult=0.0),
)
param_scheduler = [dict(type="WarmupPolyLR", warmup=5000, power=0.9)]
