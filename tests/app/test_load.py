"""Eight visitors at once with good and bad files: everybody gets the right answer or a clear refusal, memory stays, no file is left."""

from __future__ import annotations

import itertools
import os
import re
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.app.helpers import Served, served

gradio_client = pytest.importorskip("gradio_client")
CLIENTS, REQUESTS, KEEP = 8, 10, 2.0  # KEEP: minutes, longer than a request waits on a busy machine


def request(client, folder: Path, visitor: int, number: int) -> tuple[str, str]:
    """One request: (what must be in the answer, the answer)."""
    name = f"v{visitor}n{number}"
    kind = ("good", "good", "text", "good", "huge", "good", "empty", "wrong model", "good", "cut")[number % 10]
    file, model, expected = folder / f"{name}.png", "dpt-world-tiny", f"{name}.png"
    size = (40 + 8 * visitor, 40 + 4 * number)
    picture = np.random.default_rng(visitor * 100 + number).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
    if kind in ("good", "wrong model"):
        Image.fromarray(picture).save(file)
        expected = f"{size[0]} x {size[1]}" if kind == "good" else "not in the list"
        model = model if kind == "good" else "../../etc/passwd"
    elif kind == "huge":
        Image.new("1", (2000, 2000)).save(file)
        expected = "megapixels"
    elif kind == "text":
        file.write_text("hello")
    elif kind == "empty":
        file.write_bytes(b"")
        expected = "empty"
    else:
        Image.fromarray(picture).save(file)
        file.write_bytes(file.read_bytes()[:200])
    try:
        summary = client.predict(gradio_client.handle_file(file), model, 60, "", api_name="/predict_photo")[1]
        return expected, str(summary["picture"])
    except Exception as error:
        return expected, str(error)


def files_in(folder: Path) -> list[str]:
    """All files but the log; those that are deleted meanwhile do not matter."""
    return [os.path.join(at, name) for at, _, names in os.walk(folder) for name in names if name != "log.txt"]


def visit(address: str, folder: Path, visitor: int, requests: int = REQUESTS) -> list[tuple[str, str]]:
    downloads = str(folder / f"downloads{visitor}")
    client = gradio_client.Client(address, verbose=False, download_files=downloads, httpx_kwargs={"timeout": 400})
    return [request(client, folder, visitor, number) for number in range(requests)]


def check(answers: list[list[tuple[str, str]]]) -> None:
    """Every request got its own right answer or a clear refusal."""
    for expected, answer in itertools.chain(*answers):
        assert expected in answer, f"expected {expected!r} in {answer!r}"
        assert "Traceback" not in answer and not re.search(r"/(tmp|home|usr|work)/", answer)


def test_eight_visitors_at_once_in_short(app: Served, tmp_path: Path) -> None:
    with ThreadPoolExecutor(CLIENTS) as pool:
        answers = list(pool.map(lambda visitor: visit(app.address, tmp_path, visitor, 3), range(CLIENTS)))
    assert sum(map(len, answers)) == 3 * CLIENTS
    check(answers)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_eight_visitors_at_once(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> None:
    flags = ("--max-pixels", "1", "--keep-minutes", str(KEEP), "--device", "cpu")
    with served(tmp_path_factory.mktemp("load"), *flags, OMP_NUM_THREADS="1", MALLOC_ARENA_MAX="2") as app:
        own_files = set(files_in(app.folder))
        with ThreadPoolExecutor(CLIENTS) as pool:
            list(pool.map(lambda visitor: visit(app.address, tmp_path, visitor, 4), range(CLIENTS)))  # warm up
            warm = app.process.memory_info().rss
            answers = list(pool.map(lambda visitor: visit(app.address, tmp_path, visitor), range(CLIENTS)))
        assert [len(own) for own in answers] == [REQUESTS] * CLIENTS
        check(answers)
        grown = app.process.memory_info().rss / warm
        print(f"memory after warm-up {warm / 1e6:.0f} MB, at the end x {grown:.3f}")
        assert grown < 1.1
        ended = time.monotonic()
        deadline = ended + 60 * KEEP + 180
        while left := [file for file in files_in(app.folder) if file not in own_files]:
            assert time.monotonic() < deadline, f"{len(left)} files are left behind, such as {left[:3]}"
            time.sleep(2)
        print(f"no file is left {time.monotonic() - ended:.0f} s after the last answer; they are kept {KEEP:g} minutes")
        refused = app.log.count("is not in the list of choices")  # Gradio's own log of wrong names
        assert app.log.count("Traceback") == refused == CLIENTS
        assert not app.foreign_hosts
