"""Times of the procedural world on one core, as figures and as shares of the targets.

Processor time of the calling thread, so other programs on the machine count less than with a clock; a busy sibling core or a shared cache
still slow it down. Each case runs once to warm up (textures are drawn when they are first used), then the best of the repeats is taken
for each scene, and the mean and the slowest over the scenes are printed.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("--scenes", type=int, default=5, help="scenes of each kind (default 5)")
    parser.add_argument("--repeat", type=int, default=3, help="runs of each scene, the best one counts (default 3)")
    parser.add_argument("--only", nargs="+", metavar="CASE", help="some of the cases")
    parser.add_argument(
        "--workers", type=int, default=0, help="measure also how rendering grows with processes, up to this many"
    )


def run(options: argparse.Namespace) -> int:
    """Measure and print."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    import cv2

    from perception.datasets.world.classes import WORLD_VERSION
    from perception.errors import InputError, nearest

    cv2.setNumThreads(1)
    cases = _cases()
    for name in options.only or ():
        if name not in cases:
            raise InputError(f"case {name!r} is not known, only {list(cases)}.{nearest(name, cases)}")
    print(f"world version {WORLD_VERSION}, one thread, {options.scenes} scenes, best of {options.repeat}")
    print(f"{'case':<44}{'mean':>8}{'slowest':>9}{'target':>8}{'mean/target':>13}")
    failed = False
    for name in options.only or cases:
        text, target, prepare = cases[name]
        seconds = []
        for seed in range(options.scenes):
            job = prepare(seed)
            job()
            seconds.append(min(_timed(job) for _ in range(options.repeat)))
        mean = sum(seconds) / len(seconds)
        failed |= mean > target
        print(f"{text:<44}{mean:7.3f}s{max(seconds):8.3f}s{target:7.2f}s{mean / target:12.2f}x", flush=True)
    if options.workers > 1:
        _scaling(options.workers)
    print("above target" if failed else "all within target")
    return 0


def _timed(job: Callable[[], object]) -> float:
    before = time.thread_time()
    job()
    return time.thread_time() - before


def _cases() -> dict[str, tuple[str, float, Callable[[int], Callable[[], object]]]]:
    """Return name -> (text, target in seconds, seed -> job)."""
    from perception.datasets.world import World
    from perception.geometry.cameras import Equirectangular, Pinhole

    def camera(kind: str, model) -> Callable[[int], Callable[[], object]]:
        def prepare(seed: int):
            world = World(seed, kind)
            pose = world.views(1, (model.height, model.width), 0.0, model)[0].world_from_camera
            return lambda: world.render(model, world_from_camera=pose)

        return prepare

    def surround(seed: int):
        world, rig = World(seed, "street"), {"type": "surround", "width": 704, "height": 256, "crop_top": 140}
        return lambda: world.render(rig, 0.5, truth=("boxes",))

    def build(kind: str) -> Callable[[int], Callable[[], object]]:
        return lambda seed: lambda: World(seed, kind).scene.at(0.0).caster

    small, wide = Pinhole.from_fov(320, 240, 70), Pinhole.from_fov(1280, 384, 85)
    return {
        "street": ("384x1280 street: depth, normals, masks, boxes", 0.7, camera("street", wide)),
        "small-street": ("240x320 street, the same", 0.1, camera("street", small)),
        "small-room": ("240x320 room, the same", 0.1, camera("room", small)),
        "panorama": ("512x1024 panorama of a street, the same", 1.0, camera("street", Equirectangular(1024, 512))),
        "surround": ("six cameras 256x704, LiDAR, radars, boxes", 2.0, surround),
        "build-street": ("building a street", 0.2, build("street")),
        "build-room": ("building a room", 0.1, build("room")),
    }


def _scaling(most: int) -> None:
    """Print frames per second of 1, 2, 4 ... rendering processes, each with the same number of frames, beside what the machine itself gives.

    Two virtual cores are often two threads of one core, which do less than twice the work of one. So plain arithmetic without any memory traffic
    is timed in as many processes: rendering is linear in workers where it grows as that does.
    """
    import tempfile

    from perception.datasets.world import prerender

    first = None
    workers = 1
    while workers <= most:
        frames = 128 * workers
        with tempfile.TemporaryDirectory() as folder:
            options = {"seeds": frames // 2, "kind": "mixed", "size": (144, 192), "views_per_scene": 2, "block": 4}
            before, spent = time.perf_counter(), _processor_seconds()
            prerender(folder, workers=workers, progress=False, **options)
            rate, each = frames / (time.perf_counter() - before), (_processor_seconds() - spent) / frames
        plain = _arithmetic_rate(workers)
        first = first or (rate, each, plain)
        print(
            f"{workers} processes: {rate:.1f} frames a second, {rate / first[0]:.2f}x; plain arithmetic {plain / first[2]:.2f}x; "
            f"{1000 * each:.0f} ms of processor time a frame, {each / first[1]:.2f}x",
            flush=True,
        )
        workers *= 2


def _arithmetic_rate(workers: int) -> float:
    """Rounds a second of a loop of integer arithmetic, over `workers` processes at once."""
    import subprocess
    import sys

    rounds = 20_000_000
    loop = f"x = 1\nfor _ in range({rounds}): x = x * 1103515245 + 12345 & 0x7FFFFFFF"
    before = time.perf_counter()
    running = [subprocess.Popen([sys.executable, "-S", "-c", loop]) for _ in range(workers)]
    for process in running:
        process.wait()
    return workers * rounds / (time.perf_counter() - before)


def _processor_seconds() -> float:
    """Processor time of this process and of those that it started and that have ended."""
    import resource

    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)
