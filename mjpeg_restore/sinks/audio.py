"""Sound beside the video: packets are copied, or transcoded if the container does not support their codec.

Sound never makes the video fail: unusable packets are left out, and `AudioWriter.problem` gives the reason.
"""

# PyAV's stubs leave the parameter of Packet, and the keywords of add_stream, open.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import contextlib
import io
from collections.abc import Generator, Iterable, Iterator
from fractions import Fraction

import av
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.error import FFmpegError
from av.stream import Stream

from mjpeg_restore.errors import reason_of
from mjpeg_restore.frames import SoundPacket
from mjpeg_restore.sinks.silence import GapFiller, is_pcm, without_start
from mjpeg_restore.sound import SoundDecoder, SoundTrack, to_av

# The codecs that players support in each container; FFmpeg would also write PCM into MP4, which few players support.
_SUPPORTED: dict[str, frozenset[str]] = {
    "mp4": frozenset({"aac", "mp3", "ac3", "eac3", "opus", "flac", "alac"}),
    "mov": frozenset({"aac", "mp3", "ac3", "eac3", "alac", "pcm_s16le", "pcm_s16be", "pcm_s24le", "pcm_u8"}),
    "webm": frozenset({"opus", "vorbis"}),
    "mpegts": frozenset({"aac", "mp3", "mp2", "ac3", "eac3"}),
}
_SUPPORTED["hls"] = _SUPPORTED["mpegts"]
_PCM = "pcm_s16le"
_ENCODERS = {"webm": "libopus", "avi": _PCM}
_BITS_PER_CHANNEL = 96_000


class AudioWriter:
    """One audio stream of an output container.

    AVI stores no time stamps of sound, and MOV only the first one of PCM, so gaps are filled with silence. AVI counts
    compressed packets by their size, of which FFmpeg states a limit that many exceed, and cannot fill their gaps: all
    but PCM is decoded there.
    """

    def __init__(
        self,
        source: SoundTrack,
        container: OutputContainer,
        origin: Fraction = Fraction(0),
    ) -> None:
        """Add a stream to the container, before its header is written.

        Args:
            source: the track to write.
            container: the output.
            origin: start of the output, in seconds on the source's clock.
        """
        self._problem: str | None = None
        self._source = source
        self._container = container
        self._stream: AudioStream | None = None
        self._gap_filler: GapFiller | None = None
        self._origin = origin
        if source.closed:
            self._problem = "the audio is left out: its source is closed"
            return
        if container.format.name == "avi":
            # It stores no time stamps: the filler counts from the origin.
            self._gap_filler, self._origin = GapFiller(source.stream, origin), Fraction(0)
        self._decoder: SoundDecoder | None = None
        """None where packets are copied."""
        self._last_dts: int | None = None
        self._dropped = 0
        try:
            self._stream = self._add_stream()
        except (FFmpegError, ValueError, RuntimeError) as error:
            self._problem = f"the audio is left out: {reason_of(error)}"
            return
        self._stores_priming = self._can_store_priming(self._stream)
        labels = source.stream.metadata
        self._stream.metadata.update({key: labels[key] for key in ("language", "title") if key in labels})

    @property
    def problem(self) -> str | None:
        """What is missing from the sound and why, in one line; None if nothing is."""
        if self._problem is None and self._gap_filler and self._gap_filler.unfilled:
            name = self._container.format.name.upper()
            early = f"{float(self._gap_filler.unfilled):.1f} s"
            return f"{name} cannot store the gaps in this sound, which plays up to {early} early: mp4 and mkv can"
        return self._problem

    def _can_store_priming(self, stream: AudioStream) -> bool:
        """Whether the container can mark samples before time 0 as encoder priming, which players skip.

        AAC and Opus begin with such samples. MP4 and MOV mark them by an edit list; Matroska by a codec delay, which
        FFmpeg does not derive from the edit list of an input; AVI cannot mark them.
        """
        match self._container.format.name:
            case "mp4" | "mov":
                return True
            case "matroska" | "webm":
                has_edit_list = self._source.stream.container.format.name.startswith("mov")
                opus = stream.codec_context.codec.canonical_name == "opus"
                return self._decoder is not None or opus or not has_edit_list
            case _:
                return False

    def write(self, packet: SoundPacket) -> None:
        """Mux one packet; a broken one is left out."""
        if self._stream is None:
            return
        if self._origin:
            packet = packet.moved(-round(self._origin / packet.time_base))
        with self._dropping():
            if self._decoder:
                self._transcode(self._decoder, packet, self._stream)
            else:
                self._copy(to_av(packet), self._stream)

    def finish(self) -> None:
        """Flush decoder and encoder."""
        if self._stream is None or self._decoder is None:
            return
        with self._dropping():
            self._transcode(self._decoder, None, self._stream)
        with self._dropping():
            self._mux(self._stream.encode(None))

    def _add_stream(self) -> AudioStream:
        template = self._source.stream
        container = self._container.format.name
        if self._can_copy(template):
            # An error means that the container refuses the codec, as AVI refuses some: transcode.
            with contextlib.suppress(FFmpegError, ValueError):
                _try_header(container, template)
                stream = self._container.add_stream_from_template(template)
                if container == "mov" and is_pcm(template):
                    self._gap_filler = GapFiller(template, None)
                return stream
        self._decoder = SoundDecoder(self._source)
        return self._add_encoder(_encoder_for(container, template.codec_context.codec.canonical_name), template)

    def _can_copy(self, template: AudioStream) -> bool:
        name = template.codec_context.codec.canonical_name
        if name == "aac" and not template.codec_context.extradata:
            return False  # without extradata, MKV refuses every packet and then the trailer
        container = self._container.format.name
        return is_pcm(template) if container == "avi" else name in _SUPPORTED.get(container, {name})

    def _add_encoder(self, name: str, template: AudioStream) -> AudioStream:
        rates = av.Codec(name, "w").audio_rates
        rate = template.codec_context.sample_rate
        stream = self._container.add_stream(name, rate=rate if rates is None or rate in rates else 48_000)
        assert isinstance(stream, AudioStream)
        channels = template.codec_context.channels
        if name == _PCM:
            stream.codec_context.layout = template.codec_context.layout
        else:
            stream.codec_context.layout = "mono" if channels == 1 else "stereo"
            stream.codec_context.bit_rate = _BITS_PER_CHANNEL * min(channels, 2)
        stream.codec_context.open()
        return stream

    def _copy(self, packet: av.Packet[Stream], stream: AudioStream) -> None:
        if packet.dts is None:
            packet.dts = packet.pts
        if packet.dts is None or packet.size == 0:
            return
        for copied in self._gap_filler.packets(packet) if self._gap_filler else (packet,):
            self._mux_copied(copied, stream)

    def _mux_copied(self, packet: av.Packet[Stream], stream: AudioStream) -> None:
        assert packet.dts is not None
        if self._last_dts is not None and packet.dts <= self._last_dts:
            return  # muxers refuse a dts that does not rise: drop the packet, keep the rest
        self._last_dts = packet.dts
        packet.stream = stream
        self._mux([packet])

    def _transcode(self, decoder: SoundDecoder, packet: SoundPacket | None, stream: AudioStream) -> None:
        for frame in decoder(packet):
            for filled in self._gap_filler.frames(frame) if self._gap_filler else _from_zero(frame):
                self._mux(stream.encode(filled))

    def _mux(self, packets: Iterable[av.Packet[Stream]]) -> None:
        """Mux packets; leave out priming that the container cannot mark, since it would delay sound and pictures."""
        for packet in packets:
            if packet.pts is None or packet.pts >= 0 or self._stores_priming:
                self._container.mux(packet)

    @contextlib.contextmanager
    def _dropping(self) -> Generator[None, None, None]:
        """Count an error as a dropped packet."""
        try:
            yield
        except (FFmpegError, ValueError) as error:
            self._dropped += 1
            self._problem = f"audio packets left out: {self._dropped}, the last because of: {reason_of(error)}"


def _encoder_for(container: str, codec: str) -> str:
    """The encoder of sound that is not copied."""
    if container == "matroska" and codec.startswith(("pcm_", "adpcm_")):
        return _PCM  # PyAV refuses some that Matroska holds; of µ-law, A-law and ADPCM, 16 bits keep every sample
    return _ENCODERS.get(container, "aac")


def _try_header(format_name: str, template: AudioStream) -> None:
    """Write a container's header with the stream into memory: in the real output, an error would be final.

    HLS has no file of its own: its segments are MPEG-TS, and FFmpeg would put a playlist in the place of the file.
    """
    with av.open(io.BytesIO(), "w", format="mpegts" if format_name == "hls" else format_name) as trial:
        trial.add_stream_from_template(template)
        trial.start_encoding()


def _from_zero(frame: AudioFrame) -> Iterator[AudioFrame]:
    """A decoded frame without its samples before time 0, the source's priming; nothing if no other is left.

    Matroska would move pictures and sound for them: it marks the encoder's own priming alone.
    """
    begin = (frame.pts or 0) * Fraction(frame.time_base or 0)
    for kept in without_start(frame, round(-begin * frame.sample_rate)):
        kept.pts = max(kept.pts or 0, 0)
        yield kept
