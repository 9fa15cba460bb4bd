"""LiNeS: layer-increasing scaling of fine-tuned weights (Wang et al., ICLR 2025, arXiv 2410.17146).

The change that fine-tuning made is scaled by a factor that grows linearly with depth, from `shallow` at the input to `deep` at the output:
shallow layers, which hold what all tasks share, stay near the base; deep ones keep the task. Of several fine-tuned models the
scaled changes are added up, which merges them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor

from perception.errors import WeightsError
from perception.models.layers.depth_order import layer_numbers

State = Mapping[str, Tensor]


def depth_factors(names: Sequence[str], shallow: float, deep: float) -> dict[str, float]:
    """Factor of each entry: `shallow` + (`deep` - `shallow`) * layer / last layer."""
    numbers = layer_numbers(names)
    top = max(numbers.values(), default=0)
    return {name: shallow + (deep - shallow) * (number / top if top else 1.0) for name, number in numbers.items()}


def lines_merge(
    base: State,
    tuned: Sequence[State],
    shallow: float | None = None,
    deep: float = 1.0,
    order: Sequence[str] | None = None,
) -> dict[str, Tensor]:
    """Merge fine-tuned states into their common base.

    Args:
        base: the state that all fine-tuning began with.
        tuned: at least one fine-tuned state with the same entries.
        shallow: factor on the change of the shallowest layer; None for 1 / number of tuned states, as the paper sets it for merging
            (with one state that is 1: no change).
        deep: factor on the change of the deepest layer.
        order: the entries as the network has them, input to output; files may hold them sorted. None: as in the first tuned state.

    Entries that are no floating-point numbers (counters) come from the first tuned state; entries that the base lacks or has in another shape
    (a new head) are its too if there is one tuned state, and an error otherwise. Raises `WeightsError`.
    """
    if not tuned:
        raise WeightsError("merging needs at least one fine-tuned state")
    names = list(tuned[0])
    for number, state in enumerate(tuned[1:], 2):
        differing = sorted(set(state) ^ set(names))
        if differing:
            raise WeightsError(
                f"fine-tuned state {number} has other entries than the first: {', '.join(differing[:3])}"
            )
    missing = sorted(set(base) - set(names))
    if missing:
        raise WeightsError(f"the fine-tuned states lack {len(missing)} entries of the base: {', '.join(missing[:3])}")
    if order is not None and set(order) == set(names):
        names = list(order)
    factors = depth_factors(names, 1 / len(tuned) if shallow is None else shallow, deep)
    merged = {}
    for name in names:
        first = tuned[0][name]
        if name not in base or base[name].shape != first.shape:
            if len(tuned) > 1:
                raise WeightsError(
                    f"entry {name!r} is not in the base with shape {tuple(first.shape)}; its changes cannot be added up"
                )
            merged[name] = first.clone()
        elif not first.is_floating_point():
            merged[name] = first.clone()
        else:
            change = sum(state[name].float() - base[name].float() for state in tuned)
            merged[name] = (base[name].float() + factors[name] * change).to(base[name].dtype)
    return merged
