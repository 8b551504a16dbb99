"""Planes to av.VideoFrame: the pixel format for an encoder, conversion, and filled and tagged frames."""

from __future__ import annotations

from dataclasses import replace

import av
import numpy as np

from mjpeg_restore import colour
from mjpeg_restore.errors import Hint, SinkError
from mjpeg_restore.frames import Picture, Sampling

# Code points of ITU-T H.273, as FFmpeg numbers them.
_SMPTE170M = 6
"""Matrix: BT.601 in HD too, where players would assume BT.709 (quirk C7)."""
_BT709 = 1
"""Primaries: sRGB's, since JFIF defines none, V4L2 reports them for cameras and AVIF writes them for JPEGs."""
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

# In order of preference: lossless ones, the smallest first, then lossy ones by loss.
_CANDIDATES: dict[Sampling, tuple[Sampling, ...]] = {
    Sampling.GRAY: (Sampling.YUV420, Sampling.YUV422, Sampling.YUV444),
    Sampling.YUV444: (Sampling.YUV444, Sampling.YUV422, Sampling.YUV420),
    Sampling.YUV422: (Sampling.YUV422, Sampling.YUV444, Sampling.YUV420),
    Sampling.YUV420: (Sampling.YUV420, Sampling.YUV422, Sampling.YUV444),
    Sampling.YUV440: (Sampling.YUV444, Sampling.YUV422, Sampling.YUV420),
    Sampling.YUV411: (Sampling.YUV411, Sampling.YUV422, Sampling.YUV444, Sampling.YUV420),
}

# Browsers, QuickTime and most hardware refuse monochrome H.264, HEVC and AV1 (neutral chroma costs nothing), and
# FFmpeg cannot read its own 4:4:0 VP9 from MP4: these two samplings are kept only by encoders that handle them well.
_POORLY_SUPPORTED = frozenset({Sampling.GRAY, Sampling.YUV440})
_KEEPS_THEM = frozenset({"ffv1"})

_LOSSLESS = frozenset({"ffv1"})

# Encoders for any size; the others need whole chroma samples.
ANY_SIZE = frozenset({"ffv1", "mjpeg", "libvpx-vp9"})


def choose_format(codec: av.Codec, sampling: Sampling) -> tuple[Sampling, str]:
    """The encoder's best match for a chroma subsampling, and FFmpeg's name of the pixel format.

    Only FFV1 keeps grey and 4:4:0. Elsewhere, for the sake of players, grey becomes 4:2:0 with neutral chroma, and
    4:4:0 becomes 4:4:4.

    Raises:
        SinkError: the encoder takes no 8-bit YCbCr format.
    """
    known = {format.name for format in codec.video_formats or ()} or {"yuv420p"}
    candidates = _CANDIDATES[sampling]
    if sampling in _POORLY_SUPPORTED and codec.name in _KEEPS_THEM:
        candidates = (sampling, *candidates)
    for candidate in candidates:
        for name in _NAMES[candidate]:
            if name in known:
                return candidate, name
    formats = ", ".join(sorted(known))
    raise SinkError(f"encoder {codec.name} takes no 8-bit YCbCr but {formats}", Hint("try {codec}", codec="h264"))


def sampling_to_code(codec: av.Codec, picture: Picture) -> Sampling:
    """The chroma subsampling to ask an encoder for: that of the stream, as one that loses details anyway is to have.

    Chroma that a model restored at luma's size would make H.264 a 4:4:4 that few players decode. Only FFV1, which loses
    nothing, keeps it.
    """
    return picture.sampling if codec.name in _LOSSLESS else picture.source_sampling


def loses_chroma(given: Sampling, kept: Sampling) -> bool:
    """Whether conversion from one chroma subsampling to another drops chroma samples."""
    if given.value is None:
        return False
    return kept.value is None or any(after > before for before, after in zip(given.value, kept.value, strict=True))


def coded_size(codec: av.Codec, sampling: Sampling, width: int, height: int) -> tuple[int, int]:
    """Width and height to code: the picture's, rounded up to whole chroma samples if the encoder needs them."""
    if codec.name in ANY_SIZE:
        return width, height
    across, down = sampling.value or (1, 1)
    return width + -width % across, height + -height % down


def to_frame(picture: Picture, pix_fmt: str, width: int, height: int) -> av.VideoFrame:
    """Copy a picture's samples, unchanged, into a tagged frame. A larger frame is padded with the last column and row.

    Args:
        picture: at the chroma subsampling of `pix_fmt`.
        pix_fmt: a name from `choose_format`.
        width: the frame's width: the picture's, or that rounded up to a whole chroma sample.
        height: the frame's height, likewise.
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
    """Tag a frame or encoder with the colour space: BT.601 matrix, sRGB primaries and transfer, and the range."""
    target.color_range = _FULL if full_range else _LIMITED
    target.colorspace = _SMPTE170M
    target.color_primaries = _BT709
    target.color_trc = _SRGB


def convert(picture: Picture, sampling: Sampling, full_range: bool) -> Picture:
    """Convert a picture to a chroma subsampling and a range.

    Where two fields of an odd height are interleaved, the lower field loses its last line of subsampled chroma: a frame
    has no room for it, and FFmpeg's decoder drops it too (S6).
    """
    converted = colour.to_range(colour.to_sampling(picture, sampling), full_range)
    _, down = sampling.value or (1, 1)
    luma, *chroma = converted.planes
    return replace(converted, planes=(luma, *(plane[: -(-converted.height // down)] for plane in chroma)))


def full_chroma_lines(sampling: Sampling) -> Sampling:
    """The subsampling with chroma on each line, for interlaced pictures in formats without fields (S6)."""
    return {Sampling.YUV420: Sampling.YUV422, Sampling.YUV440: Sampling.YUV444}.get(sampling, sampling)
