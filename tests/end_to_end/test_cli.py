"""The command line as users run it: as a process, with good and bad input."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "app" / "examples"


def perception(*arguments: object, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "perception.cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, timeout=300)


@pytest.fixture(scope="module")
def predicted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two pictures and a broken one, predicted by one call."""
    folder = tmp_path_factory.mktemp("cli")
    (folder / "pictures").mkdir()
    Image.open(EXAMPLES / "coffee.jpg").resize((240, 160)).save(folder / "pictures" / "cup.jpg", quality=90)
    Image.open(EXAMPLES / "palace.jpg").resize((200, 150)).save(folder / "palace.png")
    (folder / "pictures" / "broken.jpg").write_bytes(b"\xff\xd8\xff" + b"no picture" * 9)
    done = perception("predict", folder / "pictures", folder / "palace.png", "--fov", 55, "--out", folder / "out")
    (folder / "stdout").write_text(done.stdout)
    (folder / "stderr").write_text(done.stderr)
    assert done.returncode == 1  # one of the three could not be read
    return folder


def test_predict_writes_every_part(predicted: Path) -> None:
    for name, size in (("cup", (160, 240)), ("palace", (150, 200))):
        folder = predicted / "out" / name
        depth = np.load(folder / "depth.npy")
        assert depth.dtype == np.float32 and depth.shape == size
        about = json.loads((folder / "depth.json").read_text())
        png = np.asarray(Image.open(folder / "depth.png")) / np.float64(about["depth_png_scale"])
        valid = png > 0
        np.testing.assert_allclose(png[valid], depth[valid], atol=0.5 / about["depth_png_scale"] + 1e-5)
        for file in ("preview.png", "normals.npy", "semantic.png", "points.ply", "mesh.glb", "result.json"):
            assert (folder / file).stat().st_size > 100, file
        result = json.loads((folder / "result.json").read_text())
        assert "fov" in json.dumps(result)


def test_the_cloud_stands_in_front_of_the_camera(predicted: Path) -> None:
    import open3d

    cloud = np.asarray(open3d.io.read_point_cloud(str(predicted / "out" / "palace" / "points.ply")).points)
    assert len(cloud) > 0.3 * 150 * 200 and np.isfinite(cloud).all()
    assert (np.abs(cloud[:, 2]) > 0).all() and np.ptp(np.abs(cloud[:, 2])) > 0


def test_a_broken_picture_gets_a_sentence_and_spoils_nothing(predicted: Path) -> None:
    errors = (predicted / "stderr").read_text()
    assert "broken.jpg" in errors and "Traceback" not in errors
    assert not (predicted / "out" / "broken").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["predict", "missing.jpg"], ["missing.jpg"]),
        (["predict", "README.md"], ["README.md"]),
        (["predict", "app/examples/coffee.jpg", "--model", "dpt-world-tini"], ["Did you mean"]),
        (["predict", "app/examples/coffee.jpg", "--intrinsics", "1,2"], ["--intrinsics"]),
        (["predict", "app/examples/coffee.jpg", "--fov", "200"], ["field of view", "200"]),
        (["predict", "app/examples/coffee.jpg", "--device", "abacus"], ["abacus"]),
        (["models", "--task", "dept"], ["Did you mean 'depth'"]),
        (["backbones", "--filter", "no-such*"], ["no-such"]),
    ],
)
def test_bad_calls_get_one_sentence(arguments: list[str], words: list[str], tmp_path: Path) -> None:
    if arguments[0] == "predict":
        arguments = [*arguments, "--out", str(tmp_path)]
    done = perception(*arguments)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr
    assert not any(tmp_path.iterdir())


def test_a_video_plays_as_fast_as_its_source(tmp_path: Path) -> None:
    from perception.io import VideoWriter, stream
    from perception.io.video import frame_rate

    with VideoWriter(tmp_path / "clip.mp4", fps=20) as video:
        for shade in range(5):
            video.write(np.full((64, 96, 3), 40 * shade, np.uint8))
    done = perception("predict", tmp_path / "clip.mp4", "--every", 2, "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("give its field of view (fov) or its intrinsics") == 1  # once, not once a frame
    written = tmp_path / "out" / "clip" / "prediction.mp4"
    assert frame_rate(written) == pytest.approx(10) and len(list(stream(written))) == 3


def test_models_are_listed_for_people_and_programs() -> None:
    table = perception("models")
    assert table.returncode == 0 and "dpt-world-tiny" in table.stdout and "Apache-2.0" in table.stdout
    rows = json.loads(perception("models", "--json", "--task", "depth").stdout)
    assert rows[0]["address"] == "bundled" and all("depth" in row["tasks"] for row in rows)


def test_help_answers_at_once() -> None:
    times = []
    for _ in range(3):
        start = time.perf_counter()
        done = perception("--help")
        times.append(time.perf_counter() - start)
    assert done.returncode == 0 and "predict" in done.stdout
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", "pass"], check=True)
    bare = time.perf_counter() - start
    assert min(times) < 0.5 + 3 * bare  # half a second, with room for a machine that is busy


def test_import_is_lazy() -> None:
    code = (
        "import sys, perception\n"
        "heavy = {'torch', 'torchvision', 'timm', 'mmengine', 'open3d', 'gradio', 'cv2', 'scipy', 'matplotlib'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() in ("[]", "['torch']")


def test_trunks_of_their_own_need_no_timm() -> None:
    """timm and what it brings take 200 MB; MonoDETR as released and Depth Anything do without. Importing the zoo registers it with timm."""
    code = (
        "import sys\n"
        "from perception.models.registry import build_model\n"
        "import torch\n"
        "with torch.device('meta'):\n"
        "    build_model({'type': 'DepthAnythingV2'}), build_model({'type': 'MonoDETR', 'backbone': 'resnet50'})\n"
        "assert 'timm' not in sys.modules\n"
        "import perception.models.backbones, timm\n"
        "with torch.device('meta'):\n"
        "    print(type(timm.create_model('cswin_tiny_224')).__name__)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0 and done.stdout.strip() == "CSWinTransformer", done.stderr
