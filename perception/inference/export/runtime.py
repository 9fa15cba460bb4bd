"""Predicting with an exported ONNX file: the network runs in ONNX Runtime, everything around it is the model's own code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from perception.errors import InputError, WeightsError
from perception.inference.export.files import KEY
from perception.inference.export.structure import unflatten
from perception.models.registry import build_model


def open_session(path: str | Path, threads: int | None = None) -> Any:
    """Open an ONNX file in ONNX Runtime (CUDA where its GPU build is installed, else the CPU).

    Raises `WeightsError` for a file that is missing or no ONNX model, and when ONNX Runtime is not installed.
    """
    try:
        import onnxruntime
    except ImportError:
        raise WeightsError("ONNX Runtime is not installed: pip install 'perception3d[export]'") from None
    path = Path(path)
    if not path.is_file():
        raise WeightsError(f"the ONNX file {str(path)!r} is not there; write it with `perception export`")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = threads or torch.get_num_threads()
    providers = [
        name
        for name in ("CUDAExecutionProvider", "CPUExecutionProvider")
        if name in onnxruntime.get_available_providers()
    ]
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=providers)
    except Exception as error:  # onnxruntime's exceptions have no common base
        reason = str(error).strip().splitlines()[0][:160]
        raise WeightsError(f"{path.name!r} is not an ONNX model that ONNX Runtime can open: {reason}") from None


def run_session(session: Any, inputs: dict[str, torch.Tensor]) -> list[np.ndarray]:
    """Run `session` on tensors by name; inputs that the exporter found unused are left out."""
    feeds = {item.name: inputs[item.name].cpu().numpy() for item in session.get_inputs()}
    return session.run(None, feeds)


class OnnxModel:
    """Stands where `Predictor` wants a model: preprocessing and post-processing in Python, the network in ONNX Runtime.

    Sessions may be shared by threads, and this object keeps nothing of a call.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.session = open_session(path)
        text = self.session.get_modelmeta().custom_metadata_map.get(KEY)
        if text is None:
            raise WeightsError(f"{self.path.name!r} was not written by `perception export`, so nobody knows its model")
        try:
            description = json.loads(text)
            self.config, self.structure = description["model"], description["structure"]
            self.shapes, self.free = description["inputs"], description["free"]
        except (ValueError, KeyError, TypeError) as error:
            raise WeightsError(f"the description inside {self.path.name!r} is broken: {error!r}") from None
        self.about = dict(description.get("about") or {})
        from perception.inference.loading import without_downloads

        # preprocessing and post-processing live in the class; its weights stay at random and are not used
        self.python = build_model(without_downloads(self.config)).eval()

    def __call__(self, **inputs: torch.Tensor) -> Any:
        """The network's named outputs, float32 tensors on the CPU. Raises `InputError` for a size that the file does not take."""
        batch = len(next(iter(inputs.values())))
        for name, value in inputs.items():
            fixed = [
                (axis, length) for axis, length in enumerate(self.shapes[name]) if axis not in self.free[name] and axis
            ]
            if any(value.shape[axis] != length for axis, length in fixed):
                if hasattr(self.python, "beyond_export"):  # the model knows how to make do with what the file takes
                    return self.python.beyond_export(self, **inputs)
                raise InputError(
                    f"{self.path.name} takes {name!r} of shape {self.shapes[name][1:]}, found {list(value.shape[1:])}; "
                    "its picture size is fixed: export it again with --size of these pictures"
                )
        if all(0 in self.free[name] for name in inputs) or batch == self._fixed_batch:
            found = run_session(self.session, inputs)
        else:  # the file's batch is fixed: fill it up and cut the rest off
            parts = [self._filled(inputs, start) for start in range(0, batch, self._fixed_batch)]
            found = [np.concatenate(pieces)[:batch] for pieces in zip(*parts, strict=True)]
        return unflatten(self.structure, [torch.from_numpy(value) for value in found])

    def _filled(self, inputs: dict[str, torch.Tensor], start: int) -> list[np.ndarray]:
        size = self._fixed_batch
        part = {}
        for name, value in inputs.items():
            piece = value[start : start + size]
            part[name] = torch.cat([piece, piece[-1:].expand(size - len(piece), *piece.shape[1:])])
        return run_session(self.session, part)

    @property
    def _fixed_batch(self) -> int:
        return next(iter(self.shapes.values()))[0]

    def __getattr__(self, name: str) -> Any:
        """`preprocess`, `predict`, `tasks`, `camera_kind` ... are the Python model's."""
        if name == "python":
            raise AttributeError(name)
        if name == "history":  # the file takes one moment
            return 0
        return getattr(self.python, name)
