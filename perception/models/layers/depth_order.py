"""Which layer a parameter belongs to, from the input to the output, read off the parameters' names.

Works for state dicts as well as for modules, for wrapped ones too (timm's `features_only` writes `stages_0.blocks.1` for `stages.0.blocks.1`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable

# A numbered container, and a second one inside it: blocks.3 / layers.0.blocks.1 / stages_0.blocks.1 / layer1.0 / blocks.2.0 / block3.1
_CONTAINER = re.compile(
    r"(?:^|\.)(?P<outer>\w*(?:blocks?|layers?|stages?|levels|features|transformers)[._]?\d+)"
    r"(?P<between>\.\w*blocks?|\.layers)?(?P<inner>\.\d+)?(?:\.|$)"
)


_STEM = re.compile(r"(?:^|\.)(?:stem|conv_stem|patch_embed|pos_embed|position$|cls_token|reg_token|mask_token)")

_TOP = re.compile(r"(?:^|\.)(?:heads?|head_drop|fc|fc_norm|classifier|norm)\.")


def layer_numbers(names: Iterable[str]) -> dict[str, int]:
    """Map each parameter name to its layer: 0 for the stem, position tables and class tokens, 1 ... for the blocks in order, the last
    number for what follows the blocks (final norm, head). Blocks of stages count through; a stage's downsampling belongs to its first block.

    `names` in the order of the network, as `named_parameters` and state dicts have them. Without any numbered block all is layer 0.
    """
    names = list(names)
    found = {name: _block(name) for name in names}
    if not any(found.values()):
        found = {name: _any_number(name) for name in names}
    outers: dict[str, set[int]] = {}  # outer container -> numbers of the blocks inside it
    for key in found.values():
        if key is not None:
            outers.setdefault(key[0], set()).update(() if key[1] is None else (key[1],))
    kinds = list(dict.fromkeys(_split(outer)[0] for outer in outers))
    order: list[tuple[str, int | None]] = []
    # Numbers decide, not the order of the names: files may hold them sorted as text.
    for outer, inner in sorted(outers.items(), key=lambda item: (kinds.index(_split(item[0])[0]), _split(item[0])[1])):
        order += [(outer, i) for i in sorted(inner)] or [(outer, None)]
    rank = {key: number for number, key in enumerate(order, 1)}
    first: dict[str, int] = {}
    for key, number in rank.items():
        first.setdefault(key[0], number)
    blocks_begin = next((place for place, name in enumerate(names) if found[name] is not None), len(names))
    out = {}
    for place, name in enumerate(names):
        key = found[name]
        if key is not None:
            out[name] = rank.get(key, first[key[0]])
        else:
            stem = _STEM.search(name) or (place < blocks_begin and not _TOP.search(name))
            out[name] = 0 if stem else len(order) + 1
    return out


def _block(name: str) -> tuple[str, int | None] | None:
    match = _CONTAINER.search(name)
    if match is None:
        return None
    # A number right behind the first counts when it is a block of a stage (layer1.0, blocks.2.0), not a part of a block (mlp.0).
    outer = name[: match.end("outer")]
    return outer, int(match["inner"][1:]) if match["inner"] else None


def _any_number(name: str) -> tuple[str, int | None] | None:
    """For networks with other names: the path up to its first part with a number."""
    match = re.search(r"\d+(?=\.)", name)
    return (name[: match.end()], None) if match else None


def _split(outer: str) -> tuple[str, int]:
    match = re.search(r"\d+$", outer)
    return outer[: match.start()], int(match[0])  # type: ignore[index, union-attr]
