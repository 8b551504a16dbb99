"""Silence in place of gaps in the sound, for containers without time stamps of sound, where samples simply follow."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from math import ceil
from typing import Any, cast

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.stream import Stream
from numpy.typing import NDArray

from mjpeg_restore.sound import block_align

TOLERANCE = Fraction(2, 25)
"""Seconds of gap or overlap that are ignored: time stamps are rounded, and devices' clocks differ a little."""

_MAX_SILENCE = 6 * 3600
"""Seconds. Longer gaps are not filled."""
_MAX_SILENCE_BYTES = 4 << 30
"""The same in 16-bit stereo PCM at 48 kHz. More channels are filled for a shorter time."""
_SILENT_BYTE = {"pcm_u8": b"\x80", "pcm_alaw": b"\xd5", "pcm_mulaw": b"\xff"}


class GapFiller:
    """Places sound at its times by the number of samples before it: gaps are filled with silence, overlaps are cut.

    This works for packets of PCM and for decoded frames.

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
        # Compressed sound is decoded to 16 bits.
        self._block_align = max(block_align(stream) or 2 * stream.codec_context.channels, 1)

    def packets(self, packet: av.Packet[Stream]) -> Iterator[av.Packet[Stream]]:
        """The packet of PCM at its time, after packets of silence, without samples that overlap earlier sound."""
        gap = self._gap(packet.pts, packet.time_base)
        rate, size, before = self._rate, self._block_align, min(gap, 0)
        while gap > 0:
            samples = min(ceil(gap * rate), ceil(rate / 10))
            yield self._pcm_packet(_SILENT_BYTE.get(self._codec, b"\0") * (samples * size), packet)
            gap -= Fraction(samples, rate)
        if data := bytes(packet)[max(ceil(-before * rate), 0) * size :]:
            yield self._pcm_packet(data, packet)

    def frames(self, frame: AudioFrame) -> Iterator[AudioFrame]:
        """The decoded frame at its time, after frames of silence, without samples that overlap earlier sound."""
        rate = frame.sample_rate
        gap = self._gap(frame.pts, Fraction(frame.time_base or 0))
        before = min(gap, Fraction(0))
        while gap > 0:
            samples = min(ceil(gap * rate), rate)
            yield self._stamped(_silent_frame(frame, samples))
            gap -= Fraction(samples, rate)
        for kept in without_start(frame, ceil(-before * rate)):
            yield self._stamped(kept)

    @property
    def _codec(self) -> str:
        return self._stream.codec_context.codec.canonical_name

    @property
    def _rate(self) -> int:
        return self._stream.codec_context.sample_rate

    def _gap(self, pts: int | None, time_base: Fraction) -> Fraction:
        """Seconds from the end of the sound so far, negative for an overlap; 0 within `TOLERANCE`.

        The first sound is placed exactly: an error there would last. A gap too long to fill counts as unfilled, and is
        0.
        """
        if pts is None:
            return Fraction(0)
        if not self._started:
            self._start = self._origin = pts * time_base
            self._started = True
        gap = pts * time_base - self._origin - self._end
        if gap > _MAX_SILENCE or gap * self._rate * self._block_align > _MAX_SILENCE_BYTES:
            self.unfilled += gap
            self._origin += gap
            return Fraction(0)
        return gap if abs(gap) > TOLERANCE or not self._end else Fraction(0)

    def _pcm_packet(self, data: bytes, like: av.Packet[Stream]) -> av.Packet[Stream]:
        packet: av.Packet[Stream] = av.Packet(data)
        packet.time_base = like.time_base
        packet.pts = packet.dts = round((self._start + self._end) / like.time_base)
        self._end += Fraction(len(data), self._block_align * self._rate)
        return packet

    def _stamped(self, frame: AudioFrame) -> AudioFrame:
        frame.time_base = Fraction(1, frame.sample_rate)
        frame.pts = round(self._end * frame.sample_rate)
        self._end += Fraction(frame.samples, frame.sample_rate)
        return frame


def is_pcm(stream: AudioStream) -> bool:
    """Whether the sound is interleaved PCM, in which silence is a repeated byte."""
    return block_align(stream) is not None


def without_start(frame: AudioFrame, count: int) -> Iterator[AudioFrame]:
    """A decoded frame, or what follows its first `count` samples, which then has no time; nothing if nothing does."""
    if count <= 0:
        yield frame
    elif count < frame.samples:
        # [channels, samples], or [1, samples * channels] where they are interleaved
        samples = cast("NDArray[Any]", frame.to_ndarray())
        rest = np.ascontiguousarray(samples[:, count * samples.shape[1] // frame.samples :])
        kept = AudioFrame.from_ndarray(rest, format=frame.format.name, layout=frame.layout.name)
        kept.sample_rate, kept.time_base = frame.sample_rate, frame.time_base
        yield kept


def _silent_frame(like: AudioFrame, samples: int) -> AudioFrame:
    frame = AudioFrame(format=like.format.name, layout=like.layout.name, samples=samples)
    frame.sample_rate = like.sample_rate
    silence = b"\x80" if like.format.name.startswith("u8") else b"\0"
    for plane in frame.planes:
        plane.update(silence * plane.buffer_size)
    return frame
