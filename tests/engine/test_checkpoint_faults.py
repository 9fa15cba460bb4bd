"""Killed while saving, disk full while saving, truncated newest file: the previous checkpoint always survives."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import NoReturn

import pytest
import torch

from perception.engine.checkpoint import delete_old, list_checkpoints, newest_loadable, write_checkpoint
from perception.errors import WeightsError
from perception.io.checkpoints import read_checkpoint
from tests.engine.helpers import Child, curve, differences, train_here


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """One thread, as in the forked children (`helpers.Child`): sums of another number of threads differ in their last bits."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def _save_for_ever(folder: Path, number: int, size: int, report: int) -> NoReturn:
    """Save without pause and keep one checkpoint, as the hook does: write, marker, delete the old ones. Report each save."""
    while True:
        number += 1
        weights = torch.full((size,), float(number))
        write_checkpoint({"meta": {"iter": number}, "state_dict": {"weights": weights}}, folder / f"iter_{number}.pth")
        delete_old(folder, 1)
        os.write(report, f"{number}\n".encode())


def _kill_while_saving(folder: Path, rng: random.Random, moments: int, size: int) -> list[float]:
    """Kill a process that saves without pause at `moments` random moments; check what it leaves each time."""
    done, delays = 0, []
    for _ in range(moments):
        reader, writer = os.pipe()
        child = Child(partial(_save_for_ever, folder, done, size, writer), folder.parent / "saver.log")
        os.close(writer)
        reported = os.read(reader, 64)  # at least one save is complete
        delays.append(rng.uniform(0, 0.12))
        time.sleep(delays[-1])
        child.kill()
        with os.fdopen(reader, "rb") as rest:
            reported += rest.read()
        done = max(map(int, reported.split()))
        path, checkpoint, passed_over = newest_loadable(folder)
        assert not passed_over, "a file under its final name is always whole"
        assert checkpoint["meta"]["iter"] >= done, "a save that was reported is never lost"
        assert torch.equal(checkpoint["state_dict"]["weights"], torch.full((size,), float(checkpoint["meta"]["iter"])))
        marked = folder / (folder / "last_checkpoint").read_text()
        assert marked.is_file() and read_checkpoint(marked)["meta"]["iter"] >= done
        done = checkpoint["meta"]["iter"]
    return delays


def test_sigkill_during_saves_leaves_a_loadable_checkpoint(tmp_path: Path) -> None:
    _kill_while_saving(tmp_path, random.Random(time.time_ns()), moments=8, size=2_000_000)


@pytest.mark.slow
def test_sigkill_at_fifty_random_moments(tmp_path: Path) -> None:
    delays = _kill_while_saving(tmp_path, random.Random(time.time_ns()), moments=50, size=2_000_000)
    print(f"50 kills, {min(delays):.3f} to {max(delays):.3f} s after a save, all recovered")


def _newest(folder: Path) -> int:
    return max((int(path.stem.removeprefix("iter_")) for path in list_checkpoints(folder)), default=0)


def _train_until_killed(folder: Path, delay: float, options: tuple[str, ...]) -> bool:
    """Train the toy recipe in a child, resuming where one may; kill it `delay` seconds after its next save. True = it finished."""
    start = _newest(folder)

    def body() -> int:
        return train_here(folder, options, resume=start > 0)[0]

    child = Child(body, folder.parent / "train.log")
    code, deadline = child.wait(0.01), time.monotonic() + 300
    while code is None and _newest(folder) == start and time.monotonic() < deadline:
        code = child.wait(0.005)
    code = child.wait(delay) if code is None else code
    if code is None:
        child.kill()
    assert code in (None, 0), child.output
    return code == 0


def _killed_and_resumed_equals_uninterrupted(folder: Path, seed: int, delays: tuple[float, float], kills: int) -> int:
    """Kill a run again and again, resume it each time, and compare its end with an uninterrupted run's. Returns the kills."""
    # a checkpoint every other iteration: a good part of the run's time is spent saving
    options = ("train_cfg.max_iters=40", "default_hooks.checkpoint.interval=2", "train_dataloader.dataset.slow=0.002")
    assert train_here(folder / "whole", options)[0] == 0
    rng, killed, run = random.Random(seed), 0, folder / "killed"
    while killed < kills and not _train_until_killed(run, rng.uniform(*delays), options):
        killed += 1
    assert killed, "the run ended before the first kill"
    code, text = train_here(run, options, resume=True)
    assert code == 0, text
    first, last = read_checkpoint(folder / "whole" / "iter_40.pth"), read_checkpoint(run / "iter_40.pth")
    assert set(differences(first, last)) <= {"/meta/time"}  # none within one second
    assert curve(folder / "whole") == curve(run), "every iteration is in the log once, with the same numbers"
    assert not list(run.glob(".*")), "leftovers of killed saves are removed"
    return killed


def test_killed_run_resumes_to_the_bit_equal_end(tmp_path: Path) -> None:
    _killed_and_resumed_equals_uninterrupted(tmp_path, time.time_ns(), (0.0, 0.2), kills=3)


@pytest.mark.slow
def test_run_killed_fifty_times_resumes_to_the_bit_equal_end(tmp_path: Path) -> None:
    killed = 0
    while killed < 50:
        folder = tmp_path / str(killed)
        folder.mkdir()
        killed += _killed_and_resumed_equals_uninterrupted(folder, time.time_ns(), (0.0, 0.2), kills=50 - killed)
    print(
        f"killed {killed} times at random moments of training runs; every run ended bit-equal to an uninterrupted one"
    )


class FullDisk:
    """A file that takes `room` bytes and then raises "no space left", as a full disk does."""

    def __init__(self, file, room: int) -> None:
        self.file, self.room = file, room

    def write(self, data) -> int:
        self.room -= len(memoryview(data).cast("B"))
        if self.room < 0:
            raise OSError(28, os.strerror(28))
        return self.file.write(data)

    def __getattr__(self, name: str):
        return getattr(self.file, name)


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99])
def test_disk_full_at_any_point_leaves_the_previous_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, share: float
) -> None:
    content = {"meta": {"iter": 1}, "state_dict": {"weights": torch.ones(100_000)}}
    write_checkpoint(content, tmp_path / "iter_1.pth")
    room = int(share * (tmp_path / "iter_1.pth").stat().st_size)
    real = torch.save
    monkeypatch.setattr(torch, "save", lambda value, file: real(value, FullDisk(file, room)))
    with pytest.raises(WeightsError, match="could not be written .*earlier ones are untouched"):
        write_checkpoint({**content, "meta": {"iter": 2}}, tmp_path / "iter_2.pth")
    assert [path.name for path in list_checkpoints(tmp_path)] == ["iter_1.pth"]
    assert not list(tmp_path.glob(".*")) and (tmp_path / "last_checkpoint").read_text() == "iter_1.pth"
    assert newest_loadable(tmp_path)[1]["meta"]["iter"] == 1


@pytest.mark.skipif(os.geteuid() != 0 or sys.platform != "linux", reason="needs the right to mount a small file system")
def test_disk_full_on_a_small_file_system(tmp_path: Path) -> None:
    """The real thing: a training run on a file system that fills up at a later save."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=160m", "tmpfs", str(folder)], capture_output=True)
    if mounted.returncode:
        pytest.skip("mounting is not allowed here")
    try:
        run = folder / "run"
        # about 27 MiB a checkpoint: 1.7 M parameters, their average and two moments; all are kept
        changes = (
            "model.width=60000",
            "train_dataloader.dataset.size=1",
            "train_cfg.max_iters=100",
            "val_dataloader=None",
        )
        changes = (*changes, "val_evaluator=None", "publish.half=False", "default_hooks.checkpoint.interval=2")
        code, text = train_here(run, (*changes, "default_hooks.checkpoint.keep=0"))
        assert code == 2 and "error: checkpoint" in text and "earlier ones are untouched" in text, text
        path, checkpoint, passed_over = newest_loadable(run)
        assert not passed_over and (run / "last_checkpoint").read_text() == path.name
        assert checkpoint["meta"]["iter"] >= 2
        last = checkpoint["meta"]["iter"] + 1
        for older in list_checkpoints(run)[:-1]:
            older.unlink()  # room again: the run goes on from its newest checkpoint
        changes = ("model.width=60000", "train_dataloader.dataset.size=1", f"train_cfg.max_iters={last}")
        code, text = train_here(run, (*changes, "default_hooks.checkpoint.keep=1"), resume=True)
        assert code == 0 and [found.name for found in list_checkpoints(run)] == [f"iter_{last}.pth"], text
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_resume_passes_over_a_truncated_newest_file_and_says_so(tmp_path: Path) -> None:
    assert train_here(tmp_path)[0] == 0
    newest = tmp_path / "iter_16.pth"
    newest.write_bytes(newest.read_bytes()[:3000])
    code, text = train_here(tmp_path, resume=True)
    assert code == 0, text
    assert "passed over" in text and "iter_16.pth" in text and "at iteration 15 of 16" in text
    assert read_checkpoint(newest)["meta"]["iter"] == 16


def test_nothing_to_resume_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "iter_3.pth").write_bytes(b"")
    with pytest.raises(WeightsError, match=r"no checkpoint to resume from in .*iter_3\.pth"):
        newest_loadable(tmp_path)


def test_leftovers_of_a_killed_save_are_removed(tmp_path: Path) -> None:
    from perception.engine.files import remove_leftovers
    from perception.io.atomic import atomic_path

    with pytest.raises(KeyboardInterrupt), atomic_path(tmp_path / "iter_1.pth"):
        names = [path.name for path in tmp_path.iterdir()]
        raise KeyboardInterrupt
    (tmp_path / names[0]).write_bytes(b"half")  # what SIGKILL would have left
    (tmp_path / "iter_0.pth").write_bytes(b"kept")
    remove_leftovers(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["iter_0.pth"]
