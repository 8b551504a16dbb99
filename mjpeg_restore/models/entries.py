"""Entries of the manifest: what the catalogue is told of a network that was exported."""

from __future__ import annotations

from typing import Any

from torch import nn

from mjpeg_restore.catalogue import GraphFile
from mjpeg_restore.models.cost import figures
from mjpeg_restore.models.graph import Extra, per_component


def variant_entry(
    graphs: dict[str, GraphFile],
    qualities: tuple[int, int] | None = None,
    training: dict[str, dict[str, Any]] | None = None,
) -> dict[str, Any]:
    """The entry of one network of a model.

    Args:
        graphs: its files, from `models.graph.export_variant`.
        qualities: the IJG qualities that it is for, first and last; None for all.
        training: the training record of each graph, with `hours` and `device` at least.
    """
    return {
        "qualities": qualities,
        "training": training or {},
        "graphs": {kind: graph.as_dict() for kind, graph in graphs.items()},
    }


def model_entry(
    network: nn.Module,
    summary: str,
    variants: list[dict[str, Any]],
    *,
    colour: bool = True,
    projected: bool = False,
    extra: Extra | None = None,
) -> dict[str, Any]:
    """The entry of a model, with its size and cost, and without measured quality.

    Args:
        network: that of any variant, with `margin`: on how many blocks on each side a restored block depends.
        summary: one sentence.
        variants: entries of its networks.
        colour, extra: those of `models.cost.figures`.
        projected: whether every restored coefficient lies in its quantisation cell.
    """
    return {
        "summary": summary,
        **figures(network, colour=colour, extra=extra),
        "projected": projected,
        "per_component": per_component(network),
        "texture": None,
        "variants": variants,
    }
