"""Stereo pairs of the world's rooms and streets with exact disparity, rendered once into a cache."""

_pairs = dict(type="WorldPairs", task="stereo", size=(96, 192), cache="work_dirs/world_pairs")
train_dataloader = dict(
    batch_size=8,
    num_workers=0,
    dataset=dict(
        type="Concat",
        datasets=[
            dict(kind="room", seeds=(80000, 80999), style="mixed", views_per_scene=3, **_pairs),
            dict(kind="street", seeds=(90000, 90499), style="mixed", views_per_scene=4, **_pairs),
        ],
    ),
)
val_dataloader = dict(
    batch_size=8,
    num_workers=0,
    dataset=dict(
        type="Concat",
        datasets=[
            dict(kind="room", seeds=(960000, 960039), views_per_scene=1, **_pairs),
            dict(kind="street", seeds=(970000, 970039), views_per_scene=1, **_pairs),
        ],
    ),
)
test_dataloader = val_dataloader
val_evaluator = [dict(type="StereoEvaluator")]
test_evaluator = [dict(type="StereoEvaluator")]
batch_transform = [dict(type="RandomFramesColour", apart=0.2)]
