"""One app, served as users serve it, for the tests of its interface."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def app_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start ``python -m app`` on a free port; yield its address; stop it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = tmp_path_factory.mktemp("app") / "log.txt"
    environment = os.environ | {"PYTHONUNBUFFERED": "1", "TMPDIR": str(log.parent)}
    with log.open("w") as stream:
        server = subprocess.Popen(
            [sys.executable, "-m", "app", "--port", str(port), "--max-upload", "2", "--max-pixels", "4"],
            cwd=ROOT,
            stdout=stream,
            stderr=subprocess.STDOUT,
            env=environment,
        )
    try:
        address = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + 400
        while True:
            try:
                urllib.request.urlopen(address, timeout=30).read()
                break
            except OSError:
                if server.poll() is not None or time.monotonic() > deadline:
                    pytest.fail("the app did not start:\n" + log.read_text()[-3000:])
                time.sleep(0.5)
        yield address
    finally:
        server.terminate()
        server.wait(120)
    assert not list(log.parent.glob("perception_app_*")), "the app left its temporary files behind"
