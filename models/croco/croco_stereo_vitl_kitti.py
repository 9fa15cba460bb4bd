"""CroCo-Stereo fine-tuned on KITTI 2015: tiles of 352 x 1216, batch 1 x 6, 20 epochs. Start: load_from=..., or model.pretrained=... for completion alone."""

_base_ = ["croco_stereo_vitl_sceneflow.py"]

model = dict(tile=(352, 1216))
train_dataloader = dict(
    batch_size=1,
    dataset=dict(_delete_=True, type="KittiStereo", root="data/kitti_2015", crop=(352, 1216)),
)
val_dataloader = dict(dataset=dict(_delete_=True, type="KittiStereo", root="data/kitti_2012"))
test_dataloader = dict(dataset=dict(_delete_=True, type="KittiStereo", root="data/kitti_2012"))
train_cfg = dict(max_epochs=20, val_interval=1000)
optim_wrapper = dict(accumulative_counts=6)
