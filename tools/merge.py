"""Merge fine-tuned models by LiNeS: `python tools/merge.py --base base.safetensors --tuned depth.pth normals.pth --out merged.safetensors`.

The changes that fine-tuning made are scaled from --shallow at the input to --deep at the output, added up, and added to the base. With one
tuned model and --shallow below 1, its shallow layers move back towards the base, which keeps what the base could do.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from perception.engine.command import run_command


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Merge fine-tuned models layer by layer (LiNeS).")
    parser.add_argument(
        "--base", required=True, type=Path, help="weights that all fine-tuning began with: file or published folder"
    )
    parser.add_argument(
        "--tuned", required=True, type=Path, nargs="+", help="fine-tuned weights: files or published folders"
    )
    parser.add_argument(
        "--out", required=True, type=Path, help="file (.pth or .safetensors), or a folder if the tuned model is one"
    )
    parser.add_argument("--shallow", type=float, help="factor at the first layer (default: 1 / number of tuned models)")
    parser.add_argument("--deep", type=float, default=1.0, help="factor at the last layer (default: 1)")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    options = parse_arguments(arguments)
    import torch
    from safetensors.torch import save

    from perception.inference.loading import without_downloads
    from perception.io.atomic import atomic_write
    from perception.io.checkpoints import read_checkpoint, read_json, state_dict_of
    from perception.models.merging import lines_merge
    from perception.models.registry import build_model

    def read(path: Path) -> dict[str, torch.Tensor]:
        """Weights of a file or a published folder; of a training's checkpoint the averaged ones, as `perception.load` takes them."""
        checkpoint = read_checkpoint(path / "model.safetensors" if path.is_dir() else path)
        return state_dict_of(checkpoint, keys=("ema_state_dict", "state_dict", "model"))

    def order_of(path: Path) -> list[str] | None:
        """Entries of a published folder's model from input to output, which its file holds sorted by name."""
        if not path.is_dir():
            return None
        config = without_downloads(read_json(path / "config.json")["model"])
        with torch.device("meta"):
            return list(build_model(config).state_dict())

    base, tuned = read(options.base), [read(path) for path in options.tuned]
    merged = lines_merge(base, tuned, options.shallow, options.deep, order_of(options.tuned[0]))
    out, first = options.out, options.tuned[0]
    if first.is_dir() and not out.suffix:
        with atomic_write(out / "config.json") as file:
            file.write((first / "config.json").read_bytes())
        out = out / "model.safetensors"
    with atomic_write(out) as file:
        if out.suffix == ".safetensors":
            file.write(save({key: value.contiguous() for key, value in merged.items()}))
        else:
            torch.save({"state_dict": merged}, file)
    print(f"merged {len(tuned)} fine-tuned model(s) into {len(merged)} tensors: {out}")
    return 0


if __name__ == "__main__":
    sys.exit(run_command(main))
