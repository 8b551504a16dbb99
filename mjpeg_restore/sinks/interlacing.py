"""Two woven fields, said to the encoder and the container: players then take them apart again (quirk S6)."""

from __future__ import annotations

from fractions import Fraction

import av
from av.codec.context import Flags
from av.filter import Graph
from av.video.codeccontext import VideoCodecContext

from mjpeg_restore.frames import FieldOrder, Sampling

_ALONE = {"mjpeg", "libx265", "libsvtav1", "libvpx-vp9"}
"""Encoders that code whole frames only: the container may still say what is in them."""


def announce(context: VideoCodecContext, order: FieldOrder, sampling: Sampling) -> dict[str, str]:
    """Tell an encoder that is not open yet.

    Returns:
        Options to open it with.
    """
    _, down = sampling.value or (1, 1)
    # Each field needs whole chroma samples; x264 refuses others.
    if context.codec.name not in _ALONE and context.height % (2 * down) == 0:
        context.flags |= Flags.interlaced_dct
    return {"field_order": {"top": "tt", "bottom": "bb"}[order]}


class FieldMarker:
    """Marks frames as two woven fields. PyAV cannot; FFmpeg's filter `setfield` can, and copies nothing."""

    def __init__(self, frame: av.VideoFrame, time_base: Fraction, order: FieldOrder) -> None:
        """Make the filter for frames like this one."""
        self._graph = graph = Graph()  # its filters do not keep it alive
        self._source = graph.add_buffer(
            width=frame.width, height=frame.height, format=frame.format, time_base=time_base
        )
        self._sink = graph.add("buffersink")
        mark = graph.add("setfield", f"mode={'tff' if order == 'top' else 'bff'}")
        self._source.link_to(mark)
        mark.link_to(self._sink)
        graph.configure()

    def __call__(self, frame: av.VideoFrame) -> av.VideoFrame:
        """The frame, marked."""
        self._source.push(frame)
        marked = self._sink.pull()
        assert isinstance(marked, av.VideoFrame)
        return marked
