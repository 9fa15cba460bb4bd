"""Eight visitors at once with good and bad files: everybody gets the right answer or a clear refusal, memory stays, no file is left."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image

gradio_client = pytest.importorskip("gradio_client")
ROOT = Path(__file__).resolve().parents[2]
CLIENTS, REQUESTS, KEEP = 8, 10, 2.0  # KEEP: minutes, longer than a request waits on a busy machine


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, int, Path]]:
    """Address, process and folder for temporary files of an app that forgets soon."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    folder = tmp_path_factory.mktemp("load")
    environment = os.environ | {"TMPDIR": str(folder), "OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"}
    flags = ["--port", str(port), "--max-pixels", "1", "--keep-minutes", str(KEEP), "--device", "cpu"]
    with (folder / "log.txt").open("w") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "app", *flags], cwd=ROOT, stdout=log, stderr=log, env=environment
        )
    address, deadline = f"http://127.0.0.1:{port}", time.monotonic() + 400
    while True:
        try:
            urllib.request.urlopen(address, timeout=30).read()
            break
        except OSError:
            assert server.poll() is None and time.monotonic() < deadline, (folder / "log.txt").read_text()[-2000:]
            time.sleep(0.5)
    yield address, server.pid, folder
    server.terminate()
    server.wait(300)
    assert not list(folder.glob("perception_app_*")), "the app left its folder behind"


def request(client, folder: Path, visitor: int, number: int) -> tuple[str, str]:
    """One request: (what must be in the answer, the answer)."""
    name = f"v{visitor}n{number}"
    kind = ("good", "good", "text", "good", "huge", "good", "empty", "wrong model", "good", "cut")[number % 10]
    file, model, expected = folder / f"{name}.png", "dpt-world-tiny", f"{file_name(name)}"
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


def file_name(name: str) -> str:
    return f"{name}.png"


def visit(address: str, folder: Path, visitor: int, requests: int = REQUESTS) -> list[tuple[str, str]]:
    downloads = str(folder / f"downloads{visitor}")
    client = gradio_client.Client(address, verbose=False, download_files=downloads, httpx_kwargs={"timeout": 400})
    return [request(client, folder, visitor, number) for number in range(requests)]


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_eight_visitors_at_once(served: tuple[str, int, Path], tmp_path: Path) -> None:
    address, pid, folder = served
    process, own_files = psutil.Process(pid), set(files_in(folder))
    with ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(lambda visitor: visit(address, tmp_path, visitor, 4), range(CLIENTS)))  # warm up
        warm = process.memory_info().rss
        answers = list(pool.map(lambda visitor: visit(address, tmp_path, visitor), range(CLIENTS)))
    for own in answers:
        assert len(own) == REQUESTS
        for expected, answer in own:
            assert expected in answer, f"expected {expected!r} in {answer!r}"
            assert "Traceback" not in answer and not re.search(r"/(tmp|home|usr|work)/", answer)
    grown = process.memory_info().rss / warm
    print(f"memory after warm-up {warm / 1e6:.0f} MB, at the end x {grown:.3f}")
    assert grown < 1.1
    ended = time.monotonic()
    deadline = ended + 60 * KEEP + 180
    while left := [file for file in files_in(folder) if file not in own_files]:
        assert time.monotonic() < deadline, f"{len(left)} files are left behind, such as {left[:3]}"
        time.sleep(2)
    print(f"no file is left {time.monotonic() - ended:.0f} s after the last answer, with {KEEP:g} minutes to keep them")
    log = (folder / "log.txt").read_text()
    assert (
        log.count("Traceback") == log.count("is not in the list of choices") == CLIENTS
    )  # Gradio's own log of wrong names
