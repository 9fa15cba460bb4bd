"""What a picture's segmentation result holds: named segments with ids and scores, and the maps that were asked for."""

import pytest
import torch

from perception.errors import RecipeError
from perception.models.polymax.inference import PanopticThresholds, check_inference, panoptic_result

SIZE = (24, 32)
NAMES = ["sky", "road", "car"]


@pytest.fixture
def scene() -> tuple[torch.Tensor, torch.Tensor]:
    """Class logits (5, 4) and mask logits (5, 24, 32): sky above, road below, two cars on it, one cluster of nothing."""
    classes = torch.full((5, 4), -6.0)
    for cluster, label in enumerate((0, 1, 2, 2, 3)):
        classes[cluster, label] = 6.0
    masks = torch.full((5, *SIZE), -8.0)
    masks[0, :12] = 4.0
    masks[1, 12:] = 4.0
    masks[2, 14:20, 4:12] = 12.0
    masks[3, 14:20, 20:30] = 10.0
    return classes, masks


def test_segments_have_names_ids_and_scores(scene) -> None:
    result = panoptic_result(*scene, SIZE, [2], NAMES)
    found = [(result.name_of(s.label), s.is_thing, s.area) for s in result.segments]
    assert sorted(found) == [("car", True, 48), ("car", True, 60), ("road", False, 276), ("sky", False, 384)]
    assert [s.id for s in result.segments] == [1, 2, 3, 4] and all(0.9 < s.score <= 1 for s in result.segments)
    cars = {s.id for s in result.segments if s.is_thing}
    assert set(result.instance.flatten().tolist()) == {0, *cars}
    assert result.semantic[0, 0] == 0 and result.semantic[23, 0] == 1 and result.semantic[15, 5] == 2
    assert (result.panoptic > 0).all()


def test_only_what_is_asked_for(scene) -> None:
    semantic = panoptic_result(*scene, SIZE, [2], NAMES, inference=["semantic"])
    assert semantic.panoptic is None and semantic.instance is None and not semantic.segments
    instance = panoptic_result(*scene, SIZE, [2], NAMES, inference=["instance"])
    assert instance.panoptic is None and instance.semantic is None
    assert [(instance.instance == i).sum() for i in (1, 2)] in ([48, 60], [60, 48])
    assert set(instance.instance.flatten().tolist()) == {0, 1, 2}


def test_small_segments_can_be_dropped(scene) -> None:
    result = panoptic_result(*scene, SIZE, [2], NAMES, PanopticThresholds(thing_area=50, stuff_area=300))
    assert sorted((result.name_of(s.label), s.area) for s in result.segments) == [("car", 60), ("sky", 384)]


def test_unknown_map_is_a_sentence() -> None:
    with pytest.raises(RecipeError, match="panoptic, semantic, instance; found"):
        check_inference(["panoptics"])
