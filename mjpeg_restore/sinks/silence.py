"""Silence in place of gaps in the sound, for containers without time stamps of sound, where samples simply follow."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction
from math import ceil
from typing import cast

import av
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Stream

from mjpeg_restore.frames import SoundPacket

TOLERANCE = Fraction(2, 25)
"""Seconds of gap or overlap that are ignored: time stamps are rounded, and devices' clocks differ a little."""

_MAX_SILENCE = 6 * 3600
"""Seconds. Longer gaps are not filled."""
_MAX_SILENCE_BYTES = 4 << 30
"""The same in 16-bit stereo PCM at 48 kHz. More channels are filled for a shorter time."""
_DEFAULT_DURATION = Fraction(1, 5)
"""Seconds, for compressed packets without a duration: that of a long packet."""
_SILENT_BYTE = {"pcm_u8": b"\x80", "pcm_alaw": b"\xd5", "pcm_mulaw": b"\xff"}
_COMPANDED = frozenset({"pcm_alaw", "pcm_mulaw"})


class GapFiller:
    """Places sound at its times by the number of samples before it: gaps are filled with silence, overlaps are cut.

    This works for packets of PCM and for decoded frames. A compressed packet moves earlier instead, to where the sound
    before it ends.

    Attributes:
        unfilled: seconds of gaps that could not be filled; the sound after them is early by as much.
    """

    def __init__(self, stream: AudioStream, origin: Fraction | None) -> None:
        """Start before the first packet.

        Args:
            stream: the input stream.
            origin: time of the first sample of the output, in seconds on the pictures' clock; None where the container
                stores the start time of the sound: only gaps after the start are filled then.
        """
        self.unfilled = Fraction(0)
        self._stream = stream
        self._origin = origin or Fraction(0)
        self._started = origin is not None
        self._start = Fraction(0)
        """Seconds: the time of the first sample in the output's time stamps."""
        self._end = Fraction(0)
        """Seconds of sound so far."""
        self._block_align = _block_align(stream)

    def starts_late(self, first: SoundPacket | None) -> bool:
        """Whether silence is needed before the sound, by its first packet or else by its container's start times."""
        if first is not None and first.time is not None:
            return first.time - self._origin > TOLERANCE
        begin = Fraction(cast(InputContainer, self._stream.container).start_time or 0, av.time_base)
        start = self._stream.start_time
        return start is None or start * Fraction(self._stream.time_base or 0) - min(begin, self._origin) > TOLERANCE

    def packets(self, packet: av.Packet[Stream]) -> Iterator[av.Packet[Stream]]:
        """The packet at its time, after packets of silence; its samples that overlap earlier sound are cut off."""
        gap = self._gap(packet.pts, packet.time_base)
        if self._block_align is None:
            yield self._close_up(packet, max(gap, Fraction(0)))
            return
        rate, size, before = self._rate, self._block_align, min(gap, 0)
        while gap > 0:
            samples = min(ceil(gap * rate), ceil(rate / 10))
            yield self._pcm_packet(_SILENT_BYTE.get(self._codec, b"\0") * (samples * size), packet)
            gap -= Fraction(samples, rate)
        if data := bytes(packet)[max(ceil(-before * rate), 0) * size :]:
            yield self._pcm_packet(data, packet)

    def frames(self, frame: AudioFrame) -> Iterator[AudioFrame]:
        """The decoded frame at its time, after frames of silence; nothing if it overlaps earlier sound."""
        rate = frame.sample_rate
        gap = self._gap(frame.pts, Fraction(frame.time_base or 0))
        if gap < 0:
            return
        while gap > 0:
            samples = min(ceil(gap * rate), rate)
            yield self._stamped(_silent_frame(frame, samples))
            gap -= Fraction(samples, rate)
        yield self._stamped(frame)

    def _close_up(self, packet: av.Packet[Stream], gap: Fraction) -> av.Packet[Stream]:
        """Move a compressed packet earlier by all gaps so far: filling them would need encoded silence."""
        self.unfilled += gap
        if packet.pts is not None:
            begin = packet.pts * packet.time_base - self._origin
            # Without a stated duration, a long one is assumed, so that the next packet is not reported as a gap.
            self._end = begin + (packet.duration * packet.time_base if packet.duration else _DEFAULT_DURATION)
            packet.pts = packet.dts = round((begin - self.unfilled) / packet.time_base)
        return packet

    @property
    def _codec(self) -> str:
        return self._stream.codec_context.codec.canonical_name

    @property
    def _rate(self) -> int:
        return self._stream.codec_context.sample_rate

    def _gap(self, pts: int | None, time_base: Fraction) -> Fraction:
        """Seconds from the end of the sound so far, negative for an overlap; 0 within `TOLERANCE`.

        A gap too long to fill counts as unfilled, and is 0.
        """
        if pts is None:
            return Fraction(0)
        if not self._started:
            self._start = self._origin = pts * time_base
            self._started = True
        gap = pts * time_base - self._origin - self._end
        if gap > _MAX_SILENCE or gap * self._rate * (self._block_align or 1) > _MAX_SILENCE_BYTES:
            self.unfilled += gap
            self._origin += gap
            return Fraction(0)
        return gap if abs(gap) > TOLERANCE else Fraction(0)

    def _pcm_packet(self, data: bytes, like: av.Packet[Stream]) -> av.Packet[Stream]:
        packet: av.Packet[Stream] = av.Packet(data)
        packet.time_base = like.time_base
        packet.pts = packet.dts = round((self._start + self._end) / like.time_base)
        self._end += Fraction(len(data), (self._block_align or 1) * self._rate)
        return packet

    def _stamped(self, frame: AudioFrame) -> AudioFrame:
        frame.time_base = Fraction(1, frame.sample_rate)
        frame.pts = round(self._end * frame.sample_rate)
        self._end += Fraction(frame.samples, frame.sample_rate)
        return frame


def is_pcm(stream: AudioStream) -> bool:
    """Whether the sound is interleaved PCM, in which silence is a repeated byte."""
    return _block_align(stream) is not None


def _block_align(stream: AudioStream) -> int | None:
    """Bytes of one sample of all channels; None for compressed sound."""
    name = stream.codec_context.codec.canonical_name
    found = re.match(r"pcm_[suf](\d+)(?:le|be)?$", name)
    if found is None and name not in _COMPANDED:
        return None
    return stream.codec_context.channels * (int(found[1]) // 8 if found else 1)


def _silent_frame(like: AudioFrame, samples: int) -> AudioFrame:
    frame = AudioFrame(format=like.format.name, layout=like.layout.name, samples=samples)
    frame.sample_rate = like.sample_rate
    silence = b"\x80" if like.format.name.startswith("u8") else b"\0"
    for plane in frame.planes:
        plane.update(silence * plane.buffer_size)
    return frame
