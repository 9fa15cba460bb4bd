"""COCO panoptic, 133 classes: train2017 in crops of 1281 x 1281, val2017. See datasets/coco_panoptic/README.md."""

# fmt: off
_things = [
    0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30,
    31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 58,
    59, 60, 61, 62, 63, 64, 65, 66, 67, 68, 69, 70, 71, 72, 73, 74, 75, 76, 77, 78, 79,
]
_stuff = [
    80, 81, 82, 83, 84, 85, 86, 87, 88, 89, 90, 91, 92, 93, 94, 95, 96, 97, 98, 99, 100, 101, 102, 103, 104, 105, 106,
    107, 108, 109, 110, 111, 112, 113, 114, 115, 116, 117, 118, 119, 120, 121, 122, 123, 124, 125, 126, 127, 128, 129,
    130, 131, 132,
]
model = dict(
    num_classes=133,
    thing_classes=_things,
    class_names=[
        "person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat", "traffic light",
        "fire hydrant", "stop sign", "parking meter", "bench", "bird", "cat", "dog", "horse", "sheep", "cow",
        "elephant", "bear", "zebra", "giraffe", "backpack", "umbrella", "handbag", "tie", "suitcase", "frisbee",
        "skis", "snowboard", "sports ball", "kite", "baseball bat", "baseball glove", "skateboard", "surfboard",
        "tennis racket", "bottle", "wine glass", "cup", "fork", "knife", "spoon", "bowl", "banana", "apple",
        "sandwich", "orange", "broccoli", "carrot", "hot dog", "pizza", "donut", "cake", "chair", "couch",
        "potted plant", "bed", "dining table", "toilet", "tv", "laptop", "mouse", "remote", "keyboard", "cell phone",
        "microwave", "oven", "toaster", "sink", "refrigerator", "book", "clock", "vase", "scissors", "teddy bear",
        "hair drier", "toothbrush", "banner", "blanket", "bridge", "cardboard", "counter", "curtain", "door-stuff",
        "floor-wood", "flower", "fruit", "gravel", "house", "light", "mirror-stuff", "net", "pillow", "platform",
        "playingfield", "railroad", "river", "road", "roof", "sand", "sea", "shelf", "snow", "stairs", "tent",
        "towel", "wall-brick", "wall-stone", "wall-tile", "wall-wood", "water", "window-blind", "window", "tree",
        "fence", "ceiling", "sky", "cabinet", "table", "floor", "pavement", "mountain", "grass", "dirt", "paper",
        "food", "building", "rock", "wall", "rug",
    ],
)
# fmt: on
_train = dict(type="CocoPanoptic", root="data/coco", split="train2017")
_val = dict(type="CocoPanoptic", root="data/coco", split="val2017")
train_dataloader = dict(batch_size=64, num_workers=8, dataset=dict(size=(1281, 1281), **_train))
val_dataloader = dict(batch_size=1, num_workers=4, dataset=_val)
test_dataloader = val_dataloader
val_evaluator = [
    dict(type="PanopticEvaluator", things=_things, stuff=_stuff),
    dict(type="SemanticEvaluator", num_classes=133),
]
test_evaluator = val_evaluator
batch_transform = [
    dict(type="RandomHorizontalFlip"),
    dict(type="RandomZoomCrop", size=(1281, 1281), zoom=(0.2, 2.0)),
    dict(type="RandomColour"),
]
