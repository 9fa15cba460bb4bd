"""kMaX-DeepLab (PyTorch port and TensorFlow original): network, losses, post-processing; the aggregation of our PolyMaX heads."""

from __future__ import annotations

import re
from collections.abc import Iterable

import numpy as np
import torch

from perception.models.polymax.kmax import KMaXNetwork
from perception.models.polymax.official import network_config
from perception.models.polymax.weights import convert, convert_tensorflow, load_official
from tests.parity.runner import Case, Check, kept_every


def _network(case: Case, variant: str) -> KMaXNetwork:
    """Build the case's network, sizes taken from the state, and load the official weights."""
    shapes = {key: tuple(spec["shape"]) for key, spec in case.manifest["state"].items()}
    network = KMaXNetwork(**network_config(shapes, variant))
    variables = case.reference.get("tf_variables")
    if variables:
        weights = convert_tensorflow(
            {name: _to_tf(case.state[key], key, shape) for name, (key, shape) in variables.items()}
        )
    else:
        weights = convert(case.state)
    load_official(network, weights)
    return network.eval()


def _to_tf(value: np.ndarray, key: str, shape: list[int]) -> np.ndarray:
    """Undo the layout change: what the TensorFlow checkpoint holds for the PyTorch array `value`."""
    if "_cluster_centers" in key:
        return value.T[None]
    if "qkv_transform" in key:
        return value[..., 0].T
    if "_rpe." in key or value.ndim < 2:
        return value.reshape(shape)
    if value.ndim == 2:
        return value.T
    if value.ndim == 3:
        return value.transpose(2, 1, 0)
    if len(shape) == 3:
        return value[..., 0, 0].T[None]
    layouts = ((2, 3, 1, 0), (2, 3, 0, 1))
    return next(value.transpose(order) for order in layouts if list(value.transpose(order).shape) == list(shape))


def _subsample(case: Case, tensors: dict[str, torch.Tensor]) -> Iterable[Check]:
    """Compare every stored output with the named tensor, flattened and strided as the manifest says."""
    layout = case.reference["output_layout"]
    for name, expected in case.outputs.items():
        shape, stride = layout[name]
        actual = tensors[name]
        if list(actual.shape) != list(shape):
            yield Check(name, actual, np.zeros(shape))
        else:
            yield Check(name, actual.reshape(-1)[::stride], expected)


def _run(case: Case, variant: str) -> Iterable[Check]:
    network = _network(case, variant)
    image = torch.from_numpy(case.inputs["image"])
    with torch.no_grad():
        outputs = network(image, auxiliary=True)
        trunk = network.trunk
        features = trunk.backbone(trunk.normalise(image))
        maps = trunk.pixel_decoder(features[::-1])
    # The stages by depth; with a stem among the maps it is the narrowest, or the first of the narrowest.
    stages = list(features)
    stem = stages.pop(trunk.backbone.channels.index(min(trunk.backbone.channels))) if len(stages) == 5 else None
    if stem is None and {"encoder.stage1", "backbone.stem"} & case.outputs.keys():
        stem = _stem(trunk.backbone, trunk.normalise(image))
    named = {f"{place}{i}": stage for i, stage in enumerate(stages, 2) for place in ("backbone.res", "encoder.stage")}
    named |= {"backbone.stem": stem, "encoder.stage1": stem}
    named |= {f"pixel_decoder.os{s}": m for s, m in zip((32, 16, 8), maps, strict=False)}
    named["panoptic_feature"] = maps[-1]
    for index, layer in enumerate(outputs["layers"]):
        named |= {f"layer{index}.{name}": value for name, value in layer.items()}
        named[f"layer{index}.cluster_centers"] = layer["clusters"]
    named |= {name: value for name, value in outputs.items() if name != "layers"}
    named |= _aggregate(case, named["mask_logits"])
    yield from _subsample(case, named)


def _stem(backbone: torch.nn.Module, image: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return backbone.stem(image) if hasattr(backbone, "stem") else backbone.downsample[0](image)


def _aggregate(case: Case, mask_logits: torch.Tensor) -> dict[str, torch.Tensor]:
    """What the clusters' given values become: `<task>_values` of shape (N,) or (N, components) -> `definition.<task>`."""
    from perception.models.polymax.aggregate import aggregate, unit

    found = {}
    for name, values in case.inputs.items():
        if name.endswith("_values"):
            task, columns = name.removesuffix("_values"), torch.from_numpy(values).reshape(len(values), -1)
            result = aggregate(mask_logits, columns.expand(len(mask_logits), -1, -1))
            result = unit(result) if task == "normal" else result
            found[f"definition.{task}"] = result[:, 0] if values.ndim == 1 else result
    return found


def _variant(case: Case) -> str:
    """ "tf" for cases of the TensorFlow original, "torch" for those of the PyTorch port; the manifest tells."""
    reference = case.reference
    is_tf = (
        "tf_variables" in reference
        or "deeplab2" in reference.get("repo", "")
        or "TensorFlow" in reference.get("entry", "")
    )
    return "tf" if is_tf else "torch"


KINDS = {kind: lambda case: _run(case, _variant(case)) for kind in ("kmax", "polymax")}


def _loss(case: Case) -> Iterable[Check]:
    """Matching and unweighted losses of final and auxiliary outputs."""
    from perception.models.polymax.criterion import KMaXCriterion, SegmentTargets, auxiliary_semantic_loss

    data = {name: torch.from_numpy(np.asarray(value)) for name, value in case.inputs.items()}
    batch = data["pred_logits"].shape[0]
    targets = SegmentTargets.from_masks(
        [data[f"gt_labels{b}"] for b in range(batch)], [data[f"gt_masks{b}"] for b in range(batch)]
    )
    criterion = KMaXCriterion(case.reference["num_classes"], samples=None, floor=case.reference["eos_coef"])

    def prediction(suffix: str) -> dict[str, torch.Tensor]:
        names = {"class_logits": "pred_logits", "mask_logits": "pred_masks", "pixel_feature": "pixel_feature"}
        return {ours: data[theirs + suffix] for ours, theirs in names.items()}

    assignment = criterion.match(prediction(""), targets)
    for index, rows in enumerate(assignment.rows):
        if f"match{index}" in case.outputs:
            columns = (rows < data["pred_logits"].shape[1]).nonzero()[:, 0]
            columns = columns[rows[columns].argsort()]
            yield Check(f"match{index}", torch.stack([rows[columns], columns]), case.outputs[f"match{index}"])
    names = {"class": "loss_ce", "dice": "loss_dice", "mask": "loss_mask", "instance": "loss_pixel_insdis"}
    suffixes = ["", *sorted({m[1] for name in case.outputs if (m := re.search(r"loss_ce(_\d+)$", name))})]
    for suffix in suffixes:
        shared = not suffix or case.reference.get("share_final_matching", True)
        own = assignment if shared else criterion.match(prediction(suffix), targets)
        for name, value in criterion(prediction(suffix), targets, own).items():
            key = f"loss.{names[name]}{suffix}"
            if key in case.outputs:
                yield Check(key, value.reshape(case.outputs[key].shape), case.outputs[key])
    if "loss.loss_aux_semantic" in case.outputs:
        truth = torch.stack([data[f"gt_semantic{b}"] for b in range(batch)])
        loss = auxiliary_semantic_loss(data["aux_semantic_pred"], truth)
        expected = case.outputs["loss.loss_aux_semantic"]
        yield Check("loss.loss_aux_semantic", loss.reshape(expected.shape), expected)


def _panoptic(case: Case) -> Iterable[Check]:
    """Painting of panoptic segments and the semantic map."""
    from perception.models.polymax.inference import PanopticThresholds, panoptic_inference, semantic_inference

    given = case.reference["thresholds"]
    thresholds = PanopticThresholds(
        thing=given["class_threshold_thing"],
        stuff=given["class_threshold_stuff"],
        pixel=given["pixel_confidence_threshold"],
        overlap=given["overlap_threshold"],
        class_power=given["reorder_class_weight"],
        mask_power=given["reorder_mask_weight"],
    )
    classes, masks = (torch.from_numpy(case.inputs[name]) for name in ("class_logits", "mask_logits"))
    things = range(given["things"]) if isinstance(given["things"], int) else given["things"]
    panoptic, segments = panoptic_inference(classes, masks, things, thresholds)
    # Pixels on the threshold may fall on either side.
    doubtful = ((masks.softmax(0) - thresholds.pixel).abs() < 1e-5).any(0)
    expected = torch.from_numpy(case.outputs["panoptic_seg"])
    yield Check("panoptic_seg", torch.where(doubtful, expected, panoptic), expected)
    rows = [[s["id"], int(s["is_thing"]), s["label"]] for s in segments]
    yield Check("segments", np.array(rows).reshape(-1, 3), case.outputs["segments"])
    semantic = semantic_inference(classes, masks)
    kept = case.outputs["semantic_prob"].shape[1:]
    step = [kept_every(full, part, 4) for full, part in zip(semantic.shape[1:], kept, strict=True)]
    yield Check("semantic_prob", semantic[:, :: step[0], :: step[1]], case.outputs["semantic_prob"])


KINDS |= {"kmax_loss": _loss, "kmax_panoptic_inference": _panoptic}
