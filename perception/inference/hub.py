"""Model folders as the Hugging Face hub has them: ``config.json`` + ``model.safetensors`` + ``README.md`` (the card).

The same folder works offline (`save_pretrained`, `perception.load(folder)`) and through huggingface_hub (`push_to_hub`,
`from_pretrained("owner/name")`). Nothing in it is code: the configuration holds registry names and literals.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from perception.errors import WeightsError
from perception.inference.zoo import CONFIG_NAME, WEIGHTS_NAME, cache_folder
from perception.io.atomic import atomic_write

if TYPE_CHECKING:
    from perception.inference.predictor import Predictor

CARD_NAME = "README.md"
FILES = [CONFIG_NAME, WEIGHTS_NAME, CARD_NAME]


def save_pretrained(model: Any, folder: str | Path, about: dict[str, Any] | None = None, half: bool = False) -> Path:
    """Write a registered model as a published folder with a card; return the folder.

    Args:
        model: a model of `build_model`, or a `Predictor`.
        about: title, tasks, licence and what else the card says; a predictor's own by default.
        half: store matrices as float16.

    Raises `OutputError` when the folder cannot be written, `WeightsError` when the model does not know what it was built from.
    """
    from perception.engine.publish import publish

    network = getattr(model, "model", model) if hasattr(model, "about") else model
    about = {**(getattr(model, "about", None) or {}), **(about or {})}
    config = getattr(network, "build_config", None)
    if config is None:
        raise WeightsError(
            f"{type(network).__name__} does not know what it was built from; build it with build_model or load it"
        )
    about.setdefault("tasks", list(getattr(network, "tasks", ()) or ()))
    folder = publish(folder, config, network.state_dict(), about=about, half=half)
    if not (folder / CARD_NAME).exists():  # a card that somebody wrote is not replaced
        with atomic_write(folder / CARD_NAME) as file:
            file.write(card(config, about).encode("utf-8"))
    return folder


def card(config: dict[str, Any], about: dict[str, Any]) -> str:
    """Return the text of a model card, with the header that the hub reads."""
    tasks = ", ".join(map(str, about.get("tasks") or ())) or "see below"
    header = ["---", "library_name: perception3d", "tags: [computer-vision, 3d]"]
    if about.get("licence"):
        header.append(f"license: {str(about['licence']).lower()}")
    title = about.get("title") or about.get("name") or config["type"]
    return "\n".join(
        [
            *header,
            "---",
            f"# {title}",
            "",
            f"Architecture: `{config['type']}`. Tasks: {tasks}. Licence: {about.get('licence') or 'not stated'}.",
            "",
            "```python",
            "import perception",
            "",
            'model = perception.from_pretrained("OWNER/NAME")  # or the path of this folder',
            'model("photo.jpg").save("out/")',
            "```",
            "",
        ]
    )


def from_pretrained(name_or_folder: str | Path, revision: str | None = None, **options: Any) -> Predictor:
    """Load a published folder, or ``owner/name`` of the Hugging Face hub (downloaded once into the cache).

    Args:
        revision: branch, tag or commit on the hub.
        options: of `perception.load` (device, dtype).

    Raises `WeightsError` when the folder lacks a file, or the hub cannot be reached and nothing is cached.
    """
    from perception.inference.loading import load

    folder = Path(name_or_folder)
    if not folder.is_dir():
        folder = download(str(name_or_folder), revision)
    missing = [name for name in (CONFIG_NAME, WEIGHTS_NAME) if not (folder / name).is_file()]
    if missing:
        raise WeightsError(f"{str(name_or_folder)!r} is no published model: it has no {' and no '.join(missing)}")
    return load(folder, **options)


def download(repository: str, revision: str | None = None) -> Path:
    """Return the local copy of a hub repository's published files. Raises `WeightsError` with what to fetch by hand."""
    if repository.count("/") != 1 or repository.startswith((".", "/", "~")):
        raise WeightsError(f"{repository!r} is neither an existing folder nor a repository `owner/name` of the hub")
    from huggingface_hub import snapshot_download

    try:
        return Path(
            snapshot_download(
                repository, revision=revision, allow_patterns=FILES, cache_dir=str(cache_folder() / "hub")
            )
        )
    except Exception as error:  # every network library has its own errors; the user needs one sentence
        raise WeightsError(
            f"the model {repository!r} could not be fetched from the hub ({type(error).__name__}); download "
            f"{', '.join(FILES)} from https://huggingface.co/{repository} into a folder and load that folder"
        ) from None


def push_to_hub(
    model: Any, repository: str, *, private: bool = False, message: str = "Upload model", token: str | None = None
) -> str:
    """Upload a published folder (or a model, written first) to ``owner/name``; return its address.

    `token` is the caller's own; without it huggingface_hub's login is used. Raises `WeightsError` when the hub refuses or is away.
    """
    import tempfile

    from huggingface_hub import HfApi

    with tempfile.TemporaryDirectory(prefix="perception_hub_") as temporary:
        if isinstance(model, str | os.PathLike):
            folder = Path(model)
            if not (folder / CONFIG_NAME).is_file() or not (folder / WEIGHTS_NAME).is_file():
                raise WeightsError(f"{str(folder)!r} is no published model: it needs {CONFIG_NAME} and {WEIGHTS_NAME}")
        else:
            folder = save_pretrained(model, temporary)
        try:
            api = HfApi(token=token)
            api.create_repo(repository, private=private, exist_ok=True)
            api.upload_folder(repo_id=repository, folder_path=str(folder), allow_patterns=FILES, commit_message=message)
        except Exception as error:
            reason = (str(error).strip().splitlines() or [""])[0][:160]
            raise WeightsError(f"{repository!r} could not be uploaded ({type(error).__name__}: {reason})") from None
    return f"https://huggingface.co/{repository}"
