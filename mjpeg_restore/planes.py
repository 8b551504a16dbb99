"""Arithmetic on planes: fields, ranges, chroma upsampling, and RGB.

The arithmetic is int16, on a strip of lines at a time, which stays in the cache. No function changes its input.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Planes = tuple[NDArray[np.uint8], ...]
"""Y, or Y, Cb, Cr: uint8 `[height, width]` each at its own sampling."""

Samples = NDArray[np.int16]
"""Intermediate samples, `[lines, columns]`."""

NEUTRAL = 128
"""The chroma sample of no colour, in either range."""

_NARROW = 2
"""Columns of a chroma plane up to which libjpeg repeats instead of interpolating across."""

_STRIP = 64
"""Luma lines in a strip: at 1080p it is 240 KiB in int16, which a second-level cache holds."""


def interleave(upper: NDArray[np.uint8], lower: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The lines of both alternately: uint8 `[lines of both, columns, ...]`; `lower` may have one line less."""
    lines = np.empty((len(upper) + len(lower), *upper.shape[1:]), np.uint8)
    lines[0::2], lines[1::2] = upper, lower
    return lines


def field_planes(planes: Planes, down: int, parity: int) -> Planes:
    """The planes of one field of woven planes (quirk S6).

    They are views, with one exception: frames of FFmpeg have no room for the last chroma line of the bottom field where
    the fields have an odd height. The line above it is repeated there.

    Args:
        planes: of the whole frame.
        down: luma lines of a field to one of its chroma lines.
        parity: 0 for the top field, 1 for the bottom field.
    """
    luma, *chroma = (plane[parity::2] for plane in planes)
    missing = [-(-len(luma) // down) - len(plane) for plane in chroma]
    whole = (
        np.pad(plane, ((0, rows), (0, 0)), mode="edge") if rows > 0 else plane
        for plane, rows in zip(chroma, missing, strict=True)
    )
    return (luma, *whole)


def expand(planes: Planes) -> Planes:
    """Limited range (luma 16..235, chroma 16..240) to full range (0..255), rounded to nearest."""
    return (_look_up(_EXPAND_LUMA, planes[0]), *(_look_up(_EXPAND_CHROMA, plane) for plane in planes[1:]))


def compress(planes: Planes) -> Planes:
    """Full range (0..255) to limited range (luma 16..235, chroma 16..240), rounded to nearest."""
    return (_look_up(_COMPRESS_LUMA, planes[0]), *(_look_up(_COMPRESS_CHROMA, plane) for plane in planes[1:]))


def to_rgb(planes: Planes, across: int, down: int, *, bgr: bool = False, woven: bool = False) -> NDArray[np.uint8]:
    """RGB of full-range planes, BT.601: uint8 `[height, width, 3]`.

    Chroma is upsampled as libjpeg does it, see `upsample`: by a 3/4, 1/4 triangle or by repetition.
    From the same planes libjpeg's RGB differs by at most 1. A single plane of luma is repeated.

    Args:
        planes: Y, or Y, Cb, Cr.
        across, down: luma samples to one chroma sample.
        bgr: blue first.
        woven: the lines belong to two fields; chroma is interpolated within each, for the other shows another moment.
    """
    pixels = np.empty((*planes[0].shape, 3), np.uint8)
    if len(planes) == 1:
        pixels[:] = planes[0][:, :, None]
        return pixels
    red, blue = (2, 0) if bgr else (0, 2)
    parts = [(field_planes(planes, down, parity), pixels[parity::2]) for parity in (0, 1)] if woven else []
    for part, lines in parts or [(planes, pixels)]:
        for top, luma, cb, cr in _strips(part, across, down):
            _convert(luma, cb, cr, lines[top : top + len(luma)], red, blue)
    return pixels


def upsample(plane: NDArray[np.uint8], across: int, down: int) -> NDArray[np.uint8]:
    """A chroma plane `across` times wider and `down` times higher: uint8 `[height * down, width * across]`.

    A factor of 2 interpolates as libjpeg's "fancy upsampling" does, to the bit. As in libjpeg, a factor of 4 repeats,
    and so does one of 2 in a plane of up to two columns that is made wider.
    """
    if (across, down) == (1, 1):
        return plane
    return _upsample_padded(np.pad(plane, 1, mode="edge"), across, down).astype(np.uint8)


def _strips(planes: Planes, across: int, down: int) -> Iterator[tuple[int, Samples, Samples, Samples]]:
    """Cut planes into strips: first line, then Y, Cb and Cr as int16, all `[lines, width]`."""
    luma, *subsampled = planes
    height, width = luma.shape
    chroma = [np.pad(plane, 1, mode="edge") for plane in subsampled]
    for top in range(0, height, _STRIP):
        lines = luma[top : top + _STRIP]
        first, last = top // down, -(-(top + len(lines)) // down)
        cb, cr = (_upsample_padded(plane[first : last + 2], across, down)[: len(lines), :width] for plane in chroma)
        yield top, lines.astype(np.int16), cb, cr


def _upsample_padded(padded: NDArray[np.uint8], across: int, down: int) -> Samples:
    """Upsample a plane with one sample of context on every side: int16 `[rows * down, columns * across]`."""
    sums = padded.astype(np.int16)
    inner = sums[1:-1, 1:-1]
    if across == 2 and inner.shape[1] <= _NARROW:
        return inner.repeat(down, axis=0).repeat(across, axis=1)
    if (across, down) == (2, 2):
        # The first pass keeps its two fraction bits, so that the result is rounded once (libjpeg's h2v2).
        return _triangle_across(_triangle_down(sums, shift=0, bias=(0, 0)), shift=4, bias=(8, 7))
    if across == 2:
        return _triangle_across(sums[1:-1], shift=2, bias=(1, 2))
    if down == 2:
        return _triangle_down(sums[:, 1:-1], shift=2, bias=(1, 2))
    return inner if across == 1 else inner.repeat(across, axis=1)


def _triangle_down(samples: Samples, shift: int, bias: tuple[int, int]) -> Samples:
    """Double the rows between the first and the last of `samples`: `(3 near + far + bias) >> shift`."""
    near = samples[1:-1] * np.int16(3)
    out = np.empty((2 * near.shape[0], near.shape[1]), np.int16)
    for half, far in ((0, samples[:-2]), (1, samples[2:])):
        total = near + far
        total += np.int16(bias[half])
        np.right_shift(total, shift, out=out[half::2])
    return out


def _triangle_across(samples: Samples, shift: int, bias: tuple[int, int]) -> Samples:
    """Double the columns in the same way as `_triangle_down` doubles rows."""
    near = samples[:, 1:-1] * np.int16(3)
    out = np.empty((near.shape[0], 2 * near.shape[1]), np.int16)
    for half, far in ((0, samples[:, :-2]), (1, samples[:, 2:])):
        total = near + far
        total += np.int16(bias[half])
        np.right_shift(total, shift, out=out[:, half::2])
    return out


def _convert(
    luma: Samples,
    cb: Samples,
    cr: Samples,
    pixels: NDArray[np.uint8],
    red: int,
    blue: int,
) -> None:
    """Full-range BT.601 into `pixels`, uint8 `[lines, width, 3]`.

    The factors of JFIF, split into a whole part and a fraction in 8 or 9 bits so that int16 holds every
    product: 1.402 = 1 + 103/256, 1.772 = 2 - 117/512, 0.714 = 1 - 73/256, 0.344 = 88/256.
    """
    u = cb - np.int16(NEUTRAL)
    v = cr - np.int16(NEUTRAL)
    channel = v * np.int16(103)
    channel += np.int16(128)
    channel >>= 8
    channel += v
    channel += luma
    pixels[:, :, red] = np.clip(channel, 0, 255, out=channel)
    np.multiply(u, np.int16(-117), out=channel)
    channel += np.int16(256)
    channel >>= 9
    channel += luma
    channel += u
    channel += u
    pixels[:, :, blue] = np.clip(channel, 0, 255, out=channel)
    np.multiply(v, np.int16(73), out=channel)
    u *= np.int16(88)
    channel -= u
    channel += np.int16(128)
    channel >>= 8
    channel += luma
    channel -= v
    pixels[:, :, 1] = np.clip(channel, 0, 255, out=channel)


def _table(slope: float, origin: int, target: int) -> bytes:
    """`target + slope * (sample - origin)` for every sample, rounded to nearest and clamped to 0..255."""
    return bytes(min(max(int(np.floor(target + slope * (s - origin) + 0.5)), 0), 255) for s in range(256))


def _look_up(table: bytes, plane: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Map every sample by a table; `bytes.translate` is several times faster than indexing an array."""
    return np.frombuffer(plane.tobytes().translate(table), np.uint8).reshape(plane.shape)


_EXPAND_LUMA = _table(255 / 219, 16, 0)
_EXPAND_CHROMA = _table(255 / 224, NEUTRAL, NEUTRAL)
_COMPRESS_LUMA = _table(219 / 255, 0, 16)
_COMPRESS_CHROMA = _table(224 / 255, NEUTRAL, NEUTRAL)
