"""What every recipe shares: how runs are saved, logged and guarded. Recipes override what they need."""

seed = 0
ema = dict(decay=0.999, warmup=True)
amp = None  # "bfloat16" or "float16" on a GPU; --amp is short for "bfloat16"
compile = False
channels_last = False
non_finite = "stop"  # "skip" leaves a bad step out and counts it
default_hooks = dict(
    log=dict(interval=50),
    checkpoint=dict(interval=None, minutes=10, keep=3),
)
vis_backends = []  # such as [dict(type="TensorboardVisBackend")], with the `track` extra
publish = dict(half=True, which="last")
