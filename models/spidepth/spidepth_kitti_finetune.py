"""SPIdepth fine-tuned on KITTI's measured depth: metres; SiLog, Adam 2e-6, 5 epochs. Start from self-supervised weights: --cfg-options load_from=..."""

_base_ = ["spidepth_convnextv2_huge_kitti.py"]

model = dict(supervision="depth")
train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type="KittiDepth",
        root="data/kitti_depth",
        raw_root="data/kitti_raw",
        split="train",
        size=(320, 1024),
        fit="stretch",
    )
)
val_evaluator = [dict(type="DepthEvaluator", protocol="kitti_eigen_garg", baselines=False)]
test_evaluator = [dict(type="DepthEvaluator", protocol="kitti_eigen_garg")]
batch_transform = [dict(type="RandomHorizontalFlip"), dict(type="RandomColour")]
train_cfg = dict(max_epochs=5, val_interval=2000)
optim_wrapper = dict(optimizer=dict(lr=2e-6))
param_scheduler = []
