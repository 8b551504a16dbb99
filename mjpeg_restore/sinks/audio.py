"""The sound that goes along: packets copied, or transcoded where the container cannot hold them.

Nothing here ever fails the video: a packet that cannot be used is left out, and `AudioWriter.problem` says
why.
"""

# PyAV's stubs leave the parameter of Packet, and the keywords of add_stream, open.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import contextlib
import os
from collections import deque
from collections.abc import Generator, Iterable
from fractions import Fraction
from typing import Protocol

import av
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.error import FFmpegError
from av.stream import Stream

from mjpeg_restore.sinks.continuous import Continuous, is_pcm

# What players expect in each; FFmpeg would also write PCM into MP4, which next to none can play.
_HELD: dict[str, frozenset[str]] = {
    "mp4": frozenset({"aac", "mp3", "ac3", "eac3", "opus", "flac", "alac"}),
    "mov": frozenset({"aac", "mp3", "ac3", "eac3", "alac", "pcm_s16le", "pcm_s16be", "pcm_s24le", "pcm_u8"}),
    "webm": frozenset({"opus", "vorbis"}),
}
_ENCODERS = {"webm": "libopus"}
_BITS_PER_CHANNEL = 96_000


class AudioSource(Protocol):
    """What a source hands over: packets that it appends while video is read, on the video's clock."""

    stream: AudioStream
    """Of the input container: codec, parameters and time base of the packets."""
    packets: deque[av.Packet[Stream]]
    """Filled by the source, emptied here."""
    enabled: bool
    """True while somebody takes the packets; a source does not collect them otherwise."""


class AudioWriter:
    """One audio stream of an output container.

    AVI holds no times of sound, and MOV none but the first of PCM: silence is put where there is none. Compressed sound
    that begins late is transcoded for it; in the middle of what is copied there is no place for silence, and `problem`
    says so.
    """

    def __init__(self, source: AudioSource, container: OutputContainer, origin: Fraction = Fraction(0)) -> None:
        """Add a stream to the container, before its header is written.

        Args:
            source: what is written.
            container: where to.
            origin: when the output begins, in seconds on the source's clock, where the container holds no times.
        """
        self._trouble: str | None = None
        self._source = source
        self._container = container
        self._continuous: Continuous | None = None
        if container.format.name == "avi":
            self._continuous = Continuous(source.stream, origin)
        self._stream: AudioStream | None = None
        self._transcoding = False
        self._last_dts: int | None = None
        self._lost = 0
        try:
            self._stream = self._add_stream()
        except (FFmpegError, ValueError, RuntimeError) as error:
            self._trouble = f"the audio is left out: {_reason(error)}"
            source.enabled = False
            source.packets.clear()
            return
        self._says_delay = self._can_say_delay(self._stream)
        labels = source.stream.metadata
        self._stream.metadata.update({key: labels[key] for key in ("language", "title") if key in labels})

    @property
    def problem(self) -> str | None:
        """What of the audio is missing and why, in one line; None while all is well."""
        if self._trouble is None and self._continuous and self._continuous.lost:
            name = self._container.format.name.upper()
            early = f"up to {float(self._continuous.lost):.1f} s"
            return f"{name} holds no pauses in this sound, which is early by {early}: mp4 and mkv hold them"
        return self._trouble

    def _can_say_delay(self, stream: AudioStream) -> bool:
        match self._container.format.name:
            case "mp4" | "mov":
                return True
            case "matroska" | "webm":
                by_edit_list = self._source.stream.container.format.name.startswith("mov")
                opus = stream.codec_context.codec.canonical_name == "opus"
                return self._transcoding or opus or not by_edit_list
            case _:
                return False

    def drain(self) -> None:
        """Mux every packet that the source has collected so far; one that is broken is left out."""
        while self._stream is not None and self._source.packets:
            packet = self._source.packets.popleft()
            with self._losing():
                if self._transcoding:
                    self._transcode(packet, self._stream)
                else:
                    self._copy(packet, self._stream)

    def finish(self) -> None:
        """Mux what is left, and what the encoder still holds."""
        self.drain()
        if self._stream is None or not self._transcoding:
            return
        with self._losing():
            self._transcode(None, self._stream)
        with self._losing():
            self._mux(self._stream.encode(None))

    def _add_stream(self) -> AudioStream:
        template = self._source.stream
        container = self._container.format.name
        held = _HELD.get(container)
        if self._is_copied(template, held):
            # Both say that the container refuses it, as AVI does with some codecs: transcode.
            with contextlib.suppress(FFmpegError, ValueError):
                _try_header(container, template)
                stream = self._container.add_stream_from_template(template)
                if container == "mov" and is_pcm(template):
                    self._continuous = Continuous(template, None)
                return stream
        self._transcoding = True
        return self._add_encoder(_ENCODERS.get(container, "aac"), template)

    def _is_copied(self, template: AudioStream, held: frozenset[str] | None) -> bool:
        """Whether the container holds it as it is."""
        name = template.codec_context.codec.canonical_name
        if name == "aac" and not template.codec_context.extradata:
            return False  # without its description MKV refuses each packet, and then to be finished
        if self._continuous and not is_pcm(template):
            first = self._source.packets[0] if self._source.packets else None
            return not self._continuous.begins_late(first)
        return held is None or name in held

    def _add_encoder(self, name: str, template: AudioStream) -> AudioStream:
        rates = av.Codec(name, "w").audio_rates or []
        rate = template.codec_context.sample_rate
        stream = self._container.add_stream(name, rate=rate if rate in rates else 48_000)
        assert isinstance(stream, AudioStream)
        channels = template.codec_context.channels
        stream.codec_context.layout = "mono" if channels == 1 else "stereo"
        stream.codec_context.bit_rate = _BITS_PER_CHANNEL * min(channels, 2)
        stream.codec_context.open()
        return stream

    def _copy(self, packet: av.Packet[Stream], stream: AudioStream) -> None:
        if packet.dts is None:
            packet.dts = packet.pts
        if packet.dts is None or packet.size == 0:
            return
        for placed in self._continuous.packets(packet) if self._continuous else (packet,):
            self._copy_placed(placed, stream)

    def _copy_placed(self, packet: av.Packet[Stream], stream: AudioStream) -> None:
        assert packet.dts is not None
        if self._last_dts is not None and packet.dts <= self._last_dts:
            return  # muxers take rising times only; a packet that repeats one is worth less than the rest
        self._last_dts = packet.dts
        packet.stream = stream
        self._mux([packet])

    def _transcode(self, packet: av.Packet[Stream] | None, stream: AudioStream) -> None:
        for frame in self._source.stream.codec_context.decode(packet):
            for placed in self._continuous.frames(frame) if self._continuous else (frame,):
                self._mux(stream.encode(placed))

    def _mux(self, packets: Iterable[av.Packet[Stream]]) -> None:
        """Hand packets on, save those before time 0 where the container would move everything for them, pictures too.

        AAC begins with a packet that decoders throw away. MP4 and MOV say so by an edit list, Matroska by a delay of
        the codec, which FFmpeg does not make of an edit list; AVI has nothing of the kind.
        """
        for packet in packets:
            if packet.pts is None or packet.pts >= 0 or self._says_delay:
                self._container.mux(packet)

    @contextlib.contextmanager
    def _losing(self) -> Generator[None, None, None]:
        try:
            yield
        except (FFmpegError, ValueError) as error:
            self._lost += 1
            self._trouble = f"audio packets left out: {self._lost}, the last because of: {_reason(error)}"


def _try_header(format_name: str, template: AudioStream) -> None:
    """Write the header of a container with that stream to nowhere, for a header that fails is the end of a file."""
    with av.open(os.devnull, "w", format=format_name) as trial:
        trial.add_stream_from_template(template)
        trial.start_encoding()


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
