"""Pictures to coded packets: an open encoder, and the time stamps that it is given."""

# PyAV's stubs leave the parameter of Packet, and the keywords of add_stream, open.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

from fractions import Fraction

import av
from av.container import OutputContainer
from av.stream import Stream
from av.video.frame import PictureType

from mjpeg_restore.frames import FieldOrder, Picture, Sampling
from mjpeg_restore.sinks import pixels
from mjpeg_restore.sinks.encoder import Encoder, open_stream
from mjpeg_restore.sinks.interlacing import FieldMarker
from mjpeg_restore.sinks.timing import Timeline

_KEY_FRAME_INTERVAL = 2
"""Seconds between key frames of a live recording, at most."""


class Encoding:
    """An open encoder with its time line.

    Attributes:
        stream: of the container that the encoder was opened for.
    """

    def __init__(
        self, container: OutputContainer, encoder: Encoder, first: Picture, timeline: Timeline, sample_aspect: Fraction
    ) -> None:
        """Add a stream to a container, before its header is written, and open the encoder.

        Args:
            container: opened; nothing else is done with it.
            encoder: see `find_encoder`.
            first: the first picture, in the range to be coded; it is not encoded here.
            timeline: the time stamps.
            sample_aspect: width of a sample over its height.

        Raises:
            SinkError: the encoder refuses the picture or an option.
        """
        self._encoder = encoder
        self._first_sampling = first.source_sampling
        self._reduced_sampling: Sampling | None = None
        """The latest one that lost chroma samples."""
        self._timeline = timeline
        self._is_avi = container.format.name == "avi"
        self.stream, self._sampling = open_stream(
            container, encoder, first, timeline.time_base, timeline.rate, sample_aspect
        )
        self._full_range = first.full_range
        self._size = (first.width, first.height)
        self._field_marker: FieldMarker | None = None
        self._last_frame: av.VideoFrame | None = None
        self._key_frame_at: Fraction | None = None

    @property
    def parameter_sets(self) -> bytes:
        """What a decoder must know beforehand: of H.264, SPS and PPS in Annex B format."""
        return bytes(self.stream.codec_context.extradata or b"")

    @property
    def remarks(self) -> list[str]:
        """How size, chroma or times were changed, a line each."""
        found: list[str] = []
        (width, height), context = self._size, self.stream.codec_context
        if (context.width, context.height) != (width, height):
            repeated = " and ".join(["column"] * (context.width > width) + ["row"] * (context.height > height))
            found.append(
                f"{width}x{height} is written as {context.width}x{context.height} by {self._encoder.name}, the last "
                f"{repeated} repeated: vp9, ffv1 and mjpeg keep the size"
            )
        if self._reduced_sampling:
            what = f"{self._reduced_sampling.label} is written as {self._sampling.label}"
            if pixels.loses_chroma(self._first_sampling, self._sampling):
                found.append(f"{what} by {self._encoder.name}: h264, hevc, vp9 and ffv1 keep its chroma")
            else:
                found.append(f"{what}, because the first picture is {self._first_sampling.label}")
        # Smaller shifts come from the rounded time stamps of a constant rate.
        if self._is_avi and self._timeline.max_shift > self._timeline.time_base / 10:
            by = f"up to {1000 * float(self._timeline.max_shift):.0f} ms"
            found.append(f"AVI moves pictures to whole frames, by {by}: mp4, mov and mkv keep times")
        if self._timeline.wrapped:
            found.append("MPEG-TS counts 26.5 hours, and then from 0 again: mp4, mov and mkv keep longer times")
        return found

    def write(self, picture: Picture) -> list[av.Packet[Stream]]:
        """Encode one picture; the packets that are finished."""
        packets: list[av.Packet[Stream]] = []
        if pixels.loses_chroma(picture.source_sampling, self._sampling):
            self._reduced_sampling = picture.source_sampling
        frame = self._converted(picture)
        for pts in self._timeline.repeats(picture):
            packets += self._encode(self._last_frame or frame, pts, picture.field_order)
        self._last_frame = frame
        return packets + self._encode(frame, self._timeline.next(picture), picture.field_order)

    def pass_over(self, picture: Picture) -> None:
        """Note a picture that comes before the part of a video that is encoded here."""
        if self._last_frame is not None:  # what comes before the first one is not known, nor does it matter
            for _ in self._timeline.repeats(picture):
                pass
        self._timeline.next(picture)
        self._last_frame = self._converted(picture)

    def finish(self) -> list[av.Packet[Stream]]:
        """Flush the encoder; the last packets."""
        return self.stream.encode(None)

    def _converted(self, picture: Picture) -> av.VideoFrame:
        context = self.stream.codec_context
        converted = pixels.convert(picture, self._sampling, self._full_range)
        return pixels.to_frame(converted, str(context.pix_fmt), context.width, context.height)

    def _encode(self, frame: av.VideoFrame, pts: int, order: FieldOrder | None) -> list[av.Packet[Stream]]:
        frame.pts, frame.duration, frame.time_base = pts, self._timeline.duration, self._timeline.time_base
        if order:
            self._field_marker = self._field_marker or FieldMarker(frame, self._timeline.time_base, order)
            frame = self._field_marker(frame)
        frame.pict_type = PictureType.I if self._needs_key_frame(pts) else PictureType.NONE
        return self.stream.encode(frame)

    def _needs_key_frame(self, pts: int) -> bool:
        """Whether a live recording needs a key frame now: players begin at key frames, and cannot seek between them."""
        time = pts * self._timeline.time_base
        if not self._encoder.low_delay or (self._key_frame_at is not None and time < self._key_frame_at):
            return False
        self._key_frame_at = time + _KEY_FRAME_INTERVAL
        return True
