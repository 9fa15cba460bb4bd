"""``docs/promises.md`` tells the truth: all 36 promises are there, and every test that it names exists and runs where it says."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.engine.helpers import ROOT

TABLE = ROOT / "docs" / "promises.md"
ROW = re.compile(r"^\| *(\d+) *\|(.*)\|(.*)\|(.*)\| *$")
NAME = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")
RUNS = ("make test", "make test-all", "open")


def table() -> dict[int, tuple[str, list[tuple[str, str]], str]]:
    """Number -> promise, tests as (file, name), where they run."""
    rows = {}
    for line in TABLE.read_text(encoding="utf-8").splitlines():
        match = ROW.match(line)
        if match:
            number, promise, tests, runs = int(match[1]), match[2].strip(), match[3], match[4].strip()
            assert number not in rows, f"promise {number} is there twice"
            rows[number] = (promise, NAME.findall(tests), runs)
    return rows


def slow_by_name(path: Path) -> dict[str, bool]:
    """Tests of a file by name: whether they are marked slow."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    everywhere = any(
        isinstance(node, ast.Assign) and "pytestmark" in ast.unparse(node) and "slow" in ast.unparse(node)
        for node in tree.body
    )
    return {
        node.name: everywhere or any("mark.slow" in ast.unparse(item) for item in node.decorator_list)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
    }


def test_all_promises_are_listed() -> None:
    assert sorted(table()) == list(range(1, 37))


@pytest.mark.parametrize("number", range(1, 37))
def test_every_named_test_exists(number: int) -> None:
    promise, tests, runs = table()[number]
    assert promise and runs.split(" (")[0] in RUNS, f"where it runs should be one of {', '.join(RUNS)}"
    assert tests or runs.startswith("open"), "a promise without a test is open"
    for file, name in tests:
        assert (ROOT / file).is_file(), f"{file} is not there"
        found = slow_by_name(ROOT / file)
        assert name in found, f"{file} has no {name}"
    if tests and not runs.startswith("open"):
        fast = [name for file, name in tests if not slow_by_name(ROOT / file)[name]]
        assert bool(fast) == (runs == "make test"), "a promise with a fast test is kept by `make test`"


def test_every_other_test_that_is_named_exists() -> None:
    for file, name in NAME.findall(TABLE.read_text(encoding="utf-8")):
        assert name in slow_by_name(ROOT / file), f"{file} has no {name}"
