"""MonoDETR's schedule: AdamW 2e-4 for 195 epochs, a tenth at epochs 125 and 165; no decay on biases.

The stability measures that the released code lacks are here with harmless settings: gradient clipping, a short warm-up, and the engine's guard
against non-finite steps. Without them some runs collapse at small batches.
"""

train_cfg = dict(max_epochs=195, val_interval=2320)
optim_wrapper = dict(
    optimizer=dict(type="AdamW", lr=2e-4, betas=(0.9, 0.999), weight_decay=1e-4),
    clip_grad=dict(max_norm=35.0),
    paramwise_cfg=dict(bias_decay_mult=0.0),
)
param_scheduler = [dict(type="WarmupStepLR", milestones=[125 / 195, 165 / 195], gamma=0.1, warmup=500)]
