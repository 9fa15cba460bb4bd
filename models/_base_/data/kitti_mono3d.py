"""KITTI object, left colour camera, train 3712 / val 3769 frames, fitted to 384 x 1280; the augmentation of the MonoDETR paper."""

train_dataloader = dict(
    batch_size=16,
    num_workers=4,
    dataset=dict(type="KittiObject", root="data/kitti", split="train", size=(384, 1280), fit="crop"),
)
val_dataloader = dict(batch_size=16, num_workers=4, dataset=dict(type="KittiObject", root="data/kitti", split="val"))
test_dataloader = val_dataloader
val_evaluator = [dict(type="KittiEvaluator")]
test_evaluator = val_evaluator
batch_transform = [
    dict(
        type="Mono3DFilter", min_height=25, max_truncation=0.5, max_occlusion=2, classes=[1]
    ),  # cars only, as released
    dict(type="Mono3DPhotometric"),
    dict(type="Mono3DAugment", flip=0.5, crop=0.5, scale=0.05, shift=0.05),
]
