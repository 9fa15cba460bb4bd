"""PolyMaX on the world, 4.5 M parameters: depth, normals and panoptic segments by clusters, trained as dpt_world_tiny is."""

_base_ = ["./dpt_world_tiny.py"]

model = dict(
    _delete_=True,
    type="PolyMaX",
    backbone=dict(name="resnet18d", model_args=dict(channels=(48, 96, 160, 256), stem_width=24)),
    tasks=("depth", "normals", "panoptic"),
    num_classes=15,
    class_names=(
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
    ),
    thing_classes=(6, 7, 8, 13, 14),
    sky_class=0,
    depth_space="canonical",
    out_stride=2,
    mask_channels=64,
    mask_gain=1.0,
    norm_momentum=0.1,
    pixel_decoder=dict(widths=(48, 32, 28, 24), blocks=(1, 1, 1, 1)),
    decoder=dict(channels=96, num_queries=64, layers=(1, 1, 1), ffn_channels=256),
    criterion=dict(samples=1024),
    loss_weights={"class": 1.0, "dice": 1.0, "mask": 0.3, "instance": 0.1},
    preprocess=dict(pixels=49152, multiple=32),
)
publish = dict(
    about=dict(
        title="Depth, normals and panoptic segments of a photo, PolyMaX trained on the procedural world",
        licence="Apache-2.0",
        tasks=["depth", "normals", "segmentation"],
    )
)
