"""Downloads from a real (local) server: whole and right, or nothing in the cache."""

from __future__ import annotations

import hashlib
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from perception.errors import WeightsError
from perception.inference.loading import fetch
from perception.inference.zoo import Entry

CONTENT = b"weights" * 1000


class Server(http.server.BaseHTTPRequestHandler):
    """``/whole`` sends everything, ``/short`` hangs up after a part."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        self.wfile.write(CONTENT if self.path.startswith("/whole") else CONTENT[:3000])

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def row(address: str, sha256: str = "") -> Entry:
    return Entry("x", ("depth",), "X", "MIT", address, sha256=sha256)


def files(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob("*") if path.is_file() or path.is_symlink()]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PERCEPTION_CACHE", str(tmp_path))
    return tmp_path


def test_a_whole_download_with_the_right_digest_stays(address: str, cache: Path) -> None:
    place = fetch(row(f"{address}/whole/x.pth", hashlib.sha256(CONTENT).hexdigest()))
    assert place.read_bytes() == CONTENT and files(cache) == ["x.pth"]


def test_a_download_that_breaks_off_leaves_nothing_behind(address: str, cache: Path) -> None:
    with pytest.raises(WeightsError, match="broke off after 3000 of 7000 bytes|could not be downloaded"):
        fetch(row(f"{address}/short/x.pth"))
    assert files(cache) == []


def test_a_download_with_the_wrong_digest_leaves_nothing_behind(address: str, cache: Path) -> None:
    with pytest.raises(WeightsError, match="is not the published file: its SHA-256 is"):
        fetch(row(f"{address}/whole/x.pth", "0" * 64))
    assert files(cache) == []


def test_a_wrong_file_from_the_hub_does_not_stay_in_the_cache(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def hub(repository: str, name: str, cache_dir: str) -> str:
        """As huggingface_hub does: a blob, and a link to it."""
        blob, link = Path(cache_dir) / "blobs" / "b", Path(cache_dir) / "snapshots" / name
        for path in (blob, link):
            path.parent.mkdir(parents=True)
        blob.write_bytes(CONTENT)
        link.symlink_to(blob)
        return str(link)

    monkeypatch.setattr("huggingface_hub.hf_hub_download", hub)
    with pytest.raises(WeightsError, match="SHA-256 differs"):
        fetch(row("hub:owner/name/x.pth", "0" * 64))
    assert files(cache) == []


def test_no_network_is_a_sentence_with_address_and_place(cache: Path) -> None:
    with pytest.raises(
        WeightsError, match=r"could not be downloaded .*; fetch http://127.0.0.1:9/x.pth and put it at .*x.pth"
    ):
        fetch(row("http://127.0.0.1:9/x.pth"))
    assert files(cache) == []
