"""A container with its encoder and muxer: what a sink of video opens with the first picture."""

# PyAV's stubs leave the parameter of Packet, and the keywords of add_stream, open.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from fractions import Fraction

import av
from av.bitstream import BitStreamFilterContext
from av.container import OutputContainer
from av.error import FFmpegError
from av.stream import Stream
from av.video.frame import PictureType

from mjpeg_restore.frames import FieldOrder, Picture, Sampling, SoundPacket
from mjpeg_restore.sinks import pixels
from mjpeg_restore.sinks.audio import AudioWriter
from mjpeg_restore.sinks.encoder import Encoder, open_stream
from mjpeg_restore.sinks.interlacing import FieldMarker
from mjpeg_restore.sinks.timing import Timeline
from mjpeg_restore.sound import SoundTrack

_KEY_FRAME_INTERVAL = 2
"""Seconds between key frames of a live recording, at most."""


class VideoWriter:
    """An open container with its encoder, from the first picture on.

    Attributes:
        size: (width, height) of every picture.
    """

    def __init__(
        self,
        container: OutputContainer,
        encoder: Encoder,
        first: Picture,
        timeline: Timeline,
        sample_aspect: Fraction,
        sound: Sequence[SoundTrack],
        early: Sequence[SoundPacket],
    ) -> None:
        """Open the encoder and write the header.

        Args:
            container: opened, with its options and metadata.
            encoder: see `find_encoder`.
            first: the first picture, in the range to be coded.
            timeline: the time stamps.
            sample_aspect: width of a sample over its height.
            sound: tracks of sound.
            early: their packets before the first picture; not written yet.

        Raises:
            SinkError: the encoder refuses the picture or an option.
        """
        self.size = (first.width, first.height)
        self._encoder = encoder
        self._first_sampling = first.source_sampling
        self._reduced_sampling: Sampling | None = None
        """The latest one that lost chroma samples."""
        self._container = container
        self._timeline = timeline
        self._stream, self._sampling = open_stream(
            container, encoder, first, timeline.time_base, timeline.rate, sample_aspect
        )
        self._full_range = first.full_range
        first_of = {packet.track: packet for packet in reversed(early)}
        self._sound = [
            AudioWriter(track, container, timeline.origin, first_of.get(number)) for number, track in enumerate(sound)
        ]
        self._field_marker: FieldMarker | None = None
        self._last_frame: av.VideoFrame | None = None
        self._first_dts: int | None = None
        self._key_frame_at: Fraction | None = None
        self._written = 0
        container.start_encoding()
        # Who joins an RTP stream late has missed its description: the parameters come again with each key frame.
        is_rtp = container.format.name == "rtp"
        self._repeating = BitStreamFilterContext("dump_extra", self._stream) if is_rtp else None

    @property
    def parameter_sets(self) -> bytes:
        """What a decoder must know beforehand: of H.264, SPS and PPS in Annex B format."""
        return bytes(self._stream.codec_context.extradata or b"")

    @property
    def remark(self) -> str | None:
        """How chroma, times or sound were changed or lost, in one line; None if they were not."""
        found: list[str] = []
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
        found += dict.fromkeys(writer.problem for writer in self._sound if writer.problem)
        return "; ".join(found) or None

    def write(self, picture: Picture) -> None:
        """Encode and mux one picture."""
        context = self._stream.codec_context
        if pixels.loses_chroma(picture.source_sampling, self._sampling):
            self._reduced_sampling = picture.source_sampling
        converted = pixels.convert(picture, self._sampling, self._full_range)
        frame = pixels.to_frame(converted, str(context.pix_fmt), context.width, context.height)
        for pts in self._timeline.repeats(picture):
            self._encode(self._last_frame or frame, pts, picture.field_order)
        self._last_frame = frame
        self._encode(frame, self._timeline.next(picture), picture.field_order)
        self._written += 1

    def write_sound(self, packet: SoundPacket) -> None:
        """Mux sound."""
        self._sound[packet.track].write(packet)

    @property
    def _is_avi(self) -> bool:
        return self._container.format.name == "avi"

    def _encode(self, frame: av.VideoFrame, pts: int, order: FieldOrder | None) -> None:
        frame.pts, frame.duration, frame.time_base = pts, self._timeline.duration, self._timeline.time_base
        if order:
            self._field_marker = self._field_marker or FieldMarker(frame, self._timeline.time_base, order)
            frame = self._field_marker(frame)
        frame.pict_type = PictureType.I if self._needs_key_frame(pts) else PictureType.NONE
        self._mux(self._stream.encode(frame))

    def _needs_key_frame(self, pts: int) -> bool:
        """Whether a live recording needs a key frame now: players begin at key frames, and cannot seek between them."""
        time = pts * self._timeline.time_base
        if not self._encoder.low_delay or (self._key_frame_at is not None and time < self._key_frame_at):
            return False
        self._key_frame_at = time + _KEY_FRAME_INTERVAL
        return True

    def _mux(self, packets: Sequence[av.Packet[Stream]]) -> None:
        for packet in packets:
            if self._first_dts is None:
                self._first_dts = packet.dts
            self._container.mux(self._repeating.filter(packet) if self._repeating else packet)

    def finish(self) -> None:
        """Flush the encoders and write the container's trailer."""
        packets = self._stream.encode(None)
        for packet in packets:
            if self._written <= 2:
                packet.dts = packet.pts  # x265 leaves it undefined; one or two pictures are never reordered
        self._extend_last(packets)
        self._mux(packets)
        for writer in self._sound:
            writer.finish()
        self._container.close()

    def _extend_last(self, packets: Sequence[av.Packet[Stream]]) -> None:
        """Lengthen the packet that is decoded last, so that MP4 and MOV show the last picture for its full duration.

        The track ends with that packet, which may be shown before the last picture.
        """
        end = self._timeline.shown_until
        if self._container.format.name not in ("mp4", "mov") or end is None or not packets:
            return
        first, last = self._first_dts, packets[-1].dts
        first = packets[0].dts if first is None else first  # negative where pictures are reordered
        if last is not None and first is not None:
            packets[-1].duration = max(packets[-1].duration or 0, end - last + min(first, 0))

    def discard(self) -> None:
        """Close the file, whatever its state."""
        with contextlib.suppress(FFmpegError, OSError, ValueError):
            self._container.close()
