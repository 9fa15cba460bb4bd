"""`load`: from a name or a path to a model that takes pictures.

Looked for in this order: an existing path (published folder, training checkpoint), a bundled model, the cache folder, the official address.
"""

from __future__ import annotations

import dataclasses
import importlib
from pathlib import Path
from typing import Any

import torch

from perception.errors import InputError, WeightsError
from perception.inference.download import download_file
from perception.inference.predictor import Predictor
from perception.inference.zoo import BUNDLED, CONFIG_NAME, WEIGHTS_NAME, Entry, cache_folder, entries, entry
from perception.io.checkpoints import load_strictly, read_checkpoint, read_json, sha256_of, state_dict_of
from perception.models.registry import build_model

PANORAMA = "panorama-"  # prefix of a name: a perspective model on panoramas
_LOCAL: dict[str, Any] = {
    "pretrained": False,
    "checkpoint": None,
}  # where training began, which may lie on another machine


def load(
    name_or_path: str | Path = "default",
    device: str | torch.device = "auto",
    dtype: str | torch.dtype = "auto",
    trust_checkpoint: bool = False,
) -> Predictor:
    """Return a ready model.

    Args:
        name_or_path: a name of `perception.list_models()`, ``panorama-<name or path>`` (that perspective depth model on panoramas), "default" (the bundled depth, normals and segmentation model), a folder with
            ``config.json`` and ``model.safetensors``, ``hub:owner/name`` of such a folder on the Hugging Face hub, a checkpoint that
            `tools/train.py` wrote, or an ``.onnx`` file that `perception export` wrote.
        device: "auto" (CUDA, then MPS, then CPU) or a torch device name.
        dtype: "auto" (bfloat16 autocast on CUDA, float32 elsewhere), "float32", "bfloat16" or "float16", or torch's own.
        trust_checkpoint: allow a checkpoint that is not plain tensors to run the code inside it. Only for your own files.

    Raises `WeightsError` when nothing by that name exists, the file is broken, unsafe or belongs to another architecture, or a download
    is needed and cannot be made; `InputError` for an unknown device or dtype.
    """
    chosen = resolve_device(device)
    precision = resolve_dtype(dtype, chosen)
    name = str(name_or_path)
    path = Path(name_or_path)
    if name.startswith("hub:"):
        from perception.inference.hub import download

        path = download(name.removeprefix("hub:"))
    if name != "default" and path.exists():
        model, about = _from_path(path, trust_checkpoint)
    elif name.startswith(PANORAMA) and name not in entries():
        model, about = _panorama(name, trust_checkpoint)
    else:
        model, about = _from_zoo(entry(_default_name() if name == "default" else name), trust_checkpoint)
    about.setdefault("name", name)
    kind = _predictor_class(model)
    if not isinstance(model, torch.nn.Module):  # an exported file: its runtime has the device
        return kind(model, device=torch.device("cpu"), dtype=torch.float32, about=about)
    return kind(model.eval().to(chosen), device=chosen, dtype=precision, about=about)


def _predictor_class(model: Any) -> type[Predictor]:
    """What calls the model: single pictures, pairs of them, or the sensors of a vehicle."""
    takes = getattr(model, "camera_kind", "pinhole")
    if takes == "rig":
        from perception.inference.rig_predictor import RigPredictor

        return RigPredictor
    if takes == "pair":
        from perception.inference.pair_predictor import PairPredictor

        return PairPredictor
    return Predictor


def _panorama(name: str, trust: bool) -> tuple[torch.nn.Module, dict[str, Any]]:
    """``panorama-<model>``: a perspective depth model of the zoo, or a path, on the tangent images of a panorama."""
    from perception.inference.panorama import PanoramaDepth

    inner = name.removeprefix(PANORAMA)
    path = Path(inner)
    if inner != "default" and path.exists():
        model, about = _from_path(path, trust)
    else:
        model, about = _from_zoo(entry(_default_name() if inner == "default" else inner), trust)
    title = f"{about.get('title', inner)}, on panoramas"
    return PanoramaDepth(model), about | {"name": name, "title": title, "tasks": ["depth", "panorama"]}


def read_published(folder: Path) -> tuple[torch.nn.Module, dict[str, Any]]:
    """Build the model of a published folder (``config.json`` + ``model.safetensors``); half-precision weights become float32.

    Returns the model and the ``about`` part of its configuration. Raises `WeightsError`.
    """
    config = read_json(folder / CONFIG_NAME)
    if not isinstance(config.get("model"), dict):
        raise WeightsError(
            f"{str(folder / CONFIG_NAME)!r} should have a 'model' object; found keys {sorted(config)[:5]}"
        )
    model = build_model(without_downloads(config["model"]))
    state = read_checkpoint(folder / WEIGHTS_NAME)
    state = {key: value.float() if value.is_floating_point() else value for key, value in state.items()}
    load_strictly(model, state, f"the weights in {folder.name!r}")
    return model, dict(config.get("about", {}))


def resolve_device(device: str | torch.device) -> torch.device:
    """ "auto" -> the best device here. Raises `InputError` for a device that this machine or torch does not have."""
    if device == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        chosen = torch.device(device)
        torch.empty(0, device=chosen)
    except (RuntimeError, AssertionError) as error:
        raise InputError(
            f"the device {str(device)!r} cannot be used here: {str(error).splitlines()[0]}; try device='auto'"
        ) from None
    return chosen


def resolve_dtype(dtype: str | torch.dtype, device: torch.device) -> torch.dtype:
    """Precision of the network's arithmetic; results are float32 always."""
    known = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
    if dtype == "auto":
        return torch.bfloat16 if device.type == "cuda" else torch.float32
    chosen = known.get(str(dtype).removeprefix("torch."))
    if chosen is None:
        raise InputError(f"dtype should be 'auto' or one of {', '.join(known)}; found {dtype!r}")
    return chosen


def _default_name() -> str:
    """The bundled model that declares itself the default."""
    for config in sorted(BUNDLED.glob(f"*/{CONFIG_NAME}")):
        if read_json(config).get("about", {}).get("default"):
            return config.parent.name
    raise WeightsError("this installation bundles no default model; name one of `perception models` or give a path")


def _not_published(folder: Path) -> str:
    """What to say of a folder without ``config.json``: that of a training run has it one floor below."""
    if (folder / "export" / CONFIG_NAME).is_file():
        return f"{str(folder)!r} is the folder of a training run; load what it published, {str(folder / 'export')!r}"
    return f"the folder {str(folder)!r} is no published model: expected {CONFIG_NAME} and {WEIGHTS_NAME} in it"


def _from_path(path: Path, trust: bool) -> tuple[Any, dict[str, Any]]:
    if path.is_dir():
        if not (path / CONFIG_NAME).is_file():
            raise WeightsError(_not_published(path))
        return read_published(path)
    if path.suffix == ".py":
        raise WeightsError(
            f"{str(path)!r} is a recipe and has no weights: train it with tools/train.py and load the run folder's export/, or name one of `perception models`"
        )
    if path.suffix == ".onnx":
        from perception.inference.export.runtime import OnnxModel

        exported = OnnxModel(path)
        return exported, {"title": f"exported {path.name}", **exported.about}
    if path.name == WEIGHTS_NAME and (path.parent / CONFIG_NAME).exists():
        return read_published(path.parent)
    checkpoint = read_checkpoint(path, trust)
    config = checkpoint.get("model_config") if isinstance(checkpoint, dict) else None
    if not isinstance(config, dict):
        raise WeightsError(
            f"{path.name!r} does not say which model it belongs to; convert it with `python tools/convert.py SYSTEM {path.name} OUT` "
            "and load the folder OUT"
        )
    model = build_model(without_downloads(config))
    load_strictly(
        model, state_dict_of(checkpoint, keys=("ema_state_dict", "state_dict")), f"the checkpoint {path.name!r}"
    )
    return model, {"title": f"checkpoint {path.name}"}


def _from_zoo(chosen: Entry, trust: bool) -> tuple[torch.nn.Module, dict[str, Any]]:
    about = {"name": chosen.name, "title": chosen.title, "licence": chosen.licence, "tasks": list(chosen.tasks)}
    if chosen.bundled:
        model, inner = read_published(BUNDLED / chosen.name)
        return model, inner | about
    file = fetch(chosen)
    converter = importlib.import_module(chosen.converter) if chosen.converter else None
    if chosen.more_files:
        for name in chosen.more_files:
            fetch(dataclasses.replace(chosen, address=f"{chosen.address.rsplit('/', 1)[0]}/{name}", sha256=""))
        state = converter.read_folder(file.parent, trust)
    else:
        state = state_dict_of(read_checkpoint(file, trust))
    model = build_model(without_downloads(chosen.model or converter.variant(state)))
    if converter is not None:
        state = converter.convert(state)
    load_strictly(model, state, f"the weights {file.name!r}")
    return model, about


def fetch(chosen: Entry) -> Path:
    """Return the local weights file of a published entry, downloading it if need be.

    The download goes to a temporary file beside its place and is moved there only when it is complete and its SHA-256 (where one is known)
    is right. Raises `WeightsError` with what to download and where to put it.
    """
    place = cache_folder() / chosen.name / chosen.file_name
    if place.exists():
        _check_digest(place, chosen)
        return place
    if chosen.by_hand:
        raise WeightsError(
            f"the weights of {chosen.name!r} are not on this machine; fetch them by hand from {chosen.address} ({chosen.title}) and put the file at {place}"
        )
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        if chosen.address.startswith("hub:"):
            from huggingface_hub import hf_hub_download

            repository, file_name = _hub_file(chosen.address)
            place = Path(hf_hub_download(repository, file_name, cache_dir=str(cache_folder() / "hub")))
        else:
            download_file(chosen.address, place, chosen.sha256)
    except WeightsError:
        raise
    except Exception as error:  # every network library has its own errors; the user needs one sentence
        raise WeightsError(
            f"the weights of {chosen.name!r} are not on this machine and could not be downloaded ({type(error).__name__}); fetch "
            f"{_web_address(chosen)} and put it at {place}"
        ) from None
    try:
        _check_digest(place, chosen)
    except WeightsError:
        place.resolve().unlink(missing_ok=True)  # the hub's cache holds a link to it
        place.unlink(missing_ok=True)
        raise
    return place


def _check_digest(path: Path, chosen: Entry) -> None:
    if chosen.sha256 and sha256_of(path) != chosen.sha256:
        raise WeightsError(
            f"the file {str(path)!r} is not the published one (its SHA-256 differs); delete it and load again"
        )


def _hub_file(address: str) -> tuple[str, str]:
    """``hub:owner/name/path/of/file`` -> repository ``owner/name`` and path in it."""
    owner, name, file_name = address.removeprefix("hub:").split("/", 2)
    return f"{owner}/{name}", file_name


def _web_address(chosen: Entry) -> str:
    if not chosen.address.startswith("hub:"):
        return chosen.address
    repository, file_name = _hub_file(chosen.address)
    return f"https://huggingface.co/{repository}/resolve/main/{file_name}"


def without_downloads(config: dict[str, Any]) -> dict[str, Any]:
    """The same configuration without `pretrained=True` and `checkpoint="file"`: the weights that follow replace whatever would be read."""
    return {
        key: without_downloads(value) if isinstance(value, dict) else _LOCAL.get(key, value)
        for key, value in config.items()
    }
