"""Driving videos of the world's streets, without labels, rendered once into a cache; truth is there to measure by."""

_video = dict(type="WorldVideo", kind="street", size=(96, 320), cache="work_dirs/world_video")
train_dataloader = dict(
    batch_size=4,
    num_workers=0,
    dataset=dict(seeds=(70000, 70799), style="mixed", views_per_scene=3, **_video),
)
val_dataloader = dict(
    batch_size=4,
    num_workers=0,
    dataset=dict(seeds=(950000, 950063), style="plausible", views_per_scene=1, **_video),
)
test_dataloader = val_dataloader
val_evaluator = [dict(type="DepthEvaluator", protocol="world", alignments=["median"], baselines=False)]
test_evaluator = [dict(type="DepthEvaluator", protocol="world", alignments=["median", "none"])]
batch_transform = [dict(type="RandomFramesFlip"), dict(type="RandomFramesColour")]
