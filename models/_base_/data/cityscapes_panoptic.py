"""Cityscapes fine annotations, 19 classes: crops of 1025 x 2049. See datasets/cityscapes/README.md."""

# fmt: off
_things = [11, 12, 13, 14, 15, 16, 17, 18]
_stuff = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]
model = dict(
    num_classes=19,
    thing_classes=_things,
    class_names=[
        "road", "sidewalk", "building", "wall", "fence", "pole", "traffic light", "traffic sign", "vegetation",
        "terrain", "sky", "person", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle",
    ],
)
# fmt: on
_train = dict(type="Cityscapes", root="data/cityscapes", split="train")
_val = dict(type="Cityscapes", root="data/cityscapes", split="val")
train_dataloader = dict(batch_size=32, num_workers=8, dataset=dict(size=(1025, 2049), **_train))
val_dataloader = dict(batch_size=1, num_workers=4, dataset=_val)
test_dataloader = val_dataloader
val_evaluator = [
    dict(type="PanopticEvaluator", things=_things, stuff=_stuff),
    dict(type="SemanticEvaluator", num_classes=19),
]
test_evaluator = val_evaluator
batch_transform = [
    dict(type="RandomHorizontalFlip"),
    dict(type="RandomZoomCrop", size=(1025, 2049), zoom=(0.5, 2.0)),
    dict(type="RandomColour"),
]
