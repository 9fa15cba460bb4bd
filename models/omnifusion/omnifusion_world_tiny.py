"""OmniFusion on the world's panoramas of rooms and streets, made for two CPU cores: range and validity of any panorama."""

_base_ = ["../_base_/runtime.py", "../_base_/schedules/muon_cosine.py"]
bundled = "omnifusion-world-tiny"

model = dict(
    type="OmniFusion",
    backbone=dict(name="resnet10t", model_args=dict(channels=(32, 64, 128, 256), stem_width=16)),
    size=(128, 256),
    rings=4,
    fov=76.0,
    patch=64,
    convention="consistent",
    geometry="ray",
    confidence=True,
    merge="feathered",
    depth=2,
    heads=4,
    full_resolution=False,
    space="log",
    validity=True,
    normalise="imagenet",
    loss="log-gradient",
)
_world = dict(type="World", camera="panorama", size=(128, 256), truth=("depth",), cache="work_dirs/world")
train_dataloader = dict(
    batch_size=6,
    num_workers=0,
    dataset=dict(
        type="Concat",
        datasets=[
            dict(kind="room", seeds=(40000, 40299), style="mixed", views_per_scene=4, **_world),
            dict(kind="street", seeds=(50000, 50149), style="mixed", views_per_scene=6, **_world),
        ],
    ),
)
val_dataloader = dict(
    batch_size=6,
    num_workers=0,
    dataset=dict(
        type="Concat",
        datasets=[
            dict(kind="room", seeds=(920000, 920063), style="plausible", views_per_scene=1, **_world),
            dict(kind="street", seeds=(930000, 930031), style="plausible", views_per_scene=1, **_world),
        ],
    ),
)
test_dataloader = val_dataloader
val_evaluator = [dict(type="DepthEvaluator", protocol="clean", alignments=["none", "median"], baselines=False)]
test_evaluator = [dict(type="DepthEvaluator", protocol="clean", alignments=["none", "median", "affine-log"])]
batch_transform = [
    dict(type="RandomHorizontalFlip"),
    dict(type="RandomPanoramaRoll"),
    dict(type="RandomColour"),
    dict(type="RandomBlur"),
    dict(type="RandomNoise"),
]
train_cfg = dict(max_iters=4000, val_interval=1000)
optim_wrapper = dict(optimizer=dict(lr=4e-3))
publish = dict(
    about=dict(
        title="Depth of a panorama: OmniFusion, trained on the procedural world",
        licence="Apache-2.0",
        tasks=["depth", "panorama"],
        card="models/omnifusion/README.md",
    )
)
