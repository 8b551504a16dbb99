"""Restored pictures as GStreamer's raw video: format, colorimetry, and planes into a buffer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from mjpeg_restore.frames import FieldOrder, Picture, Sampling
from mjpeg_restore.gstreamer.bindings import Gst, GstVideo
from mjpeg_restore.sinks.pixels import convert

_FORMATS = {
    Sampling.GRAY: "GRAY8",
    Sampling.YUV444: "Y444",
    Sampling.YUV422: "Y42B",
    Sampling.YUV420: "I420",
    Sampling.YUV411: "Y41B",
}
"""Names of raw video's formats. There is none for 4:4:0."""

CAPS = f"video/x-raw, format = (string) {{ {', '.join(_FORMATS.values())} }}"
"""All that can come out, for the pad's template."""

_COLORIMETRY = {True: "1:4:7:1", False: "2:4:7:1"}
"""Full and limited range; BT.601 with the transfer and primaries of sRGB, as the other outputs have it (C6, C7)."""


@dataclass(frozen=True, slots=True)
class Format:
    """What the caps say of a picture."""

    name: str
    """Of the video format."""
    width: int
    height: int
    full_range: bool
    field_order: FieldOrder | None
    """The field of a woven picture that is shown first; None where the picture is no frame of two fields."""

    @classmethod
    def of(cls, picture: Picture) -> Format:
        """The format of a picture that is `fitted`."""
        name = _FORMATS[picture.sampling]
        return cls(name, picture.width, picture.height, picture.full_range, picture.field_order)

    def set_on(self, decoder: Any, reference: Any) -> Any:
        """Make this the output's format. It is negotiated with the next buffer, and `complete` sees to the rest.

        Args:
            decoder: a `GstVideo.VideoDecoder`.
            reference: its input's `GstVideo.VideoCodecState`. Frame rate, aspect and colorimetry come from there.

        Returns:
            `GstVideo.VideoInfo`: the layout of a buffer that states none.
        """
        modes = GstVideo.VideoInterlaceMode
        mode = modes.INTERLEAVED if self.field_order else modes.PROGRESSIVE
        video_format = GstVideo.VideoFormat.from_string(self.name)
        return decoder.set_interlaced_output_state(video_format, mode, self.width, self.height, reference).info

    def complete(self, caps: Any) -> Any:
        """The caps with all that the base class does not know.

        The colorimetry of the input's caps stands: an encoder such as jpegenc takes limited range and leaves it so.
        """
        missing = {"colorimetry": _COLORIMETRY[self.full_range]}
        if self.name != "GRAY8":
            missing["chroma-site"] = "jpeg"
        if self.field_order:
            missing["field-order"] = f"{self.field_order}-field-first"
        caps = caps.copy()
        for field, value in missing.items():
            if not caps.get_structure(0).has_field(field):
                caps.set_value(field, value)
        return caps


def fitted(picture: Picture) -> Picture:
    """The picture at the stream's sampling, as encoders are to have it; 4:4:0, which raw video lacks, becomes 4:4:4."""
    sampling = picture.source_sampling if picture.source_sampling in _FORMATS else Sampling.YUV444
    return convert(picture, sampling, picture.full_range)


def write(picture: Picture, buffer: Any, info: Any) -> None:
    """Copy the planes of a picture into a buffer, and mark the fields.

    Args:
        picture: `fitted`.
        buffer: a `Gst.Buffer` for it. It may have a layout of its own, and consist of several memories.
        info: the output's `GstVideo.VideoInfo`: the layout of a buffer that has none.
    """
    layout = GstVideo.buffer_get_video_meta(buffer) or info
    for plane, offset, stride in zip(picture.planes, layout.offset, layout.stride, strict=False):
        rows, columns = plane.shape
        _, index, _, skip = buffer.find_memory(offset, stride * (rows - 1) + columns)
        # The buffer itself cannot be mapped for writing: the decoder holds another reference to it.
        with buffer.peek_memory(index).map(Gst.MapFlags.READ | Gst.MapFlags.WRITE) as mapped:
            np.ndarray(plane.shape, np.uint8, mapped.data, skip, (stride, 1))[:] = plane
    if picture.field_order:
        top_first = GstVideo.VideoBufferFlags.TFF if picture.field_order == "top" else 0
        buffer.set_flags(Gst.BufferFlags(GstVideo.VideoBufferFlags.INTERLACED | top_first))
