"""ADE20K panoptic, 150 classes, as COCO-style JSON and PNGs (the preparation script of Mask2Former writes them): crops of 1281 x 1281."""

# fmt: off
_things = [
    7, 8, 10, 12, 14, 15, 18, 19, 20, 22, 23, 24, 27, 30, 31, 32, 33, 35, 36, 37, 38, 39, 41, 42, 43, 44, 45, 47, 49,
    50, 53, 55, 56, 57, 58, 62, 64, 65, 66, 67, 69, 70, 71, 72, 73, 74, 75, 76, 78, 80, 81, 82, 83, 85, 86, 87, 88,
    89, 90, 92, 93, 95, 97, 98, 102, 103, 104, 107, 108, 110, 111, 112, 115, 116, 118, 119, 120, 121, 123, 124, 125,
    126, 127, 129, 130, 132, 133, 134, 135, 136, 137, 138, 139, 142, 143, 144, 146, 147, 148, 149,
]
_stuff = [
    0, 1, 2, 3, 4, 5, 6, 9, 11, 13, 16, 17, 21, 25, 26, 28, 29, 34, 40, 46, 48, 51, 52, 54, 59, 60, 61, 63, 68, 77,
    79, 84, 91, 94, 96, 99, 100, 101, 105, 106, 109, 113, 114, 117, 122, 128, 131, 140, 141, 145,
]
model = dict(
    num_classes=150,
    thing_classes=_things,
    class_names=[
        "wall", "building", "sky", "floor", "tree", "ceiling", "road", "bed", "window ", "grass", "cabinet",
        "sidewalk", "person", "earth", "door", "table", "mountain", "plant", "curtain", "chair", "car", "water",
        "painting", "sofa", "shelf", "house", "sea", "mirror", "rug", "field", "armchair", "seat", "fence", "desk",
        "rock", "wardrobe", "lamp", "tub", "rail", "cushion", "base", "box", "column", "signboard",
        "chest of drawers", "counter", "sand", "sink", "skyscraper", "fireplace", "refrigerator", "grandstand",
        "path", "stairs", "runway", "case", "pool table", "pillow", "screen door", "stairway", "river", "bridge",
        "bookcase", "blind", "coffee table", "toilet", "flower", "book", "hill", "bench", "countertop", "stove",
        "palm", "kitchen island", "computer", "swivel chair", "boat", "bar", "arcade machine", "hovel", "bus",
        "towel", "light", "truck", "tower", "chandelier", "awning", "street lamp", "booth", "tv", "plane",
        "dirt track", "clothes", "pole", "land", "bannister", "escalator", "ottoman", "bottle", "buffet", "poster",
        "stage", "van", "ship", "fountain", "conveyer belt", "canopy", "washer", "plaything", "pool", "stool",
        "barrel", "basket", "falls", "tent", "bag", "minibike", "cradle", "oven", "ball", "food", "step", "tank",
        "trade name", "microwave", "pot", "animal", "bicycle", "lake", "dishwasher", "screen", "blanket", "sculpture",
        "hood", "sconce", "vase", "traffic light", "tray", "trash can", "fan", "pier", "crt screen", "plate",
        "monitor", "bulletin board", "shower", "radiator", "glass", "clock", "flag",
    ],
)
# fmt: on
_train = dict(
    type="CocoPanoptic",
    root="data/ade20k",
    annotations="data/ade20k/ade20k_panoptic_train.json",
    images="data/ade20k/images/training",
)
_val = dict(
    type="CocoPanoptic",
    root="data/ade20k",
    annotations="data/ade20k/ade20k_panoptic_val.json",
    images="data/ade20k/images/validation",
)
train_dataloader = dict(batch_size=64, num_workers=8, dataset=dict(size=(1281, 1281), **_train))
val_dataloader = dict(batch_size=1, num_workers=4, dataset=_val)
test_dataloader = val_dataloader
val_evaluator = [
    dict(type="PanopticEvaluator", things=_things, stuff=_stuff),
    dict(type="SemanticEvaluator", num_classes=150),
]
test_evaluator = val_evaluator
batch_transform = [
    dict(type="RandomHorizontalFlip"),
    dict(type="RandomZoomCrop", size=(1281, 1281), zoom=(0.5, 2.0)),
    dict(type="RandomColour"),
]
