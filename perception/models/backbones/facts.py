"""What `perception backbones` says about each backbone: parameters, strides, input rule, licence of the weights.

Facts are found by building the network on the meta device (shapes alone, no memory) and probing it as the adapter does. Since that takes many
minutes for some 1,400 networks, those of one release of timm (`table_release`) are stored beside this file; `python -m
perception.models.backbones.facts` probes what the table lacks, or everything after a release of timm that it is not of. The licence is always
asked of the installed timm.
"""

from __future__ import annotations

import dataclasses
import json
import sys
import time
from functools import lru_cache
from pathlib import Path
from typing import Any

import timm

from perception.errors import InputError
from perception.io.atomic import atomic_write
from perception.models.backbones import adapter

_TABLE = Path(__file__).with_name("facts.json")
_ARGUMENTS = {"features_only": True, "in_chans": 3}


@dataclasses.dataclass(frozen=True)
class Facts:
    """parameters: of the feature extractor; strides: of its own maps; rule: which pictures it takes; licence: of timm's default weights."""

    name: str
    parameters: int
    strides: tuple[int, ...]
    rule: str
    licence: str


def backbone_facts(name: str, probe: bool = False) -> Facts:
    """Facts of one backbone, from the table if it is there and `probe` does not ask anew. `rule` says so where a network cannot be a trunk."""
    if probe or not is_known(name):
        return probe_facts(name)
    parameters, strides, rule = _table()["backbones"][name]
    return Facts(name, parameters, tuple(strides), rule, licence_of(name))


def is_known(name: str) -> bool:
    """Whether the facts of `name` are stored, so that nothing must be built."""
    return name in _table()["backbones"]


def table_release() -> str:
    """The release of timm whose networks the stored facts are of."""
    return _table()["timm"]


def probe_facts(name: str) -> Facts:
    """Build and probe one network."""
    try:
        return _facts(name, adapter.probe(name, _ARGUMENTS))
    except InputError:
        return Facts(name, 0, (), "cannot be a trunk", licence_of(name))


def _facts(name: str, probed: Any) -> Facts:
    if probed.fixed_size is not None:
        rule = f"stretched to {probed.fixed_size[0]}x{probed.fixed_size[1]}"
    else:
        rule = f"any, padded to multiples of {probed.multiple}" if probed.multiple > 1 else "any"
    strides = tuple(sorted({level.stride for level in probed.levels}))
    return Facts(name, probed.parameters, strides, rule, licence_of(name))


def licence_of(name: str) -> str:
    """Licence of the default weights; "by hand" where they cannot be downloaded from here, "-" without weights or without a licence,
    "see model card" where timm does not record it."""
    config = timm.get_pretrained_cfg(name, allow_unregistered=True)
    if config is None or not config.has_weights:
        return f"{config.license} (by hand)" if config is not None and config.license else "-"
    return config.license or "see model card"


@lru_cache(maxsize=1)
def _table() -> dict[str, Any]:
    return json.loads(_TABLE.read_text())


def write_table(names: list[str], minutes: float = 40.0) -> None:
    """Probe `names` and store what was found, together with what was stored before for this timm; stops after `minutes`.

    Shapes alone do for nearly all (about 0.8 s each); the few that need numbers come last.
    """
    rows = dict(_table()["backbones"]) if table_release() == timm.__version__ else {}
    began = time.monotonic()
    missing = [name for name in names if name not in rows]
    with_numbers = []
    for number, name in enumerate(missing, 1):
        try:
            facts = _facts(name, adapter.probe(name, _ARGUMENTS, numbers=False))
            rows[name] = (facts.parameters, list(facts.strides), facts.rule)
        except Exception as error:  # one odd network must not end an hour of probing
            with_numbers.append(name)
            print(f"{name}: {str(error)[:150]}", file=sys.stderr, flush=True)
        if number % 50 == 0:
            _store(rows)
            print(f"{number} of {len(missing)}", flush=True)
        if time.monotonic() - began > 60 * minutes:
            break
    _store(rows)
    print(f"{len(rows)} stored; {len(with_numbers)} need numbers", flush=True)
    for name in with_numbers:
        if time.monotonic() - began > 60 * minutes:
            break
        facts = probe_facts(name)
        rows[name] = (facts.parameters, list(facts.strides), facts.rule)
        _store(rows)


def _store(rows: dict[str, Any]) -> None:
    lines = ",\n".join(f"{json.dumps(key)}: {json.dumps(rows[key])}" for key in sorted(rows))
    with atomic_write(_TABLE) as file:
        file.write(f'{{"timm": {json.dumps(timm.__version__)},\n"backbones": {{\n{lines}\n}}}}\n'.encode())


if __name__ == "__main__":
    patterns = sys.argv[1:] or ["*"]
    write_table([name for pattern in patterns for name in adapter.list_backbones(pattern)])
