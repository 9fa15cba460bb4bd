"""`--world-seed` reaches every generated part of a test set."""

from perception.engine.evaluate import set_world_seed


def test_parts_of_a_concat_move_to_unseen_scenes() -> None:
    parts = [{"type": "World", "kind": "room", "seeds": (900, 909)}, {"type": "World", "kind": "street", "seeds": 5}]
    dataset = {"type": "Concat", "datasets": parts}
    set_world_seed(dataset, 3)
    first = 10**9 + 3 * 10**5
    assert [part["seeds"] for part in dataset["datasets"]] == [[first, first + 9], [first, first + 4]]
    assert "seed" not in dataset
