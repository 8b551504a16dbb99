"""Conversion of planes: to RGB arrays, and from one range, sampling or size to another.

JPEG is full-range BT.601 with centre-sited chroma (quirks C6, C7). No function changes its input. The arithmetic is
int16, on a strip of lines at a time, which stays in the cache. In a woven picture chroma is interpolated and averaged
within each field, for the other field shows another moment (S6).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import av
import numpy as np
from numpy.typing import NDArray

from mjpeg_restore.frames import Picture, PixelFormat, Sampling
from mjpeg_restore.interlace import fields, interleave

Samples = NDArray[np.int16]
"""Intermediate samples, `[lines, columns]`."""

_STRIP = 64
"""Luma lines in a strip: at 1080p it is 240 KiB in int16, which a second-level cache holds."""

_NEUTRAL = 128
"""The chroma sample of no colour, in either range."""


def to_ndarray(picture: Picture, format: PixelFormat = "rgb") -> NDArray[np.uint8]:
    """The picture as one array.

    Chroma is upsampled as libjpeg does it: by a 3/4, 1/4 triangle where the factor is 2, by repetition where it is 4.
    From the same planes libjpeg's RGB differs by at most 1.

    Args:
        picture: planes of any sampling; limited range is expanded, a grey picture's luma is repeated.
        format: "rgb" or "bgr" for uint8 `[height, width, 3]`, full range; "gray" for the luma plane
            itself, not a copy, uint8 `[height, width]`, in the picture's own range.

    Raises:
        ValueError: an unknown format.
    """
    if format not in ("rgb", "bgr", "gray"):
        raise ValueError(f'format is "rgb", "bgr" or "gray", not {format!r}')
    if format == "gray":
        return picture.planes[0]
    picture = to_range(picture, full=True)
    pixels = np.empty((picture.height, picture.width, 3), np.uint8)
    if picture.sampling is Sampling.GRAY:
        pixels[:] = picture.planes[0][:, :, None]
        return pixels
    red, blue = (0, 2) if format == "rgb" else (2, 0)
    parts = [(picture, pixels)]
    if picture.field_order:
        parts = zip(fields(picture), (pixels[0::2], pixels[1::2]), strict=True)
    for part, lines in parts:
        for top, luma, cb, cr in _strips(part):
            _convert(luma, cb, cr, lines[top : top + len(luma)], red, blue)
    return pixels


def to_range(picture: Picture, full: bool) -> Picture:
    """The picture in full range (0..255) or in limited (luma 16..235, chroma 16..240), rounded to nearest."""
    if picture.full_range == full:
        return picture
    luma, chroma = (_EXPAND_LUMA, _EXPAND_CHROMA) if full else (_COMPRESS_LUMA, _COMPRESS_CHROMA)
    planes = (_look_up(luma, picture.planes[0]), *(_look_up(chroma, plane) for plane in picture.planes[1:]))
    return replace(picture, planes=planes, full_range=full)


def to_sampling(picture: Picture, sampling: Sampling) -> Picture:
    """The picture with its chroma at another sampling, centre-sited before and after; the luma stays.

    Chroma is interpolated upwards as in `to_ndarray` and averaged downwards. A grey picture gains neutral
    chroma planes; `Sampling.GRAY` drops them.
    """
    if picture.sampling is sampling:
        return picture
    luma = picture.planes[0]
    if sampling.value is None:
        return replace(picture, planes=(luma,), sampling=sampling)
    if picture.field_order:
        chroma = map(interleave, *(to_sampling(part, sampling).planes[1:] for part in fields(picture)))
        return replace(picture, planes=(luma, *chroma), sampling=sampling)
    across, down = sampling.value
    size = (-(-picture.height // down), -(-picture.width // across))
    if picture.sampling.value is None:
        neutral = np.full(size, _NEUTRAL, np.uint8)
        return replace(picture, planes=(luma, neutral, neutral), sampling=sampling)
    had_across, had_down = picture.sampling.value
    planes = [luma]
    for plane in picture.planes[1:]:
        finer = upsample(plane, max(had_across // across, 1), max(had_down // down, 1))
        coarser = _average(finer, max(across // had_across, 1), max(down // had_down, 1))
        planes.append(np.ascontiguousarray(coarser[: size[0], : size[1]]))
    return replace(picture, planes=tuple(planes), sampling=sampling)


def resize(picture: Picture, width: int, height: int) -> Picture:
    """The picture at another size, each plane scaled by bicubic interpolation; sampling and range stay (B2).

    The two fields of a woven picture are scaled separately.

    Raises:
        ValueError: width or height is below 1.
    """
    if width < 1 or height < 1:
        raise ValueError(f"a picture is at least 1x1, not {width}x{height}")
    if (width, height) == (picture.width, picture.height):
        return picture
    if picture.field_order and height > 1:
        upper, lower = fields(picture)
        halves = resize(upper, width, -(-height // 2)), resize(lower, width, height // 2)
        return replace(picture, planes=tuple(map(interleave, *(half.planes for half in halves))))
    across, down = picture.sampling.value or (1, 1)
    chroma_size = (-(-width // across), -(-height // down))
    planes = (
        _scale(picture.planes[0], width, height),
        *(_scale(plane, *chroma_size) for plane in picture.planes[1:]),
    )
    return replace(picture, planes=planes, field_order=None)


def upsample(plane: NDArray[np.uint8], across: int, down: int) -> NDArray[np.uint8]:
    """A chroma plane `across` times wider and `down` times higher: uint8 `[height * down, width * across]`.

    A factor of 2 interpolates as libjpeg's "fancy upsampling" does, to the bit; 4 repeats, as libjpeg does.
    """
    if (across, down) == (1, 1):
        return plane
    return _upsample_padded(np.pad(plane, 1, mode="edge"), across, down).astype(np.uint8)


def _strips(picture: Picture) -> Iterator[tuple[int, Samples, Samples, Samples]]:
    """Cut the picture into strips: first line, then Y, Cb and Cr as int16, all `[lines, width]`."""
    across, down = picture.sampling.value or (1, 1)
    luma = picture.planes[0]
    chroma = [np.pad(plane, 1, mode="edge") for plane in picture.planes[1:]]
    for top in range(0, picture.height, _STRIP):
        lines = luma[top : top + _STRIP]
        first, last = top // down, -(-(top + len(lines)) // down)
        cb, cr = (
            _upsample_padded(plane[first : last + 2], across, down)[: len(lines), : picture.width] for plane in chroma
        )
        yield top, lines.astype(np.int16), cb, cr


def _upsample_padded(padded: NDArray[np.uint8], across: int, down: int) -> Samples:
    """Upsample a plane with one sample of context on every side: int16 `[rows * down, columns * across]`."""
    sums = padded.astype(np.int16)
    if (across, down) == (2, 2):
        # The first pass keeps its two fraction bits, so that the result is rounded once (libjpeg's h2v2).
        return _triangle_across(_triangle_down(sums, shift=0, bias=(0, 0)), shift=4, bias=(8, 7))
    if across == 2:
        return _triangle_across(sums[1:-1], shift=2, bias=(1, 2))
    if down == 2:
        return _triangle_down(sums[:, 1:-1], shift=2, bias=(1, 2))
    inner = sums[1:-1, 1:-1]
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
    u = cb - np.int16(_NEUTRAL)
    v = cr - np.int16(_NEUTRAL)
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


def _average(plane: NDArray[np.uint8], across: int, down: int) -> NDArray[np.uint8]:
    """Rounded mean of each `down` x `across` box; a box that the edge cuts is completed by repetition."""
    if (across, down) == (1, 1):
        return plane
    height, width = plane.shape
    whole = np.pad(plane, ((0, -height % down), (0, -width % across)), mode="edge").astype(np.uint16)
    total = sum(whole[row::down, column::across] for row in range(down) for column in range(across))
    count = across * down
    return ((np.asarray(total) + count // 2) // count).astype(np.uint8)


def _scale(plane: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """One plane scaled by libswscale; uint8 `[height, width]`."""
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(plane), format="gray")
    scaled = frame.reformat(width=width, height=height, format="gray", interpolation="BICUBIC")
    return np.asarray(scaled.to_ndarray(), np.uint8)


def _table(slope: float, origin: int, target: int) -> bytes:
    """`target + slope * (sample - origin)` for every sample, rounded to nearest and clamped to 0..255."""
    return bytes(min(max(int(np.floor(target + slope * (s - origin) + 0.5)), 0), 255) for s in range(256))


def _look_up(table: bytes, plane: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Map every sample by a table; `bytes.translate` is several times faster than indexing an array."""
    return np.frombuffer(plane.tobytes().translate(table), np.uint8).reshape(plane.shape)


_EXPAND_LUMA = _table(255 / 219, 16, 0)
_EXPAND_CHROMA = _table(255 / 224, _NEUTRAL, _NEUTRAL)
_COMPRESS_LUMA = _table(219 / 255, 0, 16)
_COMPRESS_CHROMA = _table(224 / 255, _NEUTRAL, _NEUTRAL)
