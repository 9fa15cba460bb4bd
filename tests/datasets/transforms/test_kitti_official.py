"""Which labels MonoDETR's own target encoding learns."""

from perception.datasets.transforms.kitti_official import learnable_rows
from perception.io.kitti import parse_labels


def test_an_unknown_truncation_fits_any_difficulty() -> None:
    row = "Car {truncated} {occluded} 0.1 600 {top} 660 200 1.5 1.6 3.9 0.5 1.7 {depth} 0.1"
    cases = (
        ({"truncated": 0.0, "occluded": 0, "top": 150, "depth": 30}, True),
        ({"truncated": 0.0, "occluded": 0, "top": 190, "depth": 30}, False),  # 11 pixels high
        ({"truncated": -1, "occluded": -1, "top": 190, "depth": 30}, True),
        ({"truncated": -1, "occluded": 3, "top": 150, "depth": 30}, True),
        ({"truncated": 0.6, "occluded": 0, "top": 150, "depth": 30}, False),
        ({"truncated": -1, "occluded": -1, "top": 150, "depth": 70}, False),
    )
    labels = parse_labels("\n".join(row.format(**values) for values, _ in cases))
    assert learnable_rows(labels, ["Car"]).tolist() == [expected for _, expected in cases]
    assert not learnable_rows(labels, ["Cyclist"]).any()
