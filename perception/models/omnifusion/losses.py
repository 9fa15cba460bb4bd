"""The reverse Huber loss of OmniFusion (paper section 3.4), as it should be and as it was."""

from __future__ import annotations

from torch import Tensor

from perception.options import check_choice

KINDS = ("berhu", "berhu-official", "l1", "log")


def depth_loss(prediction: Tensor, target: Tensor, valid: Tensor, kind: str = "berhu") -> Tensor:
    """Loss of (B, 1, H, W) ranges, metres, where `valid` (B, 1, H, W) bool; every picture counts the same, one without truth costs 0.

    kind: "berhu": |d| below c, (d^2 + c^2) / 2c above, c a fifth of the picture's largest valid error; "berhu-official": c from the whole batch,
    pixels without truth included (their truth is 0), so a single outlier changes every picture's loss; "l1"; "log": |log prediction - log truth|.
    """
    check_choice("a depth loss", kind, KINDS)
    prediction, mask = prediction.float(), valid.float()
    target = target.float() * mask
    if kind == "log":
        error = ((prediction.clamp(min=1e-3).log() - target.clamp(min=1e-3).log()) * mask).abs()
        return _mean(error, mask)
    error = (target - prediction).abs()
    if kind == "l1":
        return _mean(error * mask, mask)
    if kind == "berhu-official":
        bend = error.detach().amax() / 5
    else:
        bend = (error.detach() * mask).amax((1, 2, 3), keepdim=True) / 5
    bend = bend.clamp(min=1e-6)
    huber = error.where(error <= bend, (error.square() + bend.square()) / (2 * bend))
    return _mean(huber * mask, mask)


def _mean(error: Tensor, mask: Tensor) -> Tensor:
    """Mean of each picture over its valid pixels, then over the pictures."""
    return (error.sum((1, 2, 3)) / mask.sum((1, 2, 3)).clamp(min=1)).mean()
