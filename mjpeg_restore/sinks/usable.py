"""The video encoders that work on this machine."""

# PyAV's stubs leave types open.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

from fractions import Fraction

import av
from av.error import FFmpegError
from av.video.codeccontext import VideoCodecContext

from mjpeg_restore.errors import SinkError
from mjpeg_restore.frames import Sampling
from mjpeg_restore.sinks.pixels import choose_format
from mjpeg_restore.sinks.scheduling import ordinary_scheduling

SOFTWARE = {
    "H.264": "libx264",
    "HEVC": "libx265",
    "AV1": "libsvtav1",
    "VP9": "libvpx-vp9",
    "FFV1": "ffv1",
    "MJPEG": "mjpeg",
}
"""By codec, FFmpeg's names of the encoders that need no particular hardware."""

HARDWARE = ("nvenc", "qsv", "amf", "videotoolbox", "v4l2m2m")
"""What follows the codec in FFmpeg's names of the encoders that do."""


def usable_encoders() -> dict[str, list[str]]:
    """For each codec, the encoders by FFmpeg's names; the hardware of those that need some is tried."""
    found: dict[str, list[str]] = {}
    for codec, software in SOFTWARE.items():
        hardware = (f"{codec.lower().replace('.', '')}_{kind}" for kind in HARDWARE)
        found[codec] = [name for name in (software, *hardware) if _exists(name)]
        found[codec] = [name for name in found[codec] if name == software or _opens(name)]
    return found


def _exists(name: str) -> bool:
    try:
        av.Codec(name, "w")
    except ValueError:
        return False
    return True


def _opens(name: str) -> bool:
    """Whether an encoder opens as a sink would open it: some, as Intel's, take nv12 alone."""
    context = av.CodecContext.create(name, "w")
    assert isinstance(context, VideoCodecContext)
    context.width, context.height, context.time_base = 640, 480, Fraction(1, 25)
    try:
        _, context.pix_fmt = choose_format(context.codec, Sampling.YUV420)
        with ordinary_scheduling():
            context.open()
    except (SinkError, FFmpegError, ValueError, OSError):
        return False
    return True
