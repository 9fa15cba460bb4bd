"""CroCo-Flow fine-tuned on KITTI 2015: tiles of 352 x 1216, AdamW 2e-5, batch 1 x 8, 150 epochs."""

_base_ = ["../_base_/runtime.py", "../_base_/schedules/adamw_cosine.py"]

ema = None
model = dict(type="CroCo", size="vitl-base", task="flow", tile=(352, 1216))
train_dataloader = dict(
    batch_size=1, num_workers=8, dataset=dict(type="KittiFlow", root="data/kitti_2015", crop=(352, 1216))
)
val_dataloader = dict(batch_size=1, num_workers=4, dataset=dict(type="KittiFlow", root="data/kitti_2012"))
test_dataloader = val_dataloader
val_evaluator = [dict(type="FlowEvaluator")]
test_evaluator = [dict(type="FlowEvaluator")]
batch_transform = [dict(type="RandomFramesColour", apart=0.2)]
train_cfg = dict(max_epochs=150, val_interval=1000)
optim_wrapper = dict(
    optimizer=dict(lr=2e-5, betas=(0.9, 0.95), weight_decay=0.05), clip_grad=None, accumulative_counts=8
)
publish = dict(
    about=dict(
        title="Optical flow of two frames, CroCo ViT-L on KITTI",
        licence="Apache-2.0; KITTI's pictures are CC BY-NC-SA",
        tasks=["flow"],
        card="models/croco/README.md",
    )
)
