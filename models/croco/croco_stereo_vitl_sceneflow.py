"""CroCo-Stereo at its published size (ViT-L, base decoder, tiles of 352 x 704, AdamW 3e-5, batch 6, 32 epochs) on Scene Flow; tested on Middlebury 2014.

The authors' mixture also has CREStereo, ETH3D, Middlebury 2005, 2006, 2021 and Booster. Start from completion: model.pretrained=CroCo_V2_ViTLarge_BaseDecoder.pth.
"""

_base_ = ["../_base_/runtime.py", "../_base_/schedules/adamw_cosine.py"]

ema = None
model = dict(type="CroCo", size="vitl-base", task="stereo", tile=(352, 704))
_crop = dict(crop=(352, 704))
train_dataloader = dict(
    batch_size=6,
    num_workers=8,
    dataset=dict(
        type="Concat",
        datasets=[dict(type="SceneFlow", root="data/sceneflow", **_crop)],
    ),
)
val_dataloader = dict(batch_size=1, num_workers=4, dataset=dict(type="Middlebury", root="data/middlebury/2014"))
test_dataloader = val_dataloader
val_evaluator = [dict(type="StereoEvaluator")]
test_evaluator = [dict(type="StereoEvaluator")]
batch_transform = [dict(type="RandomFramesColour", apart=0.2)]
train_cfg = dict(max_epochs=32, val_interval=5000)
optim_wrapper = dict(optimizer=dict(lr=3e-5, betas=(0.9, 0.95), weight_decay=0.05), clip_grad=None)
param_scheduler = [dict(type="WarmupCosineLR", warmup=0.03)]
publish = dict(
    about=dict(
        title="Disparity of a stereo pair, CroCo ViT-L",
        licence="Apache-2.0; started from CC BY-NC-SA weights it is CC BY-NC-SA",
        tasks=["disparity"],
        card="models/croco/README.md",
    )
)
