"""timm's published ImageNet weights for the trunks that are written here."""

from __future__ import annotations

import warnings
from collections.abc import Callable

from torch import nn

from perception.errors import RecipeError, WeightsError, nearest
from perception.io.checkpoints import load_strictly


def load_timm(trunk: nn.Module, name: str, rename: Callable[[str], str | None], pretrained: bool = True) -> None:
    """Copy timm model `name` into `trunk`; `rename` gives our key of each of timm's, or None for what the trunk lacks.

    pretrained: False copies timm's fresh weights (tests). Raises `RecipeError` for unknown names and `WeightsError` when the download
    fails or the architectures differ.
    """
    import timm  # 200 MB and a second, for these weights alone

    if not timm.is_model(name):
        raise RecipeError(f"timm has no model {name!r}.{nearest(name.split('.')[0], timm.list_models())}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            source = timm.create_model(name, pretrained=pretrained)
    except Exception as error:  # each network library has errors of its own
        raise WeightsError(
            f"timm's weights of {name!r} are not on this machine and could not be downloaded ({type(error).__name__}); "
            "connect once, put them in the Hugging Face cache, or leave `pretrained` out"
        ) from None
    state = {rename(key): value for key, value in source.state_dict().items()}
    state.pop(None, None)
    load_strictly(trunk, state)
