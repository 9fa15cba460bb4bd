"""MonoDINO-DETR: features, depth transfer, decoder with dynamic anchors."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from perception.models.depth_anything.model import SIZES
from perception.models.monodino_detr import MonoDINODETR
from perception.models.monodino_detr.weights import load_official
from tests.parity.runner import Case, Check
from tests.parity.systems.monodetr import model_arguments, stacked_checks, tensors


@torch.no_grad()
def network(case: Case) -> Iterator[Check]:
    width = case.state["backbone.0.backbone.cls_token"].shape[-1]
    size = next(name for name, values in SIZES.items() if values[0] == width)
    model = MonoDINODETR(size, dynamic_anchors="tgt_embed.weight" in case.state, **model_arguments(case)).eval()
    load_official(model, {"model_state": tensors(case.state)})
    image = torch.from_numpy(case.inputs["image"])
    projections, sizes = torch.from_numpy(case.inputs["calibs"]), torch.from_numpy(case.inputs["img_sizes"])
    out = case.outputs
    tokens, _ = model.vit(model.vit_images(image))
    for index, token in enumerate(tokens[1:]):
        token_map = token.transpose(1, 2).unflatten(2, model.grid)
        yield Check(f"tokens_{index}", token_map[:, ::32, ::2, ::2], out[f"tokens_{index}"])
    full = model.depth_head(tokens, model.grid).relu()
    yield Check("dpt_depth", full[..., 3::7, 3::7], out["dpt_depth"])
    for index, (level, step) in enumerate(zip(model.fusion(model.backbone_features(image)[0]), (8, 4, 2), strict=True)):
        yield Check(f"level_{index}", level[:, ::32, ::step, ::step], out[f"level_{index}"])
    maps, (logits, depth, depth_tokens) = model.features(image)
    yield Check("depth_map_logits", logits[:, ::4, ::3, ::3], out["depth_map_logits"])
    yield Check("weighted_depth", depth, out["weighted_depth"])
    yield Check("depth_embed", depth_tokens.transpose(1, 2).unflatten(2, model.grid)[:, ::16], out["depth_embed"])
    memory, shapes = model.encoder(maps)
    yield Check("memory", memory[:, ::97, ::16], out["memory"])
    start = model.decoder.start(model.num_queries)
    yield Check(
        "init_reference",
        start.expand(out["init_reference"].shape[0] if out["init_reference"].ndim == 3 else 1, -1, -1).reshape(
            out["init_reference"].shape
        ),
        out["init_reference"],
    )
    states, boxes = model.decoder(memory, shapes, depth_tokens, [h.box for h in model.heads], model.num_queries)
    yield Check("hs", torch.stack(states)[..., ::4], out["hs"])
    yield Check("inter_references", torch.stack(boxes), out["inter_references"])
    given = (depth, projections[:, 0, 0], sizes[:, 1].float())
    yield from stacked_checks(case, [h(s, b, *given) for h, s, b in zip(model.heads, states, boxes, strict=True)])


KINDS = {"monodino_detr": network}
