"""HyDRa on the world's streets, 1.5 M parameters, six pictures of 64 x 176, BEV 64 x 64: trained from scratch on a CPU, no download."""

_base_ = ["../_base_/runtime.py", "../_base_/data/world_rig.py", "../_base_/schedules/adamw_cosine.py"]
bundled = "hydra-world-tiny"

model = dict(
    type="HyDRa",
    backbone=dict(name="resnet10t", model_args=dict(channels=(24, 48, 96, 160), stem_width=16)),
    backbone_strides=(8, 16, 32),
    image_size=(64, 176),
    feature_stride=8,
    depth=(1.0, 57.0, 2.0),
    depth_options=dict(blocks=1, aspp=False),
    bev=dict(x=(-51.2, 51.2, 1.6), y=(-51.2, 51.2, 1.6)),
    z=(-1.0, 4.0),  # metres above the road
    radar_depth=(1.0, 57.0, 2.0),
    radar_layers=2,
    radar_motion=True,
    backward_options=dict(heads=2, points=3, anchors=3, ffn_ratio=2, self_attention=False),
    widths=dict(
        image=48,
        mid=48,
        context=48,
        radar=32,
        bev=48,
        encoder=(48, 80, 128),
        blocks=1,
        out=48,
        out_kernel=1,
        shared=40,
        head=16,
    ),
    tasks=(
        (
            "car",
            "truck",
            "bus",
            "trailer",
            "construction_vehicle",
            "pedestrian",
            "motorcycle",
            "bicycle",
            "traffic_cone",
            "barrier",
        ),
    ),
    occupancy=dict(
        x=(-40.0, 40.0, 0.8),
        y=(-40.0, 40.0, 0.8),
        z=(-1.0, 5.4, 0.8),
        losses=dict(focal=3.0, semantic=0.5, geometric=0.5),
        # others, barrier, bicycle, bus, car, construction, motorcycle, person, cone, trailer, truck, road, flat, pavement, terrain, built, plants, free
        weights=(1, 4, 4, 4, 2, 4, 4, 4, 4, 4, 4, 1.5, 1, 1.5, 1, 1, 1.5, 1),
    ),
    loss_weights=dict(depth=0.5, box=0.5),
    box_class_weights=dict(  # about the square root of how much rarer than cars
        truck=4.0,
        bus=6.0,
        trailer=6.0,
        construction_vehicle=5.0,
        pedestrian=1.5,
        motorcycle=4.0,
        bicycle=4.0,
        traffic_cone=4.0,
        barrier=3.0,
    ),
    velocity_beta=4.0,
    min_radius=1,
    nms_radius=dict(
        car=2.0,
        truck=3.0,
        bus=4.0,
        trailer=4.0,
        construction_vehicle=3.0,
        pedestrian=0.6,
        motorcycle=1.0,
        bicycle=1.0,
        traffic_cone=0.5,
        barrier=1.0,
    ),
    score_threshold=0.03,
    max_per_task=300,
    post_max=200,
    squared_radius=False,
)
# No mirrored streets: a short training needs the traffic's side of the road to tell headings and velocities.
batch_transform = [
    dict(type="RigPhotometric", strength=0.3),
    dict(type="RigBevAugment", rotation=10.0, scale=(0.97, 1.03), flip_x=0.0, flip_y=0.0),
    dict(type="RadarDropout", cloud=0.1, points=0.2),
]
channels_last = True
train_cfg = dict(max_iters=6000, val_interval=2000)
optim_wrapper = dict(optimizer=dict(lr=1.5e-3, weight_decay=1e-2), clip_grad=dict(max_norm=10.0))
publish = dict(
    about=dict(
        title="3D boxes, velocities and occupancy around a vehicle, small HyDRa trained on the procedural world",
        licence="Apache-2.0",
        tasks=["boxes3d", "occupancy"],
        card="models/hydra/README.md",
    )
)
