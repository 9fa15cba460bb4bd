"""kMaX-DeepLab's schedule: AdamW 5e-4 (backbone a tenth), 5000 iterations of warm-up, then (1 - progress) ** 0.9.

No decay on norms, biases, position tables and first cluster centres; no gradient clipping, as published.
"""

train_cfg = dict(max_iters=150000, val_interval=10000)
optim_wrapper = dict(
    optimizer=dict(type="AdamW", lr=5e-4, betas=(0.9, 0.999), weight_decay=0.05),
    paramwise_cfg=dict(
        norm_decay_mult=0.0,
        bias_decay_mult=0.0,
        custom_keys={
            "trunk.backbone": dict(lr_mult=0.1),
            "_positions": dict(decay_mult=0.0),
            "decoder.centers": dict(decay_mult=0.0),
        },
    ),
)
param_scheduler = [dict(type="WarmupPolyLR", warmup=5000, warmup_factor=1e-3, power=0.9)]
