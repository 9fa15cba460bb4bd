"""`monodetr_r50_kitti` for pedestrians and cyclists too, on a small GPU: batch 4, gradients of four batches, fewer query groups, average of weights."""

_base_ = ["./monodetr_r50_kitti.py"]

model = dict(query_groups=5)
train_dataloader = dict(batch_size=4)
optim_wrapper = dict(accumulative_counts=4, clip_grad=dict(max_norm=10.0))
batch_transform = [
    dict(type="Mono3DFilter", min_height=25, max_truncation=0.5, max_occlusion=2),
    dict(type="Mono3DPhotometric"),
    dict(type="Mono3DAugment", flip=0.5, crop=0.5, scale=0.05, shift=0.05, mixup=0.25),
]
ema = dict(decay=0.9995, warmup=True)
