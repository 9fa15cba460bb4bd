"""NYU Depth v2, labelled frames: 795 to train on, 654 to test on; metric depth, normals from depth, 40 classes. Crops of 481 x 641."""

train_dataloader = dict(
    batch_size=16,
    num_workers=4,
    dataset=dict(type="NYUv2", root="data/nyuv2", split="train", labels=40, normals="depth"),
)
val_dataloader = dict(
    batch_size=8,
    num_workers=4,
    dataset=dict(type="NYUv2", root="data/nyuv2", split="test", labels=40, normals="depth"),
)
test_dataloader = val_dataloader
batch_transform = [
    dict(type="RandomHorizontalFlip"),
    dict(type="RandomZoomCrop", size=(481, 641), zoom=(0.5, 2.0)),
    dict(type="RandomColour"),
]
