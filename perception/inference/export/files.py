"""Exported files: ONNX and `torch.export` programs that carry their model's description and agree with the model.

The description (registry name and literals, names of inputs and outputs, free axes) is JSON inside the file, so that one file is
enough to predict with. Nothing is written before the export agrees with the eager model.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import io
import json
import logging
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from perception.errors import WeightsError
from perception.inference.export.examples import ExportError, example_inputs
from perception.inference.export.program import Traced, trace
from perception.io.atomic import atomic_path

FORMATS = ("onnx", "torch-export")
TOLERANCE = 1e-3
KEY = "perception"  # of the description, in ONNX metadata and among the extra files of a program
OPSET = 18
Outputs = list[np.ndarray]


@dataclasses.dataclass(frozen=True)
class ExportReport:
    """What was written and how far it is from the eager model: ``{output: largest difference / max(1, largest value)}``."""

    path: Path
    format: str
    free_batch: bool
    free_size: bool
    size: tuple[int, int]
    checked: tuple[str, ...]
    differences: dict[str, float]
    notes: tuple[str, ...]
    size_means: str = "picture size"

    @property
    def text(self) -> str:
        lines = [
            f"{self.format}: {self.path} ({self.path.stat().st_size / 2**20:.1f} MiB)",
            f"batch: {'any' if self.free_batch else 'fixed'}; {self.size_means}: {'any' if self.free_size else 'fixed'}",
            f"checked on {', '.join(self.checked)} against the model, tolerance {TOLERANCE:g}:",
        ]
        lines += [f"  {name:<28} {value:.2e}" for name, value in self.differences.items()]
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])


def export_model(
    model: Any,
    format: str,
    out: str | Path,
    *,
    about: dict[str, Any] | None = None,
    width: int = 640,
    height: int = 480,
) -> ExportReport:
    """Write `model` to `out` as ``onnx`` or ``torch-export`` and check it against the eager model.

    Args:
        model: a registered model (`build_model` or ``perception.load(...).model``), on the CPU.
        about: what predictions say about the model (name, title, tasks, licence).
        width, height: picture on which the network is traced; with a free size it is only an example.

    Raises:
        OutputError: the file cannot be written.
        ExportError: the file's name does not end in .onnx, the network cannot be traced or converted, or the file's answers differ by more than `TOLERANCE`.
    """
    if format not in FORMATS:
        raise ExportError(f"the format should be one of {', '.join(FORMATS)}; found {format!r}")
    model, path = model.eval(), Path(out)
    if format == "onnx" and path.suffix != ".onnx":
        raise ExportError(f"an ONNX file's name must end in .onnx; found {path.name!r}")
    with atomic_path(path) as temporary:  # which says at once where it cannot write
        traced = trace(model, width, height)
        description = _describe(model, traced, about or {})
        if format == "onnx":
            write_onnx(traced, description, temporary)
            try:
                run = _onnx_runner(temporary)
            except WeightsError:  # the converter's own simplifications may spoil a graph; ONNX Runtime has others
                write_onnx(traced, description, temporary, simplify=False)
                run = _onnx_runner(temporary)
        else:
            with temporary.open("wb") as file:  # by its name, torch would want it to end in .pt2
                torch.export.save(traced.program, file, extra_files={KEY: json.dumps(description)})
            run = _program_runner(temporary)
        checked, differences = _compare(model, traced, run, width, height)
        worst = max(differences, key=lambda name: differences[name])
        if not differences[worst] <= TOLERANCE:
            raise ExportError(
                f"the {format} export of {type(model).__name__} differs from the model: output {worst!r} by "
                f"{differences[worst]:.2e}, more than {TOLERANCE:g}; nothing was written"
            )
    return ExportReport(
        path,
        format,
        traced.free_batch,
        traced.free_size,
        (width, height),
        checked,
        differences,
        traced.notes,
        getattr(model, "export_size_means", "picture size"),
    )


def cached_export(predictor: Any, width: int = 640, height: int = 480) -> Path:
    """Return the ONNX file of a `Predictor`'s model in the cache folder; it is exported when it is not there yet.

    The file's name holds a digest of the configuration, the weights and this package's version, so it never belongs to other weights.
    """
    from perception import __version__
    from perception.inference.zoo import cache_folder

    model = predictor.model
    digest = hashlib.sha256(json.dumps([__version__, getattr(model, "build_config", None), width, height]).encode())
    for name, value in model.state_dict().items():
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    path = cache_folder() / "exports" / f"{type(model).__name__.lower()}_{digest.hexdigest()[:16]}.onnx"
    if not path.is_file():
        export_model(model, "onnx", path, about=predictor.about, width=width, height=height)
    return path


def write_onnx(traced: Traced, description: dict[str, Any], path: Path, simplify: bool = True) -> None:
    """Convert a traced program to an ONNX file. Raises `ExportError` with the converter's reason."""
    try:
        import onnxscript  # noqa: F401  (what torch's converter is built on)
    except ImportError:
        raise ExportError("ONNX export needs the extra `export`: pip install 'perception3d[export]'") from None
    level = logging.getLogger("torch.onnx").level
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            converted = torch.onnx.export(
                traced.program,
                (),
                input_names=list(traced.inputs),
                output_names=list(traced.outputs),
                opset_version=OPSET,
                dynamo=True,
                optimize=simplify,
                verbose=False,
            )
            converted.model.metadata_props[KEY] = json.dumps(description)
            converted.save(path)
    except Exception as error:  # the converter's errors have no common base
        cause = error.__cause__ or error
        reason = (str(cause).strip().splitlines() or [type(cause).__name__])[0][:200]
        raise ExportError(f"the network cannot be written as ONNX: {reason}") from error
    finally:
        logging.getLogger("torch.onnx").setLevel(level)


def _describe(model: Any, traced: Traced, about: dict[str, Any]) -> dict[str, Any]:
    config = getattr(model, "build_config", None)
    if config is None:
        raise ExportError(
            f"{type(model).__name__} does not know what it was built from; build it with build_model or load it"
        )
    return {
        "format": "perception-export/1",
        "model": config,
        "about": {key: value for key, value in about.items() if value is None or isinstance(value, str | list | bool)},
        "inputs": {name: list(value.shape) for name, value in traced.examples.inputs.items()},
        "free": {name: list(axes) for name, axes in traced.free.items()},
        "structure": traced.structure,
    }


def _compare(
    model: Any, traced: Traced, run: Callable[[dict[str, torch.Tensor]], Outputs], width: int, height: int
) -> tuple[tuple[str, ...], dict[str, float]]:
    """Run file and model on fresh pictures: the traced shape, and where they are free, another batch and another size."""
    from perception.inference.export.structure import flatten

    trials = [(2, width, height)]
    if traced.free_batch:
        trials = [(1, width, height)]
        trials.append((3, *((1242, 375) if traced.free_size else (width, height))))
    checked, differences = [], dict.fromkeys(traced.outputs, 0.0)
    for seed, (batch, w, h) in enumerate(trials, 1):
        inputs = example_inputs(model, w, h, batch, seed).inputs
        with torch.no_grad():
            names, expected, _ = flatten(model(**inputs))
        for name, wanted, found in zip(names, expected, run(inputs), strict=True):
            differences[name] = max(differences[name], _difference(found, wanted.numpy()))
        own = callable(getattr(model, "export_inputs", None))
        sizes = ["x".join(map(str, value.shape[1:])) for value in inputs.values() if value.ndim > 3]
        checked.append(f"{batch} x {sizes[0] if own and sizes else f'{w}x{h}'}")
    return tuple(checked), differences


def _difference(found: np.ndarray, wanted: np.ndarray) -> float:
    """Largest difference, relative to the largest value where that is above 1; the share of other entries for whole numbers."""
    if found.shape != wanted.shape:
        return float("inf")
    if wanted.size == 0:
        return 0.0
    if not np.issubdtype(wanted.dtype, np.floating):
        return float(np.mean(found != wanted))
    wanted = wanted.astype(np.float64)
    if not np.array_equal(np.isfinite(found), np.isfinite(wanted)):
        return float("inf")
    finite = np.isfinite(wanted)
    if not finite.any():
        return 0.0
    return float(np.abs(found[finite] - wanted[finite]).max() / max(1.0, np.abs(wanted[finite]).max()))


def _onnx_runner(path: Path) -> Callable[[dict[str, torch.Tensor]], Outputs]:
    from perception.inference.export.runtime import open_session, run_session

    session = open_session(path)
    return lambda inputs: run_session(session, inputs)


def _program_runner(path: Path) -> Callable[[dict[str, torch.Tensor]], Outputs]:
    with path.open("rb") as file:
        module = torch.export.load(file).module()

    def run(inputs: dict[str, torch.Tensor]) -> Outputs:
        values: Sequence[torch.Tensor] = module(*inputs.values())
        return [value.detach().numpy() for value in values]

    return run
