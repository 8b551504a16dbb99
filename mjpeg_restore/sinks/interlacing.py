"""Two woven fields, said to the encoder and the container: players then take them apart again (quirk S6)."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

import av
from av.codec.context import Flags
from av.filter import Graph
from av.video.codeccontext import VideoCodecContext

from mjpeg_restore.frames import FieldOrder, Sampling

_INTERLACED = frozenset({"libx264", "ffv1", "mpeg2video", "mpeg4", "dnxhd"})
"""Encoders that were seen to code fields. Others code whole frames; the container may still say what is in them."""


def announce(
    context: VideoCodecContext, order: FieldOrder, sampling: Sampling, given: Mapping[str, str]
) -> dict[str, str]:
    """Tell an encoder that is not open yet.

    Args:
        context: its size and codec are set.
        order: of the fields.
        sampling: that the encoder takes.
        given: options that it is to be opened with.

    Returns:
        These, and those that speak of fields.
    """
    name = context.codec.name
    # Woven lines are stored top field first, whichever is shown first; of MJPEG FFmpeg's own command says otherwise.
    orders = {"top": "tt", "bottom": "bb"} if name == "mjpeg" else {"top": "tb", "bottom": "bt"}
    options = {"field_order": orders[order], **given}
    _, down = sampling.value or (1, 1)
    # Each field needs whole chroma samples; x264 refuses others.
    if name in _INTERLACED and context.height % (2 * down) == 0:
        context.flags |= Flags.interlaced_dct
        if name == "libx264" and order == "bottom":
            # For the header, which is written before it sees a frame.
            options["x264opts"] = ":".join(["bff=1", *filter(None, [given.get("x264opts")])])
    return options


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
