"""The toy recipe of the engine's tests."""

_base_ = ["../../models/_base_/runtime.py", "../../models/_base_/schedules/adamw_cosine.py"]
imports = ["tests.engine.toy"]
model = dict(type="ToyNet", width=8)
train_dataloader = dict(batch_size=4, num_workers=0, dataset=dict(type="ToyData", length=22))
val_dataloader = dict(batch_size=4, num_workers=0, dataset=dict(type="ToyData", length=7, noise=0.0, seed=1))
val_evaluator = [dict(type="ToyEvaluator")]
test_dataloader = dict(batch_size=3, num_workers=0, dataset=dict(type="ToyData", length=7, noise=0.0, seed=1))
test_evaluator = [dict(type="ToyEvaluator")]
batch_transform = [dict(type="ToyJitter", amount=0.01)]
train_cfg = dict(max_iters=16, val_interval=5)
default_hooks = dict(log=dict(interval=1), checkpoint=dict(interval=5, minutes=None, keep=2))
