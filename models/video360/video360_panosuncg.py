"""Depth and motion from panoramic video with BiFuse++'s formulas on PanoSUNCG's layout (withdrawn by its owners: for who still has the right to use it)."""

_base_ = ["../_base_/runtime.py"]

seed = 229
model = dict(type="Video360", size=(512, 1024), face=256, photometric="contrast", convention="consistent")
_data = dict(type="PanoSUNCG", root="data/panosuncg", offsets=[-1, 1])  # 512 x 1024 as they are on disk
train_dataloader = dict(batch_size=8, num_workers=4, dataset=dict(split="train", **_data))
val_dataloader = dict(batch_size=4, num_workers=2, dataset=dict(split="val", **_data))
test_dataloader = val_dataloader
val_evaluator = [
    dict(type="DepthEvaluator", protocol="bifuse_nocrop", alignments=["median"], baselines=False),
    dict(type="MotionEvaluator"),
]
test_evaluator = val_evaluator
batch_transform = []
train_cfg = dict(max_epochs=200, val_interval=5000)
optim_wrapper = dict(optimizer=dict(type="Adam", lr=3e-4), clip_grad=dict(max_norm=10.0))
publish = dict(
    about=dict(title="Depth of a panorama learned from video", licence="Apache-2.0", tasks=["depth", "panorama"])
)
