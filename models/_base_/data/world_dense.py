"""The world's rooms and streets with depth, normals, 15 groups of classes and instances, rendered once into a cache; augmented on the device.

11000 views of 3000 scenes to learn from; validation on rooms and streets of other seeds. With it comes what every model of these classes must know.
"""

model = dict(
    num_classes=15,
    class_names=[
        "sky",
        "road",
        "ground",
        "building",
        "vegetation",
        "pole_sign",
        "person",
        "vehicle",
        "two_wheeler",
        "floor",
        "wall",
        "ceiling",
        "opening",
        "furniture",
        "clutter",
    ],
    sky_class=0,
)
_world = dict(
    type="World",
    size=(144, 192),
    truth=("depth", "normals", "semantic", "instance"),
    labels="groups",
    cache="work_dirs/world",
)
train_dataloader = dict(
    batch_size=16,
    num_workers=0,
    dataset=dict(
        type="Concat",
        datasets=[
            dict(kind="room", seeds=(10000, 11999), style="mixed", views_per_scene=3, **_world),
            dict(kind="street", seeds=(20000, 20999), style="mixed", views_per_scene=5, **_world),
        ],
    ),
)
val_dataloader = dict(
    batch_size=16,
    num_workers=0,
    dataset=dict(
        type="Concat",
        datasets=[
            dict(kind="room", seeds=(900000, 900079), style="plausible", views_per_scene=1, **_world),
            dict(kind="street", seeds=(910000, 910079), style="plausible", views_per_scene=1, **_world),
        ],
    ),
)
test_dataloader = val_dataloader
_others = [dict(type="NormalsEvaluator"), dict(type="SemanticEvaluator", num_classes=15)]
val_evaluator = [
    dict(type="DepthEvaluator", protocol="world", alignments=["none", "median"], baselines=False),
    *_others,
]
test_evaluator = [
    dict(type="DepthEvaluator", protocol="world", alignments=["none", "median", "affine-log", "affine-disparity"]),
    *_others,
]
batch_transform = [
    dict(type="RandomHorizontalFlip"),
    dict(type="RandomZoomCrop", size=(96, 128), zoom=(0.8, 1.6), aspect=0.15),
    dict(type="RandomColour"),
    dict(type="RandomBlur"),
    dict(type="RandomNoise"),
]
