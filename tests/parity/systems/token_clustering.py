"""Expedit: clustering, reconstruction with the published normalisation, nearest-centre unpooling."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from perception.ops.token_clustering import cluster_tokens, reconstruct_tokens
from tests.parity.runner import Case, Check


def token_clustering(case: Case) -> Iterator[Check]:
    about = case.reference
    tokens, processed = (torch.from_numpy(case.inputs[name]) for name in ("tokens", "processed"))
    clustering = cluster_tokens(
        tokens,
        tuple(about["grid"]),
        tuple(about["clusters"]),
        iterations=about["iterations"],
        temperature=about["temperature"],
        window=about["window"],
    )
    soft = reconstruct_tokens(processed, clustering, about["temperature"], about["k"], normalise="l2")
    yield Check("clusters", clustering.centres, case.outputs["clusters"])
    yield Check("hard_labels", clustering.hard_labels(), case.outputs["hard_labels"])
    yield Check("reconstructed", soft, case.outputs["reconstructed"])
    yield Check(
        "naive_unpooled", reconstruct_tokens(processed, clustering, normalise="nearest"), case.outputs["naive_unpooled"]
    )


KINDS = {"token_clustering": token_clustering}
