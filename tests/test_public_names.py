"""What `import perception` offers: to a program, to an editor and to a type checker alike."""

from __future__ import annotations

import ast
from pathlib import Path

import perception


def test_editors_see_the_names_that_programs_get() -> None:
    """The names are lazy, so editors read them from the block for type checkers; both lists are the same."""
    source = Path(perception.__file__)
    (block,) = [node for node in ast.parse(source.read_text()).body if isinstance(node, ast.If)]
    shown = {name.asname: line.module for line in block.body for name in line.names}
    assert shown == perception._LAZY
    assert (source.parent / "py.typed").exists()


def test_every_name_is_there() -> None:
    for name in perception.__all__:
        assert getattr(perception, name) is not None
