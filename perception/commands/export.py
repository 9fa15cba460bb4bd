"""``perception export``: a model as a file for other runtimes, checked against the model."""

from __future__ import annotations

import argparse
from typing import Any

from perception.errors import PerceptionError


def add(commands: Any) -> None:
    """Add the command to argparse's subparsers."""
    command = commands.add_parser("export", help="write a model as ONNX or torch.export program, checked against it")
    command.add_argument("model", metavar="MODEL", help="name of the zoo, folder or checkpoint")
    command.add_argument("--format", choices=("onnx", "torch-export"), default="onnx")
    command.add_argument("--out", required=True, metavar="F", help="file to write, such as model.onnx or model.pt2")
    command.add_argument(
        "--size", default="640x480", metavar="WxH", help="size of the pictures where the network cannot take any size"
    )
    command.add_argument(
        "--trust-checkpoint", action="store_true", help="allow a checkpoint to run code; only for your own files"
    )
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Write the file; return the exit status."""
    from perception.inference import load
    from perception.inference.export import export_model

    try:
        width, height = (int(part) for part in options.size.lower().split("x"))
    except ValueError:
        raise PerceptionError(f"--size takes WIDTHxHEIGHT in pixels, such as 640x480; found {options.size!r}") from None
    predictor = load(options.model, device="cpu", trust_checkpoint=options.trust_checkpoint)
    report = export_model(
        predictor.model, options.format, options.out, about=predictor.about, width=width, height=height
    )
    print(report.text)
    return 0
