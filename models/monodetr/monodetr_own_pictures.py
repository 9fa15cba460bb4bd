"""`monodetr_world_tiny` on one's own pictures and classes: one JSON in COCO's manner with `K` a picture, see datasets/custom/README.md.

For KITTI's text files replace the data set by dict(type="KittiObject", root="data/mine", split="train", classes=[...]).
"""

_base_ = ["./monodetr_world_tiny.py"]
bundled = None

_classes = ["Car", "Pedestrian", "Cyclist"]
_own = dict(type="Coco3D", root="data/mine", classes=_classes)
model = dict(classes=_classes)
train_dataloader = dict(
    _delete_=True,
    batch_size=8,
    num_workers=2,
    dataset=dict(annotations="train.json", size=(96, 320), fit="crop", **_own),
)
val_dataloader = dict(_delete_=True, batch_size=8, num_workers=2, dataset=dict(annotations="val.json", **_own))
test_dataloader = val_dataloader
val_evaluator = [dict(type="KittiEvaluator", classes=_classes)]
test_evaluator = [dict(type="KittiEvaluator", classes=_classes, submission="work_dirs/monodetr_own_pictures/data")]
