"""AdamW without decay on norms and biases; 2 % warm-up, then half a cosine to zero over the whole run."""

train_cfg = dict(max_iters=20000, val_interval=2000)
optim_wrapper = dict(
    optimizer=dict(type="AdamW", lr=1e-3, betas=(0.9, 0.999), weight_decay=0.03),
    clip_grad=dict(max_norm=2.0),
    paramwise_cfg=dict(norm_decay_mult=0.0, bias_decay_mult=0.0),
)
param_scheduler = [dict(type="WarmupCosineLR", warmup=0.02)]
