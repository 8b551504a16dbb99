"""ONNX's operators that move values, and compute none.

Inputs are positional and attributes keywords, with ONNX's names and defaults. Sizes, axes and the like are tensors in
the host's memory.
"""

# pyright: basic
# PyTorch's types say little.

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional


def integers(values: Tensor) -> list[int]:
    """The values of a tensor in the host's memory."""
    return values.flatten().tolist()


def concat(*tensors: Tensor, axis: int) -> Tensor:
    """Concat."""
    return torch.cat(tensors, axis)


def constant_of_shape(shape: Tensor, *, value: Tensor | None = None) -> Tensor:
    """ConstantOfShape."""
    value = torch.zeros(1) if value is None else value
    return torch.full(integers(shape), value.item(), dtype=value.dtype)


def depth_to_space(x: Tensor, *, blocksize: int, mode: str = "DCR") -> Tensor:
    """DepthToSpace."""
    if mode == "CRD":
        return functional.pixel_shuffle(x, blocksize)
    batch, channels, high, wide = x.shape
    x = x.reshape(batch, blocksize, blocksize, channels // blocksize**2, high, wide)
    return x.permute(0, 3, 4, 1, 5, 2).reshape(batch, -1, blocksize * high, blocksize * wide)


def expand(x: Tensor, shape: Tensor) -> Tensor:
    """Expand, in which either side may be broadcast."""
    return x.expand(torch.broadcast_shapes(x.shape, integers(shape)))


def flatten(x: Tensor, *, axis: int = 1) -> Tensor:
    """Flatten, to two dimensions."""
    axis = axis % x.ndim if axis < 0 else axis
    return x.reshape(math.prod(x.shape[:axis]), -1)


def gather(x: Tensor, indices: Tensor, *, axis: int = 0) -> Tensor:
    """Gather."""
    axis %= x.ndim
    if indices.ndim == 0 and indices.device.type == "cpu":
        return x.select(axis, int(indices))
    found = torch.ops.aten.index.Tensor(x, [*[None] * axis, indices.reshape(-1).long()])  # counts from the end, too
    return found.reshape(x.shape[:axis] + indices.shape + x.shape[axis + 1 :])


def pad(
    x: Tensor, pads: Tensor, value: Tensor | None = None, axes: Tensor | None = None, *, mode: str = "constant"
) -> Tensor:
    """Pad; negative numbers cut off."""
    counts = integers(pads)
    where = [axis % x.ndim for axis in (range(x.ndim) if axes is None else integers(axes))]
    ends = {axis: (counts[i], counts[i + len(where)]) for i, axis in enumerate(where)}
    if mode == "constant":
        both = [count for axis in reversed(range(x.ndim)) for count in ends.get(axis, (0, 0))]
        return functional.pad(x, both, value=0 if value is None else value.item())
    for axis, (before, after) in ends.items():
        if before or after:
            x = x.index_select(axis, _sources(x, axis, before, after, mode))
    return x


def _sources(x: Tensor, axis: int, before: int, after: int, mode: str) -> Tensor:
    """Where the values of a padded axis come from."""
    last = x.shape[axis] - 1
    places = torch.arange(-before, last + 1 + after, device=x.device)
    match mode:
        case "edge":
            return places.clamp(0, last)
        case "wrap":
            return places.remainder(last + 1)
        case "reflect" if last > 0:
            return last - (places.remainder(2 * last) - last).abs()
    raise NotImplementedError(f"mode {mode} along {last + 1} values")


def range_(start: Tensor, limit: Tensor, delta: Tensor) -> Tensor:
    """Range."""
    return torch.arange(start.item(), limit.item(), delta.item(), dtype=start.dtype)


def reshape(x: Tensor, shape: Tensor, *, allowzero: int = 0) -> Tensor:
    """Reshape, in which 0 stands for the size that is there."""
    sizes = integers(shape)
    if not allowzero:
        sizes = [x.shape[i] if size == 0 else size for i, size in enumerate(sizes)]
    return x.reshape(sizes)


def shape(x: Tensor, *, start: int = 0, end: int | None = None) -> Tensor:
    """Shape, in the host's memory."""
    return torch.tensor(x.shape[start:end], dtype=torch.int64)


def size(x: Tensor) -> Tensor:
    """Size, in the host's memory."""
    return torch.tensor(x.numel())


def slice_(x: Tensor, starts: Tensor, ends: Tensor, axes: Tensor | None = None, steps: Tensor | None = None) -> Tensor:
    """Slice."""
    first = integers(starts)
    where = range(len(first)) if axes is None else integers(axes)
    strides = [1] * len(first) if steps is None else integers(steps)
    for axis, start, end, step in zip(where, first, integers(ends), strides, strict=True):
        last = x.shape[axis] - 1
        places = _stepped(last + 1, start, end, step)
        if step < 0:  # PyTorch has no negative steps
            x, places = x.flip(axis), range(last - places.start, last - places.stop, -step)
        before = (slice(None),) * (axis % x.ndim)
        x = x[(*before, slice(places.start, places.stop, places.step))]
    return x


def _stepped(extent: int, start: int, end: int, step: int) -> range:
    """The places of a slice; ONNX limits its ends in another way than Python."""
    start, end = (place + extent if place < 0 else place for place in (start, end))
    if step > 0:
        return range(min(max(start, 0), extent), min(max(end, 0), extent), step)
    return range(min(max(start, 0), extent - 1), min(max(end, -1), extent - 1), step)


def space_to_depth(x: Tensor, *, blocksize: int) -> Tensor:
    """SpaceToDepth."""
    batch, channels, high, wide = x.shape
    x = x.reshape(batch, channels, high // blocksize, blocksize, wide // blocksize, blocksize)
    return x.permute(0, 3, 5, 1, 2, 4).reshape(batch, -1, high // blocksize, wide // blocksize)


def split(
    x: Tensor, sizes: Tensor | None = None, *, axis: int = 0, num_outputs: int | None = None
) -> tuple[Tensor, ...]:
    """Split; without sizes into equal parts, of which the last may be smaller."""
    if sizes is not None:
        return torch.split(x, integers(sizes), axis)
    if not num_outputs:
        raise NotImplementedError("neither sizes nor a number of outputs")
    return torch.split(x, -(-x.shape[axis] // num_outputs), axis)


def squeeze(x: Tensor, axes: Tensor | None = None) -> Tensor:
    """Squeeze."""
    if axes is None:
        return x.squeeze()
    where = integers(axes)
    if any(x.shape[axis] != 1 for axis in where):
        raise ValueError(f"sizes {list(x.shape)} are not 1 along {where}")
    return x.squeeze(where)


def tile(x: Tensor, repeats: Tensor) -> Tensor:
    """Tile."""
    return x.repeat(integers(repeats))


def transpose(x: Tensor, *, perm: list[int] | None = None) -> Tensor:
    """Transpose."""
    return x.permute(perm or list(range(x.ndim))[::-1])


def unsqueeze(x: Tensor, axes: Tensor) -> Tensor:
    """Unsqueeze; the axes are those of the result."""
    where = integers(axes)
    rank = x.ndim + len(where)
    for axis in sorted(axis % rank for axis in where):
        x = x.unsqueeze(axis)
    return x
