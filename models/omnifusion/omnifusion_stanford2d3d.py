"""OmniFusion in one pass as released: ResNet-34 from ImageNet, 18 patches of 128 pixels, Stanford2D3D, batch 8."""

_base_ = ["../_base_/runtime.py", "../_base_/data/stanford2d3d.py", "../_base_/schedules/omnifusion.py"]

seed = 42
ema = None
model = dict(
    type="OmniFusion",
    backbone=dict(name="resnet34", pretrained=True),
    size=(512, 1024),
    rings=4,
    fov=80.0,
    patch=128,
    convention="official",
    geometry="centre",
    passes=1,
    confidence=True,
    normalise="bgr",
    loss="berhu",
)
publish = dict(
    about=dict(
        title="Depth of an indoor panorama: OmniFusion, one pass, Stanford2D3D",
        licence="Apache-2.0; Stanford2D3D has its own terms",
        tasks=["depth", "panorama"],
    )
)
