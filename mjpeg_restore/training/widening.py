"""Initial weights of a wide network that computes what a trained narrow one does.

The wide network's first channels are the narrow one's, and do not depend on the added ones, whose own weights are
random: training starts where the narrow network's ended, and makes use of the added channels from the first step. The
idea is Net2Net's (Chen et al. 2016, "Net2Net: accelerating learning via knowledge transfer", section 2), which copies
channels and divides their weights instead.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor


def widened(wide: Mapping[str, Tensor], narrow: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights of the wide network.

    All its layers have the same width but the first one's inputs and the last one's outputs, and those of branches that
    are alike in both networks. Further inputs of a layer follow the channels of the width.

    Args:
        wide: its initial weights, random.
        narrow: the trained weights.

    Returns:
        New tensors by name, with the shapes of `wide`.

    Raises:
        ValueError: the networks differ in more than their width.
    """
    if wide.keys() != narrow.keys():
        raise ValueError(f"weights {min(wide.keys() ^ narrow.keys())} are in one of the networks only")
    grown = [len(weight) for name, weight in narrow.items() if weight.ndim == 1 and len(wide[name]) > len(weight)]
    if len(set(grown)) != 1:
        raise ValueError(f"one network is no wider form of the other: channels {sorted(set(grown))} have grown")
    return {name: _widened(name, weight, narrow[name], grown[0]) for name, weight in wide.items()}


def _widened(name: str, wide: Tensor, narrow: Tensor, width: int) -> Tensor:
    more = [ours - theirs for ours, theirs in zip(wide.shape, narrow.shape, strict=True)]
    if min(more, default=0) < 0 or any(more[2:]):
        raise ValueError(f"{name} is {tuple(narrow.shape)} in one and {tuple(wide.shape)} in the other")
    found = wide.clone()
    rows = found[: len(narrow)] if found.ndim else found
    if len(more) < 2 or not more[1]:
        rows.copy_(narrow)
        return found
    rows.zero_()  # nothing from the added channels
    rows[:, :width] = narrow[:, :width]
    rows[:, width + more[1] :] = narrow[:, width:]
    return found
