"""The sound that goes along: packets copied, or transcoded where the container cannot hold them.

Nothing here ever fails the video: what goes wrong ends the audio, and `AudioWriter.problem` says why.
"""

from __future__ import annotations

from collections import deque
from typing import Protocol

import av
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.error import FFmpegError
from av.stream import Stream

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

    Attributes:
        problem: why the audio ended early or is missing, in one line; None while all is well.
    """

    def __init__(self, source: AudioSource, container: OutputContainer) -> None:
        """Add a stream to the container, before its header is written."""
        self.problem: str | None = None
        self._source = source
        self._container = container
        self._stream: AudioStream | None = None
        self._transcoding = False
        self._last_dts: int | None = None
        try:
            self._stream = self._add_stream()
            labels = source.stream.metadata
            self._stream.metadata.update({key: labels[key] for key in ("language", "title") if key in labels})
        except (FFmpegError, ValueError, RuntimeError) as error:
            self._give_up(error)

    def drain(self) -> None:
        """Mux every packet that the source has collected so far."""
        while self._stream is not None and self._source.packets:
            packet = self._source.packets.popleft()
            try:
                self._take(packet)
            except (FFmpegError, ValueError) as error:
                self._give_up(error)

    def finish(self) -> None:
        """Mux what is left, and what the encoder still holds."""
        self.drain()
        if self._stream is None or not self._transcoding:
            return
        try:
            for frame in self._source.stream.codec_context.decode(None):
                self._container.mux(self._stream.encode(frame))
            self._container.mux(self._stream.encode(None))
        except (FFmpegError, ValueError) as error:
            self._give_up(error)

    def _add_stream(self) -> AudioStream:
        template = self._source.stream
        container = self._container.format.name
        held = _HELD.get(container)
        if held is None or template.codec_context.codec.canonical_name in held:
            try:
                return self._container.add_stream_from_template(template)
            except ValueError:
                pass  # the container refuses it (AVI does with some): transcode
        self._transcoding = True
        return self._add_encoder(_ENCODERS.get(container, "aac"), template)

    def _add_encoder(self, name: str, template: AudioStream) -> AudioStream:
        rates = av.Codec(name, "w").audio_rates or []
        rate = template.codec_context.sample_rate
        stream = self._container.add_stream(name, rate=rate if rate in rates else 48_000)
        if not isinstance(stream, AudioStream):
            raise ValueError(f"{name} is no audio encoder")
        channels = template.codec_context.channels
        stream.codec_context.layout = "mono" if channels == 1 else "stereo"
        stream.codec_context.bit_rate = _BITS_PER_CHANNEL * min(channels, 2)
        stream.codec_context.open()
        return stream

    def _take(self, packet: av.Packet[Stream]) -> None:
        assert self._stream is not None
        if packet.dts is None:
            packet.dts = packet.pts
        if packet.size == 0 or packet.dts is None:
            return
        if self._transcoding:
            for frame in self._source.stream.codec_context.decode(packet):
                self._container.mux(self._stream.encode(frame))
            return
        if self._last_dts is not None and packet.dts <= self._last_dts:
            return  # a muxer takes rising times only; a packet that repeats one is worth less than the rest
        self._last_dts = packet.dts
        packet.stream = self._stream
        self._container.mux(packet)

    def _give_up(self, error: Exception) -> None:
        self.problem = f"the audio is not kept from here on: {getattr(error, 'strerror', None) or error}"
        self._stream = None
        self._source.enabled = False
        self._source.packets.clear()
