"""Layers of networks as what they are: PyTorch's containers say no more of them than `Module`."""

from __future__ import annotations

from torch import Tensor, nn


def conv(layer: object) -> nn.Conv2d:
    """A layer that is a convolution."""
    assert isinstance(layer, nn.Conv2d)
    return layer


def bias(layer: object) -> Tensor:
    """The bias of a convolution or a normalisation that has one."""
    assert isinstance(layer, nn.Conv2d | nn.BatchNorm2d) and layer.bias is not None
    return layer.bias
