"""From planes to av.VideoFrame: which pixel format an encoder takes, and a frame filled and tagged."""

from __future__ import annotations

from dataclasses import replace

import av
import numpy as np

from mjpeg_restore import colour
from mjpeg_restore.errors import Hint, SinkError
from mjpeg_restore.frames import Picture, Sampling

# ITU-T H.273 code points, as FFmpeg numbers them.
_SMPTE170M = 6
"""Matrix: BT.601 (quirk C7); HD must not default to BT.709."""
_BT709 = 1
"""Primaries: JFIF names none; sRGB's are what V4L2 says of cameras and what AVIF writes for JPEGs."""
_SRGB = 13
"""Transfer: sRGB (IEC 61966-2-1), for the same reason."""
_LIMITED, _FULL = 1, 2

_NAMES: dict[Sampling, tuple[str, ...]] = {
    Sampling.GRAY: ("gray",),
    Sampling.YUV444: ("yuv444p", "yuvj444p"),
    Sampling.YUV422: ("yuv422p", "yuvj422p"),
    Sampling.YUV420: ("yuv420p", "yuvj420p", "nv12"),
    Sampling.YUV440: ("yuv440p", "yuvj440p"),
    Sampling.YUV411: ("yuv411p",),
}

# Those that lose nothing, the smallest first, then those that lose least.
_INSTEAD: dict[Sampling, tuple[Sampling, ...]] = {
    Sampling.GRAY: (Sampling.YUV420, Sampling.YUV422, Sampling.YUV444),
    Sampling.YUV444: (Sampling.YUV444, Sampling.YUV422, Sampling.YUV420),
    Sampling.YUV422: (Sampling.YUV422, Sampling.YUV444, Sampling.YUV420),
    Sampling.YUV420: (Sampling.YUV420, Sampling.YUV422, Sampling.YUV444),
    Sampling.YUV440: (Sampling.YUV444, Sampling.YUV422, Sampling.YUV420),
    Sampling.YUV411: (Sampling.YUV411, Sampling.YUV422, Sampling.YUV444, Sampling.YUV420),
}

# Browsers, QuickTime and most hardware refuse monochrome H.264, HEVC and AV1 (neutral chroma costs nothing),
# and FFmpeg cannot read its own 4:4:0 VP9 from MP4: these two stay as they are only where they are safe.
_DELICATE = frozenset({Sampling.GRAY, Sampling.YUV440})
_KEEPS_DELICATE = frozenset({"ffv1"})

# These code any size; the others need whole chroma samples.
_ANY_SIZE = frozenset({"ffv1", "mjpeg", "libvpx-vp9"})


def choose_format(codec: av.Codec, sampling: Sampling) -> tuple[Sampling, str]:
    """The sampling that the encoder can hold best and FFmpeg's name of it.

    Grey stays grey and 4:4:0 stays 4:4:0 in FFV1 only; elsewhere they become 4:2:0 with neutral chroma
    and 4:4:4, which players take.

    Raises:
        SinkError: the encoder takes no 8-bit YCbCr format.
    """
    known = {format.name for format in codec.video_formats or ()} or {"yuv420p"}
    candidates = _INSTEAD[sampling]
    if sampling in _DELICATE and codec.name in _KEEPS_DELICATE:
        candidates = (sampling, *candidates)
    for candidate in candidates:
        for name in _NAMES[candidate]:
            if name in known:
                return candidate, name
    formats = ", ".join(sorted(known))
    raise SinkError(f"encoder {codec.name} takes no 8-bit YCbCr but {formats}", Hint("try {codec}", codec="h264"))


def loses_chroma(given: Sampling, kept: Sampling) -> bool:
    """Whether chroma samples go where one sampling is written as another."""
    if given.value is None:
        return False
    return kept.value is None or any(after > before for before, after in zip(given.value, kept.value, strict=True))


def coded_size(codec: av.Codec, sampling: Sampling, width: int, height: int) -> tuple[int, int]:
    """Width and height to code: the picture's, rounded up to whole chroma samples where it must be."""
    if codec.name in _ANY_SIZE:
        return width, height
    across, down = sampling.value or (1, 1)
    return width + -width % across, height + -height % down


def to_frame(picture: Picture, pix_fmt: str, width: int, height: int) -> av.VideoFrame:
    """Planes copied sample by sample into a tagged frame; where it is larger, the last column and row repeat.

    Args:
        picture: already at the sampling of `pix_fmt`.
        pix_fmt: one of the names that `choose_format` gives.
        width: of the frame, the picture's or up to one chroma sample more.
        height: likewise.
    """
    frame = av.VideoFrame(width, height, pix_fmt)
    planes = picture.planes
    if pix_fmt == "nv12":
        pairs = np.stack(planes[1:], axis=-1)
        planes = (planes[0], pairs.reshape(pairs.shape[0], -1))
    for source, plane in zip(planes, frame.planes, strict=True):
        target = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
        rows, columns = source.shape
        target[:rows, :columns] = source
        if columns < plane.width:
            target[:rows, columns : plane.width] = source[:, -1:]
        if rows < plane.height:
            target[rows : plane.height] = target[rows - 1]
    tag(frame, picture.full_range)
    return frame


def tag(target: av.VideoFrame | av.VideoCodecContext, full_range: bool) -> None:
    """Say what the samples mean: BT.601 matrix, sRGB primaries and transfer, and the range."""
    target.color_range = _FULL if full_range else _LIMITED
    target.colorspace = _SMPTE170M
    target.color_primaries = _BT709
    target.color_trc = _SRGB


def prepare(picture: Picture, sampling: Sampling, full_range: bool) -> Picture:
    """The picture at the sampling and in the range that the encoder was opened with.

    Of woven fields of an odd height the lower one loses its last line of subsampled chroma: frames have no room for it,
    FFmpeg's decoder drops it too (S6).
    """
    ready = colour.to_range(colour.to_sampling(picture, sampling), full_range)
    _, down = sampling.value or (1, 1)
    luma, *chroma = ready.planes
    return replace(ready, planes=(luma, *(plane[: -(-ready.height // down)] for plane in chroma)))


def for_frames(sampling: Sampling) -> Sampling:
    """The sampling that woven fields need where a reader knows of frames only: chroma on each line (S6)."""
    return {Sampling.YUV420: Sampling.YUV422, Sampling.YUV440: Sampling.YUV444}.get(sampling, sampling)
