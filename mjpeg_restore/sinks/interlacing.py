"""Signal interlaced pictures to the encoder and the container, so that players can deinterlace them (quirk S6)."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

import av
from av.codec.context import Flags
from av.filter import Graph
from av.video.codeccontext import VideoCodecContext

from mjpeg_restore.frames import FieldOrder, Sampling

_INTERLACED_ENCODERS = frozenset({"libx264", "ffv1", "mpeg2video", "mpeg4", "dnxhd"})
"""Encoders known to code interlaced frames. Others code them as progressive; the container may still signal fields."""


def set_field_order(
    context: VideoCodecContext, order: FieldOrder, sampling: Sampling, given: Mapping[str, str]
) -> dict[str, str]:
    """Set an encoder up for interlaced pictures, before it is opened.

    Args:
        context: the encoder, its size and codec set.
        order: the field that is shown first.
        sampling: the chroma subsampling of the encoder.
        given: the options to open the encoder with.

    Returns:
        The options, with the ones for fields added.
    """
    name = context.codec.name
    # Interleaved lines are stored top field first, whichever field is shown first. FFmpeg's own command writes tb and
    # bt for them, but tt and bb in MJPEG.
    orders = {"top": "tt", "bottom": "bb"} if name == "mjpeg" else {"top": "tb", "bottom": "bt"}
    options = {"field_order": orders[order], **given}
    _, down = sampling.value or (1, 1)
    # Each field needs whole chroma samples; x264 refuses other heights.
    if name in _INTERLACED_ENCODERS and context.height % (2 * down) == 0:
        context.flags |= Flags.interlaced_dct
        if name == "libx264" and order == "bottom":
            # For the header, which x264 writes before the first frame.
            options["x264opts"] = ":".join(["bff=1", *filter(None, [given.get("x264opts")])])
    return options


class FieldMarker:
    """Marks frames as interlaced, by FFmpeg's filter `setfield`: PyAV has no attribute for it. Nothing is copied."""

    def __init__(self, frame: av.VideoFrame, time_base: Fraction, order: FieldOrder) -> None:
        """Make the filter for frames of the size and format of this one."""
        self._graph = graph = Graph()  # kept: its filters hold no reference to it
        self._source = graph.add_buffer(
            width=frame.width, height=frame.height, format=frame.format, time_base=time_base
        )
        self._sink = graph.add("buffersink")
        mark = graph.add("setfield", f"mode={'tff' if order == 'top' else 'bff'}")
        self._source.link_to(mark)
        mark.link_to(self._sink)
        graph.configure()

    def __call__(self, frame: av.VideoFrame) -> av.VideoFrame:
        """The marked frame."""
        self._source.push(frame)
        marked = self._sink.pull()
        assert isinstance(marked, av.VideoFrame)
        return marked
