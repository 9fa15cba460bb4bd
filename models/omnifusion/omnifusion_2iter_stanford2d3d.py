"""OmniFusion in two passes, the variant of the released Stanford2D3D checkpoint: patches of 256 pixels, plain merging."""

_base_ = ["omnifusion_stanford2d3d.py"]

model = dict(patch=256, geometry="ray", passes=2, confidence=False)
publish = dict(about=dict(title="Depth of an indoor panorama: OmniFusion, two passes, Stanford2D3D"))
