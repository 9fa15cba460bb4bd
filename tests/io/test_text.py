"""Text files as Windows editors write them: a byte order mark first, CRLF line ends; and files that are no text."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from perception.datasets.files import read_lines
from perception.datasets.folder import read_meta
from perception.errors import DatasetError, InputError
from perception.inference.rig_inputs import rig_from_json
from perception.io.kitti import read_calibration, read_labels
from perception.io.text import read_text

MARK = b"\xef\xbb\xbf"
CAR = b"Car 0.00 0 1.50 1 2 30 40 1.50 1.60 4.00 1.00 2.00 10.00 1.50"


def write(folder: Path, name: str, data: bytes) -> Path:
    (folder / name).write_bytes(MARK + data.replace(b"\n", b"\r\n"))
    return folder / name


def test_the_mark_is_no_part_of_the_text(tmp_path: Path) -> None:
    assert read_text(write(tmp_path, "t.txt", "Grüße\n".encode())) == "Grüße\n"
    assert read_lines(write(tmp_path, "list.txt", b"000001\n000002\n"), "test") == ["000001", "000002"]
    assert read_labels(write(tmp_path, "label.txt", CAR + b"\n" + CAR)).types.tolist() == ["Car", "Car"]
    calibration = read_calibration(write(tmp_path, "calib.txt", b"P2: 9 0 1 0 0 9 1 0 0 0 1 0\n"))
    np.testing.assert_array_equal(calibration.intrinsics(), [[9, 0, 1.5], [0, 9, 1.5], [0, 0, 1]])
    assert read_meta(write(tmp_path, "meta.json", json.dumps({"fx": 1}).encode())) == {"fx": 1}
    with pytest.raises(InputError, match="at least one camera"):
        rig_from_json(write(tmp_path, "rig.json", b'{"cameras": []}'))


@pytest.mark.parametrize("reader", [lambda path: read_lines(path, "test"), read_labels, read_calibration, read_meta])
def test_what_is_no_text_is_one_sentence(tmp_path: Path, reader) -> None:
    (tmp_path / "utf16.txt").write_bytes("000001\n".encode("utf-16"))
    with pytest.raises(DatasetError, match="utf16.txt"):
        reader(tmp_path / "utf16.txt")
