"""Every case folder that ships with the tests must pass, and every kind must be told from its folder's name."""

from pathlib import Path

import numpy as np
import pytest

from tests.parity.runner import Check, compare, kept_every, kind_of, known_kinds, run_case

CASES = Path(__file__).parent / "cases"
FOLDERS = sorted({path.parent for pattern in ("manifest.json", "expected.json") for path in CASES.rglob(pattern)})


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: str(folder.relative_to(CASES)))
def test_case(folder: Path) -> None:
    failed = [outcome for outcome in run_case(folder) if not outcome.passed]
    assert not failed, failed


def test_longest_kind_wins() -> None:
    assert kind_of(Path("kmax_loss_seed3"), ["kmax", "kmax_loss"]) == "kmax_loss"
    assert kind_of(Path("backbones/cvt"), ["backbones/cvt"]) == "backbones/cvt"
    assert kind_of(Path("unheard_of"), known_kinds()) is None


def test_thinned_axes_keep_the_usual_step_where_it_fits() -> None:
    assert kept_every(60, 20, 3) == 3
    assert kept_every(4, 2, 3) == 3  # every 2nd would keep as many
    assert kept_every(60, 30, 3) == 2
    assert kept_every(5, 7, 3) == 3  # nothing fits: the comparison will tell the shapes


def test_compare_sees_wrong_values_shapes_and_nan() -> None:
    tolerance = {"rtol": 0.0, "atol": 0.1}
    assert compare(Check("equal", [1.0, np.nan], [1.05, np.nan]), tolerance).passed
    assert not compare(Check("value", [1.0], [1.2]), tolerance).passed
    assert not compare(Check("nan", [np.nan], [1.0]), tolerance).passed
    assert not compare(Check("shape", [1.0], [[1.0]]), tolerance).passed
