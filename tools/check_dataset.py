"""Look at every file of a data set before training on it.

python tools/check_dataset.py RECIPE [--cfg-options KEY=VALUE ...]        the data sets of a recipe
python tools/check_dataset.py LAYOUT ROOT [KEY=VALUE ...]                 a reader by name: KittiObject, NuScenes, NYUv2, ADE20K, ...

Exits with 1 when a file is missing or broken; --all names every one of them.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from perception.engine.command import run_command


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        epilog=__doc__.split("\n", 2)[2],
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("what", metavar="RECIPE|LAYOUT")
    parser.add_argument("root", nargs="?", metavar="ROOT")
    parser.add_argument("options", nargs="*", metavar="KEY=VALUE", help="further arguments of the reader, JSON values")
    parser.add_argument("--all", action="store_true", help="name every missing or broken file, not just the first five")
    parser.add_argument("--cfg-options", nargs="+", action="extend", default=[], metavar="KEY=VALUE")
    return parser.parse_args(arguments)


def value_of(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def built(config: dict[str, Any]) -> Any:
    """The data set, without the samples whose files are missing where its reader can leave them out: the others are checked as well."""
    import inspect

    from perception.datasets.files import FileDataset
    from perception.datasets.registry import build_dataset, dataset_class

    reader = dataset_class(config.get("type", ""))
    if inspect.isclass(reader) and issubclass(reader, FileDataset):
        accepted = inspect.signature(reader).parameters.values()
        if any(p.name == "missing" or p.kind is p.VAR_KEYWORD for p in accepted):
            config = {"missing": "skip", **config}
    return build_dataset(config)


def configurations(options: argparse.Namespace) -> Iterator[tuple[str, dict[str, Any]]]:
    """(title, data set configuration) of what was named."""
    from perception.errors import RecipeError

    if not options.what.endswith(".py"):
        if options.root is None:
            raise RecipeError(
                f"check_dataset needs the root folder of {options.what}: check_dataset.py {options.what} ROOT"
            )
        pairs = [option.partition("=") for option in options.options]
        wrong = [key for key, equals, _ in pairs if not equals]
        if wrong:
            raise RecipeError(f"options must read KEY=VALUE; found {wrong[0]!r}")
        yield options.what, {"type": options.what, "root": options.root, **{key: value_of(v) for key, _, v in pairs}}
        return
    from perception.engine.recipe import load_recipe

    recipe = load_recipe(options.what, options.cfg_options)
    for name in ("train_dataloader", "val_dataloader", "test_dataloader"):
        loader = recipe.get(name)
        if loader and loader.get("dataset"):
            yield name.removesuffix("_dataloader"), dict(loader["dataset"])


def main(arguments: list[str] | None = None) -> int:
    options = parse_arguments(arguments)

    def body() -> int:
        from perception.engine.progress import progress
        from perception.errors import DatasetError

        good, count = True, 0
        for title, config in configurations(options):
            count += 1
            dataset = built(config)
            if not hasattr(dataset, "check"):
                print(f"{title}: {config['type']} makes its samples itself; {len(dataset)} samples, nothing to check")
                continue
            report = dataset.check(lambda items, title=title: progress(items, title))
            print(report.text(None if options.all else 5))
            good &= report.ok
        if not count:
            raise DatasetError(f"the recipe {options.what!r} names no data set")
        return 0 if good else 1

    return run_command(body)


if __name__ == "__main__":
    sys.exit(main())
