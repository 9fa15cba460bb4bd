"""MonoDETR: network (evaluation and training path), decoding, target encoding, matcher and losses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from perception.datasets.transforms.kitti_official import official_targets, official_transform
from perception.io.kitti import parse_labels
from perception.models.monodetr import MonoDETR
from perception.models.monodetr.depth_bins import DepthBins
from perception.models.monodetr.detector import KITTI_CLASSES
from perception.models.monodetr.losses import MonoCriterion
from perception.models.monodetr.postprocess import decode_official, rank
from perception.models.monodetr.targets import MonoTargets, centre_boxes, encode_heading
from perception.models.monodetr.weights import load_official, model_config, shared_config
from tests.parity.runner import Case, Check


def tensors(state: dict[str, np.ndarray]) -> dict[str, torch.Tensor]:
    return {key: torch.from_numpy(np.ascontiguousarray(value)) for key, value in state.items()}


def model_arguments(case: Case) -> dict[str, Any]:
    """Everything that the state and the inputs reveal about the model."""
    state, image = case.state, case.inputs["image"]
    depth = next(key for key in state if key.endswith("depth_bin_values")).removesuffix("depth_bin_values")
    shared = shared_config(tensors(state), depth)
    logits = state["class_embed.0.weight"].shape[0]
    queries = state["query_embed.weight" if "query_embed.weight" in state else "tgt_embed.weight"].shape[0]
    return {
        **shared,
        "classes": KITTI_CLASSES[: max(1, min(3, logits))],
        "num_logits": logits,
        "image_size": image.shape[-2:],
        "levels": state["depthaware_transformer.level_embed"].shape[0],
        "num_queries": case.outputs["pred_logits"].shape[2],
        "query_groups": queries // case.outputs["pred_logits"].shape[2],
        "virtual_focal": None,
        "convention": "official",
    }


def stacked_checks(case: Case, layers: list[dict[str, torch.Tensor]], prefix: str = "") -> Iterator[Check]:
    """Compare the heads of all layers; `case.outputs` may hold a subset of the queries."""
    values = {
        "pred_logits": [x["logits"] for x in layers],
        "pred_boxes": [x["boxes"] for x in layers],
        "pred_3d_dim": [x["sizes"] for x in layers],
        "pred_depth": [torch.stack((x["depths"], x["depth_log_variances"]), -1) for x in layers],
        "pred_angle": [x["headings"] for x in layers],
    }
    for name, parts in values.items():
        yield Check(prefix + name, torch.stack(parts), case.outputs[prefix + name])


@torch.no_grad()
def network(case: Case) -> Iterator[Check]:
    backbone = model_config(tensors(case.state))["backbone"]
    model = MonoDETR(backbone, **model_arguments(case))
    load_official(model, {"model_state": tensors(case.state)})
    model.eval()
    image = torch.from_numpy(case.inputs["image"])
    projections = torch.from_numpy(case.inputs["calibs"])
    sizes = torch.from_numpy(case.inputs["img_sizes"])
    out = case.outputs
    focals, heights = projections[:, 0, 0], sizes[:, 1].float()

    for index, features in enumerate(model.backbone(image)):
        yield Check(f"backbone_{index}", features[:, ::64], out[f"backbone_{index}"])
    maps, (depth_logits, depth_map, depth_tokens) = model.features(image)
    size = depth_map.shape[-2:]
    yield Check("depth_map_logits", depth_logits, out["depth_map_logits"])
    yield Check("weighted_depth", depth_map, out["weighted_depth"])
    yield Check("depth_embed", depth_tokens.transpose(1, 2).unflatten(2, size)[:, ::8], out["depth_embed"])
    embedded = model.depth_predictor.distribution.embed(depth_map).permute(0, 3, 1, 2)
    yield Check("depth_pos_embed_ip", embedded[:, ::16], out["depth_pos_embed_ip"])
    memory, shapes = model.encoder(maps)
    yield Check("memory", memory[..., ::16], out["memory"])
    queries = model.num_queries
    batch = len(image)
    yield Check("init_reference", model.decoder.start(queries).expand(batch, -1, -1), out["init_reference"])
    states, boxes = model.decoder(memory, shapes, depth_tokens, [h.box for h in model.heads], queries)
    yield Check("hs", torch.stack(states)[..., ::4], out["hs"])
    yield Check("inter_references", torch.stack(boxes), out["inter_references"])
    layers = [h(s, b, depth_map, focals, heights) for h, s, b in zip(model.heads, states, boxes, strict=True)]
    yield from stacked_checks(case, layers)

    final = model.detect(image, focals, heights)
    ranked = rank(final, case.reference["topk"])
    yield from detection_checks(case, ranked, projections, sizes, model.heading_bins)

    model.train()
    for module in model.modules():  # the reference was run with every dropout rate set to 0
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
        elif hasattr(module, "dropout") and isinstance(module.dropout, float):
            module.dropout = 0.0
    trained = model.detect(image, focals, heights)
    for check in stacked_checks(case, [trained], "train_"):
        actual = check.actual[0]
        stride = round(actual.shape[1] / out[check.name].shape[1])
        yield Check(check.name, actual[:, ::stride], out[check.name])


def detection_checks(case: Case, ranked, projections, sizes, bins: int) -> Iterator[Check]:
    boxes = ranked.boxes
    cx, cy, left, right, top, bottom = boxes.unbind(-1)
    rows = torch.cat(
        [
            ranked.labels[..., None].float(),
            ranked.scores[..., None],
            torch.stack((cx + (right - left) / 2, cy + (bottom - top) / 2, left + right, top + bottom), -1),
            ranked.depths[..., None],
            ranked.headings,
            ranked.sizes,
            boxes[..., :2],
            ranked.confidences[..., None],
        ],
        -1,
    )
    yield Check("dets", rows, case.outputs["dets"])
    raw = decode_official(ranked, projections, sizes, bins)
    keep = ranked.scores >= case.reference["threshold"]
    batch = torch.arange(len(keep))[:, None].expand_as(keep)
    columns = [
        batch,
        ranked.labels,
        raw["alpha"],
        raw["boxes2d"],
        raw["sizes"],
        raw["locations"],
        raw["rotation_y"],
        raw["scores"],
    ]
    columns = [x.double().reshape(*keep.shape, -1) for x in columns]
    yield Check("detections", torch.cat(columns, -1)[keep], case.outputs["detections"])


LOSS_NAMES = {
    "loss_ce": "class",
    "loss_center": "centre",
    "loss_bbox": "sides",
    "loss_giou": "giou",
    "loss_depth": "depth",
    "loss_dim": "size",
    "loss_angle": "heading",
    "loss_depth_map": "depth_map",
}


def losses(case: Case) -> Iterator[Check]:
    inputs = {k: torch.from_numpy(v) for k, v in case.inputs.items()}
    targets = padded_targets(inputs)
    bins = DepthBins(inputs["pred_depth_map_logits"].shape[1] - 1)
    weights = {
        LOSS_NAMES[name]: value for name, value in case.reference.get("weights", {}).items() if name in LOSS_NAMES
    }
    criterion = MonoCriterion(bins, inputs["pred_angle"].shape[-1] // 2, convention="official", weights=weights)
    logits = inputs["pred_depth_map_logits"]
    classes, _ = criterion.depth_map_targets(targets, logits.shape[-2:])
    yield Check("depth_map_target_bins", classes, case.outputs["depth_map_target_bins"])
    for mode in sorted({name.split("/")[0] for name in case.outputs if "/" in name}):
        expected = {name.split("/")[1]: value for name, value in case.outputs.items() if name.startswith(mode + "/")}
        pairs = sum(expected[f"match_0_{image}"].shape[1] for image in range(len(targets.counts)))
        groups = max(1, pairs // max(1, sum(targets.counts)))
        all_queries = inputs["pred_logits"].shape[2]
        queries = all_queries if mode == "train" else all_queries // _train_groups(case, targets)
        layers = [
            {
                "logits": inputs["pred_logits"][i, :, :queries],
                "boxes": torch.cat((inputs["center"], inputs["ltrb"]), -1)[i, :, :queries],
                "sizes": inputs["pred_3d_dim"][i, :, :queries],
                "depths": inputs["depth_mean"][i, :, :queries, 0],
                "depth_log_variances": inputs["depth_logvar"][i, :, :queries, 0],
                "headings": inputs["pred_angle"][i, :, :queries],
            }
            for i in range(len(inputs["pred_logits"]))
        ]
        outputs = {**layers[-1], "depth_logits": logits, "auxiliary": layers[:-1]}
        matches = criterion.matcher(layers, targets, groups)
        for index, (picture, query, item) in enumerate(matches):
            for image in range(len(targets.counts)):
                pair = torch.stack((query[picture == image], item[picture == image]))
                yield Check(f"{mode}/match_{index}_{image}", pair, expected[f"match_{index}_{image}"])
        found = criterion(outputs, targets, groups)
        weighted = criterion.weighted(found)
        statistics = {"": criterion.statistics(outputs, targets, matches[-1])}
        statistics |= {
            f"_{i}": criterion.statistics(x, targets, m)
            for i, (x, m) in enumerate(zip(layers[:-1], matches, strict=False))
        }
        for name, value in expected.items():
            if name.startswith("match_"):
                continue
            if name == "total":
                yield Check(f"{mode}/total", sum(weighted.values()), value)
                continue
            stem, suffix = (name[:-2], name[-2:]) if name[-2:-1] == "_" and name[-1].isdigit() else (name, "")
            actual = found[LOSS_NAMES[stem] + suffix] if stem in LOSS_NAMES else statistics[suffix][stem]
            yield Check(f"{mode}/{name}", actual, value)


def _train_groups(case: Case, targets: MonoTargets) -> int:
    pairs = sum(case.outputs[f"train/match_0_{image}"].shape[1] for image in range(len(targets.counts)))
    return max(1, pairs // max(1, sum(targets.counts)))


def padded_targets(inputs: dict[str, torch.Tensor]) -> MonoTargets:
    counts = inputs["num_gt"].tolist()
    longest = max(counts)

    def pad(x: torch.Tensor) -> torch.Tensor:
        out = x.new_zeros(len(counts), longest, *x.shape[1:])
        for i, part in enumerate(x.split(counts)):
            out[i, : len(part)] = part
        return out

    centre, extent = inputs["boxes"][:, :2], inputs["boxes"][:, 2:]
    return MonoTargets(
        labels=pad(inputs["labels"].long()),
        boxes=pad(inputs["boxes_3d"]),
        boxes2d=pad(torch.cat((centre - extent / 2, centre + extent / 2), -1)),
        depths=pad(inputs["depth"][:, 0]),
        sizes=pad(inputs["size_3d"]),
        heading_bins=pad(inputs["heading_bin"][:, 0]),
        heading_residuals=pad(inputs["heading_res"][:, 0]),
        valid=torch.arange(longest) < torch.tensor(counts)[:, None],
        counts=tuple(counts),
    )


def targets(case: Case) -> Iterator[Check]:
    """Rows of dropped objects are zero in the reference, so ours are zeroed too."""
    labels = parse_labels("\n".join(map(str, case.inputs["label_lines"])))
    image = case.inputs["image"].astype(np.uint8)
    size, resolution = tuple(case.reference["image_size"]), tuple(case.reference["resolution"])
    rows = len(next(v for k, v in case.outputs.items() if k.endswith("/labels")))
    for name, variant in case.reference["variants"].items():
        crop = variant if isinstance(variant, dict) else {}
        found = official_targets(
            labels,
            case.inputs["P2"].astype(np.float64),
            size,
            resolution,
            KITTI_CLASSES,
            wanted=case.reference["overrides"].get("writelist"),
            flip="flip" in name,
            **crop,
        )
        keep, transform = found["keep"], found["transform"]
        affine = official_transform(size, resolution, **crop)
        encoded = centre_boxes(torch.from_numpy(found["centers2d"]), torch.from_numpy(found["boxes2d"]), resolution)
        bins, residuals = encode_heading(torch.from_numpy(found["alpha3d"]), 12)
        left, top, right, bottom = (found["boxes2d"] / np.array([*resolution, *resolution])).T
        values = {
            "labels": found["labels3d"],
            "boxes": np.stack([(left + right) / 2, (top + bottom) / 2, right - left, bottom - top], 1),
            "boxes_3d": encoded.numpy(),
            "depth": found["depths"][:, None],
            "size_3d": found["sizes"],
            "heading_bin": bins.numpy()[:, None],
            "heading_res": residuals.numpy()[:, None],
            "mask_2d": keep,
        }
        yield Check(f"{name}/trans", affine.matrix, case.outputs[f"{name}/trans"])
        yield Check(f"{name}/trans_inv", affine.inverse().matrix, case.outputs[f"{name}/trans_inv"])
        warped = torch.from_numpy(transform.apply(image, "linear").transpose(2, 0, 1).copy())
        mean, std = (torch.tensor(x).view(3, 1, 1) for x in (MonoDETR.mean, MonoDETR.std))
        step_y, step_x = (
            n // s for n, s in zip(warped.shape[1:], case.outputs[f"{name}/image"].shape[1:], strict=True)
        )
        pixels = ((warped / 255 - mean) / std)[:, 5::step_y, 3::step_x]
        yield Check(f"{name}/image", pixels, case.outputs[f"{name}/image"], atol=0.03)
        for key, value in values.items():
            value = np.where(keep.reshape(-1, *[1] * (value.ndim - 1)), value, 0)[:rows]
            yield Check(f"{name}/{key}", value, case.outputs[f"{name}/{key}"])


KINDS = {"monodetr": network, "monodetr_loss": losses, "monodetr_targets": targets}
