"""ONNX's Resize; see `layout.py` for the form of the function."""

# pyright: basic
# PyTorch's types say little.

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from mjpeg_restore.runtime.torch.layout import integers


def resize(
    x: Tensor,
    roi: Tensor | None = None,
    scales: Tensor | None = None,
    sizes: Tensor | None = None,
    *,
    antialias: int = 0,
    axes: list[int] | None = None,
    coordinate_transformation_mode: str = "half_pixel",
    cubic_coeff_a: float = -0.75,
    exclude_outside: int = 0,
    extrapolation_value: float = 0.0,
    keep_aspect_ratio_policy: str = "stretch",
    mode: str = "nearest",
    nearest_mode: str = "round_prefer_floor",
) -> Tensor:
    """Resize to the nearest value, or linearly."""
    if antialias or mode not in ("nearest", "linear"):
        raise NotImplementedError(f"mode {mode}{' with antialias' * antialias}")
    if keep_aspect_ratio_policy != "stretch":
        raise NotImplementedError(f"keep_aspect_ratio_policy {keep_aspect_ratio_policy}")
    where = [axis % x.ndim for axis in (axes or range(x.ndim))]
    if sizes is not None and sizes.numel():
        ends = integers(sizes)
        factors = [end / x.shape[axis] for axis, end in zip(where, ends, strict=True)]
    elif scales is not None:
        factors = scales.tolist()
        ends = [math.floor(x.shape[axis] * factor) for axis, factor in zip(where, factors, strict=True)]
    else:
        raise NotImplementedError("neither scales nor sizes")
    changes = [change for change in zip(where, ends, factors, strict=True) if change[2] != 1]
    kind = coordinate_transformation_mode
    if found := _by_pytorch(x, changes, kind, mode, nearest_mode):
        return functional.interpolate(x, [end for _, end, _ in changes], mode=found)
    for axis, end, factor in changes:
        places = _places(kind, x.shape[axis], end, factor, x.device)
        if mode == "nearest":
            x = x.index_select(axis, _nearest(places, nearest_mode).clamp(0, x.shape[axis] - 1).long())
        else:
            x = _linear(x, axis, places)
    return x


def _by_pytorch(
    x: Tensor, changes: list[tuple[int, int, float]], kind: str, mode: str, nearest_mode: str
) -> str | None:
    """The mode in which PyTorch's own function does the same, which keeps the order of the values in memory."""
    if x.ndim != 4 or [axis for axis, _, _ in changes] != [2, 3] or not x.is_floating_point():
        return None
    if any(end != factor * x.shape[axis] for axis, end, factor in changes):
        return None
    if (mode, kind) == ("linear", "half_pixel"):
        return "bilinear"
    repeated = all(factor in (2, 4, 8) for _, _, factor in changes)  # whose reciprocals are exact
    same = (kind, nearest_mode) in (("asymmetric", "floor"), ("half_pixel", "round_prefer_floor"))
    return "nearest" if mode == "nearest" and repeated and same else None


def _places(kind: str, extent: int, end: int, factor: float, device: torch.device) -> Tensor:
    """Where the values of a resized axis lie on that before, float64 `[end]`."""
    places = torch.arange(end, device=device, dtype=torch.float64)
    match kind:
        case "half_pixel":
            return (places + 0.5) / factor - 0.5
        case "pytorch_half_pixel":
            return (places + 0.5) / factor - 0.5 if end > 1 else places * 0
        case "asymmetric":
            return places / factor
        case "align_corners":
            return places * ((extent - 1) / (end - 1)) if end > 1 else places * 0
    raise NotImplementedError(f"coordinate_transformation_mode {kind}")


def _nearest(places: Tensor, nearest_mode: str) -> Tensor:
    match nearest_mode:
        case "floor":
            return places.floor()
        case "ceil":
            return places.ceil()
        case "round_prefer_floor":
            return (places - 0.5).ceil()
        case "round_prefer_ceil":
            return (places + 0.5).floor()
    raise NotImplementedError(f"nearest_mode {nearest_mode}")


def _linear(x: Tensor, axis: int, places: Tensor) -> Tensor:
    places = places.clamp(0, x.shape[axis] - 1)
    before = places.floor()
    after = (before + 1).clamp(max=x.shape[axis] - 1)
    share = (places - before).to(x.dtype).reshape(-1, *[1] * (x.ndim - 1 - axis))
    first, second = (x.index_select(axis, ends.long()) for ends in (before, after))
    return first + (second - first) * share
