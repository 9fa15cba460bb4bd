"""MonoDINO-DETR on Depth Anything V2 Small (Apache-2.0), with an input that keeps the picture's shape: 294 x 980."""

_base_ = ["./monodino_detr_vitb_kitti.py"]

model = dict(encoder="vits", pretrained="weights/depth_anything_v2_vits.pth", vit_size=(294, 980), num_logits=3)
