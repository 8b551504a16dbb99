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

from mjpeg_restore.frames import Picture, SoundPacket
from mjpeg_restore.sinks.audio import AudioWriter
from mjpeg_restore.sinks.encoder import Encoder
from mjpeg_restore.sinks.encoding import Encoding
from mjpeg_restore.sinks.timing import Timeline
from mjpeg_restore.sound import SoundTrack


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
    ) -> None:
        """Open the encoder and write the header.

        Args:
            container: opened, with its options and metadata.
            encoder: see `find_encoder`.
            first: the first picture, in the range to be coded.
            timeline: the time stamps.
            sample_aspect: width of a sample over its height.
            sound: tracks of sound.

        Raises:
            SinkError: the encoder refuses the picture or an option.
        """
        self.size = (first.width, first.height)
        self._container = container
        self._timeline = timeline
        self._encoding = Encoding(container, encoder, first, timeline, sample_aspect)
        self._sound = [AudioWriter(track, container, timeline.origin) for track in sound]
        self._first_dts: int | None = None
        self._written = 0
        container.start_encoding()
        # Who joins an RTP stream late has missed its description: the parameters come again with each key frame.
        is_rtp = container.format.name == "rtp"
        self._repeating = BitStreamFilterContext("dump_extra", self._encoding.stream) if is_rtp else None

    @property
    def parameter_sets(self) -> bytes:
        """What a decoder must know beforehand: of H.264, SPS and PPS in Annex B format."""
        return self._encoding.parameter_sets

    @property
    def remark(self) -> str | None:
        """How size, chroma, times or sound were changed or lost, in one line; None if they were not."""
        return "; ".join([*self._encoding.remarks, *self.sound_remarks]) or None

    @property
    def sound_remarks(self) -> list[str]:
        """How sound was changed or lost, a line each."""
        return [*dict.fromkeys(writer.problem for writer in self._sound if writer.problem)]

    def write(self, picture: Picture) -> None:
        """Encode and mux one picture."""
        self._mux(self._encoding.write(picture))
        self._written += 1

    def write_sound(self, packet: SoundPacket) -> None:
        """Mux sound."""
        self._sound[packet.track].write(packet)

    def write_coded(self, packets: Sequence[av.Packet[Stream]]) -> None:
        """Mux pictures that were coded elsewhere, by an encoder that was opened alike, in ticks of the time line."""
        self._mux(packets)

    def _mux(self, packets: Sequence[av.Packet[Stream]]) -> None:
        for packet in packets:
            if self._first_dts is None:
                self._first_dts = packet.dts
            self._container.mux(self._repeating.filter(packet) if self._repeating else packet)

    def finish(self) -> None:
        """Flush the encoders and write the container's trailer."""
        packets = self._encoding.finish()
        for packet in packets:
            if self._written <= 2:
                packet.dts = packet.pts  # x265 leaves it undefined; one or two pictures are never reordered
        self.finish_coded(packets, self._timeline.shown_until)

    def finish_coded(self, packets: Sequence[av.Packet[Stream]], shown_until: int | None) -> None:
        """Mux the last coded pictures, flush the encoders of the sound and write the container's trailer.

        Args:
            packets: the last ones in coding order; one at least, if there is any.
            shown_until: see `Timeline.shown_until`.
        """
        self._extend_last(packets, shown_until)
        self._mux(packets)
        for writer in self._sound:
            writer.finish()
        self._container.close()

    def _extend_last(self, packets: Sequence[av.Packet[Stream]], end: int | None) -> None:
        """Lengthen the packet that is decoded last, so that MP4 and MOV show the last picture for its full duration.

        The track ends with that packet, which may be shown before the last picture.
        """
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
