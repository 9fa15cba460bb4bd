"""Official checkpoints: strict, safe, and merged projections that compute the same."""

import pytest
import torch

from perception.errors import WeightsError
from perception.models.monodetr.weights import convert, load_official, merge_projections


def test_merged_self_attention_projection():
    torch.manual_seed(0)
    dim, stem = 4, "decoder.layers.0."
    state = {
        f"{stem}self_attention.in_proj_weight": torch.randn(12, 4),
        f"{stem}self_attention.in_proj_bias": torch.randn(12),
    }
    for part in ("qcontent", "qpos", "kcontent", "kpos"):
        state |= {f"{stem}sa_{part}_proj.weight": torch.randn(4, 4), f"{stem}sa_{part}_proj.bias": torch.randn(4)}
    merged = merge_projections(state)
    u = torch.randn(5, dim)
    for index, letter in enumerate("qk"):
        inner = sum(
            u @ state[f"{stem}sa_{letter}{p}_proj.weight"].T + state[f"{stem}sa_{letter}{p}_proj.bias"]
            for p in ("content", "pos")
        )
        rows = slice(4 * index, 4 * index + 4)
        weight, bias = (state[f"{stem}self_attention.in_proj_{x}"][rows] for x in ("weight", "bias"))
        expected = inner @ weight.T + bias
        weight, bias = (merged[f"{stem}self_attention.in_proj_{x}"][rows] for x in ("weight", "bias"))
        torch.testing.assert_close(u @ weight.T + bias, expected)
    assert not [key for key in merged if "sa_" in key]


def test_unknown_entries_and_other_models_are_refused(tiny):
    with pytest.raises(WeightsError, match="unknown, first head.weight"):
        convert({"head.weight": torch.zeros(1)})
    with pytest.raises(WeightsError, match="missing"):
        load_official(tiny(), {"model_state": {"class_embed.0.weight": torch.zeros(3, 64)}})
    with pytest.raises(WeightsError, match="incomplete"):
        convert({"depthaware_transformer.encoder.layers.0.self_attn.sampling_offsets.weight": torch.zeros(1)})


def test_files_with_code_are_not_run(tmp_path, tiny):
    import pickle

    class Evil:
        def __reduce__(self):
            return (print, ("run",))

    path = tmp_path / "official.pth"
    path.write_bytes(pickle.dumps(Evil()))
    with pytest.raises(WeightsError, match="official.pth"):
        load_official(tiny(), path)
