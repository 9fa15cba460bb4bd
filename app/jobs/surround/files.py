"""What is kept of a drive: all moments as files, and the Python call."""

from __future__ import annotations

from pathlib import Path

from app.jobs.common import loading, pack
from app.jobs.surround.answer import SurroundAnswer
from app.jobs.surround.views import bev_view, cameras_view, shape_file


def write_files(answer: SurroundAnswer, score: float, folder: Path) -> list[Path]:
    """Write all moments: pictures, boxes, occupancy, the truth, and the rig itself in the format that can be uploaded; one ZIP of all comes first."""
    from perception.inference.rig_inputs import rig_to_json
    from perception.io import images

    results = folder / "results"
    for number, rig in enumerate(answer.scene.rigs):
        rig_to_json(rig, results / "rig", f"moment{number}")
        for side in answer.sides:
            own = results / f"{side.lower()}_{number}"
            own.mkdir(parents=True)
            images.write_image(own / "cameras.png", cameras_view(answer, number, score, side))
            images.write_image(own / "bev.png", bev_view(answer, number, score, side))
            answer.boxes(number, score, side).to_json(own / "boxes3d.json")
            voxels = answer.voxels(number, side)
            if voxels is not None:
                voxels.save(own)
            shape_file(answer, number, score, side, own)
    archive = pack(results, folder / "results.zip")
    return [archive, *sorted(results.glob("*_0/*"))]


def snippet(answer: SurroundAnswer, score: float, device: str = "auto") -> str:
    """The Python lines that reproduce this very result."""
    if answer.results is None:
        return "import perception\n" + answer.scene.code + "print(rigs[0])\n"
    return (
        "import perception\n"
        f"{answer.scene.code}\n"
        f"model = {loading(answer.model, device)}\n"
        "for result in model.stream(rigs):  # history and tracks over the moments\n"
        f"    result = result.with_parts(boxes3d=result.boxes3d.above({score:g}))\n"
        "    print(result)\n"
        '    result.save(f"out/{result.name}")  # PNG, JSON, voxels as NPZ, PLY, GLB\n'
    )
