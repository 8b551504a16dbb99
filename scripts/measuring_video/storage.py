"""What restored clips take once they are encoded, and the BD-rate."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from itertools import pairwise

import av
import numpy as np
from measuring.pictures import Plane

from measuring_video.metrics import levels
from measuring_video.rows import Curve
from mjpeg_restore.colour import to_sampling
from mjpeg_restore.errors import MissingExtra
from mjpeg_restore.frames import Picture, Sampling
from mjpeg_restore.sinks.pixels import to_frame

CODECS = {"h264": "libx264", "hevc": "libx265"}
"""FFmpeg's encoder by codec."""
CRFS = (18, 23, 28, 33)
SHOWN = {"h264": 23, "hevc": 28}
"""CRF of each codec, its encoder's default, whose bytes are shown."""
OPTIONS = {"h264": {"preset": "medium"}, "hevc": {"preset": "medium", "x265-params": "log-level=none"}}
RATE = Fraction(25)


def curves(by_network: Mapping[str, Sequence[Picture]], truth: Sequence[Plane]) -> list[Curve]:
    """Encode clips with each codec at each CRF.

    Args:
        by_network: restored clips.
        truth: luma that the encoded ones are compared with.
    """
    found: list[Curve] = []
    for network, pictures in by_network.items():
        frames = [to_sampling(picture, Sampling.YUV420) for picture in pictures]
        for codec in CODECS:
            coded = [encoded(frames, codec, crf) for crf in CRFS]
            psnr = [float(np.mean(levels(decoded, truth))) for _, decoded in coded]
            found.append(Curve(network, codec, [size for size, _ in coded], [round(level, 3) for level in psnr]))
    return found


def encoded(pictures: Sequence[Picture], codec: str, crf: int) -> tuple[int, list[Plane]]:
    """Encode and decode a clip.

    Args:
        pictures: at 4:2:0, of even width and height.
        codec: one of `CODECS`.
        crf: the encoder's constant rate factor.

    Returns:
        Bytes of the elementary stream, and its luma.
    """
    encoder = av.CodecContext.create(CODECS[codec], "w")
    decoder = av.CodecContext.create(codec, "r")
    assert isinstance(encoder, av.VideoCodecContext) and isinstance(decoder, av.VideoCodecContext)
    encoder.width, encoder.height = pictures[0].width, pictures[0].height
    encoder.pix_fmt = "yuv420p"
    encoder.framerate = RATE
    encoder.options = {**OPTIONS[codec], "crf": str(crf)}
    packets: list[av.Packet] = []
    for number, picture in enumerate(pictures):
        frame = to_frame(picture, "yuv420p", picture.width, picture.height)
        frame.pts = number
        packets += encoder.encode(frame)
    packets += encoder.encode(None)
    frames = [frame for packet in (*packets, None) for frame in decoder.decode(packet)]
    return sum(packet.size for packet in packets), [_luma(frame) for frame in frames]


def _luma(frame: av.VideoFrame) -> Plane:
    plane = frame.planes[0]
    return np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)[: plane.height, : plane.width]


def curve(found: Sequence[Curve], network: str, codec: str) -> Curve:
    """The curve of a network and a codec."""
    return next(one for one in found if (one.network, one.codec) == (network, codec))


def saved(found: Sequence[Curve], network: str, over: str, codec: str) -> float:
    """Share of another network's bytes that a network's clip needs less, at the CRF that is shown."""
    place = CRFS.index(SHOWN[codec])
    ours, theirs = (curve(found, name, codec).bytes[place] for name in (network, over))
    return 1 - ours / theirs


def bd_rate(found: Sequence[Curve], network: str, over: str, codec: str) -> float | None:
    """Bytes that a network's clip needs more at equal PSNR, as a share of another network's (Bjontegaard 2001).

    The logarithm of the bytes is interpolated over PSNR by piecewise cubic polynomials that keep its monotony, and
    integrated over the PSNR that both reach.

    Returns:
        Less than 0 where it needs fewer bytes. None if there is no such PSNR, or if one of the curves falls: more bytes
        for a noisy clip may tell more of its noise, and less of the truth.

    Raises:
        MissingExtra: SciPy is not installed.
    """
    try:
        from scipy.interpolate import PchipInterpolator
    except ImportError as error:
        raise MissingExtra("SciPy", "peers", "Computing the BD-rate") from error
    ours, theirs = (curve(found, name, codec) for name in (network, over))
    if not _rises(ours) or not _rises(theirs):
        return None
    low, high = max(ours.psnr[-1], theirs.psnr[-1]), min(ours.psnr[0], theirs.psnr[0])
    if low >= high:
        return None
    ours_area, theirs_area = (
        float(PchipInterpolator(one.psnr[::-1], np.log(one.bytes[::-1])).integrate(low, high)) for one in (ours, theirs)
    )
    return math.expm1((ours_area - theirs_area) / (high - low))


def _rises(one: Curve) -> bool:
    """Whether a curve's PSNR rises with every lower CRF."""
    return all(before > after for before, after in pairwise(one.psnr))
