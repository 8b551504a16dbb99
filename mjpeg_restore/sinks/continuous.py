"""Sound for containers that hold no times of it: one sample follows the other, so gaps become silence."""

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

TOLERANCE = Fraction(2, 25)
"""Seconds by which sound may lie beside its place: stamps are rounded, and devices' clocks differ a little."""

_LONGEST_SILENCE = 6 * 3600
"""Seconds that are filled with silence."""
_LARGEST_SILENCE = 4 << 30
"""Bytes: so much takes stereo sound."""
_LONGEST = Fraction(1, 5)
"""Seconds of a long packet of compressed sound."""
_SILENT_BYTE = {"pcm_u8": b"\x80", "pcm_alaw": b"\xd5", "pcm_mulaw": b"\xff"}
_EIGHT_BITS = frozenset({"pcm_alaw", "pcm_mulaw"})


class Continuous:
    """Puts sound in its place on a time line without times.

    Attributes:
        lost: seconds of silence that could not be put in.
    """

    def __init__(self, stream: AudioStream, origin: Fraction | None) -> None:
        """Begin with the sound of `stream`.

        Args:
            stream: where packets come from.
            origin: what becomes time 0, in seconds on the clock of the pictures; None: the container knows when its
                sound begins, and no time but those of gaps changes.
        """
        self.lost = Fraction(0)
        self._stream = stream
        self._origin = origin or Fraction(0)
        self._begun = origin is not None
        self._begin = Fraction(0)
        self._end = Fraction(0)
        """Seconds of sound so far."""
        self._block = _block_of(stream)

    def begins_late(self, first: av.Packet[Stream] | None) -> bool:
        """Whether silence is needed in front, as far as that is known: by its first packet, or its container."""
        if first is not None and first.pts is not None:
            return first.pts * first.time_base - self._origin > TOLERANCE
        begin = Fraction(cast(InputContainer, self._stream.container).start_time or 0, av.time_base)
        start = self._stream.start_time
        return start is None or start * Fraction(self._stream.time_base or 0) - min(begin, self._origin) > TOLERANCE

    def packets(self, packet: av.Packet[Stream]) -> Iterator[av.Packet[Stream]]:
        """The packet at its place, with silence before it, or what of it comes after the sound before."""
        gap = self._gap(packet.pts, packet.time_base)
        if self._block is None:
            yield self._compressed(packet, max(gap, Fraction(0)))
            return
        rate, size, before = self._rate, self._block, min(gap, 0)
        while gap > 0:
            samples = min(ceil(gap * rate), ceil(rate / 10))
            yield self._pcm(_SILENT_BYTE.get(self._name, b"\0") * (samples * size), packet)
            gap -= Fraction(samples, rate)
        if data := bytes(packet)[max(ceil(-before * rate), 0) * size :]:
            yield self._pcm(data, packet)

    def frames(self, frame: AudioFrame) -> Iterator[AudioFrame]:
        """A decoded frame at its place, with silence before it; nothing where other sound is there already."""
        rate = frame.sample_rate
        gap = self._gap(frame.pts, Fraction(frame.time_base or 0))
        if gap < 0:
            return
        while gap > 0:
            samples = min(ceil(gap * rate), rate)
            yield self._placed(_silence(frame, samples))
            gap -= Fraction(samples, rate)
        yield self._placed(frame)

    def _compressed(self, packet: av.Packet[Stream], gap: Fraction) -> av.Packet[Stream]:
        """The packet as it is, for silence would have to be coded as it is coded."""
        self.lost += gap
        if packet.pts is not None:
            begin = packet.pts * packet.time_base - self._origin
            # Where nothing says how long it lasts, the next one is no reason to complain.
            self._end = begin + (packet.duration * packet.time_base if packet.duration else _LONGEST)
            packet.pts = packet.dts = round((begin - self.lost) / packet.time_base)
        return packet

    @property
    def _name(self) -> str:
        return self._stream.codec_context.codec.canonical_name

    @property
    def _rate(self) -> int:
        return self._stream.codec_context.sample_rate

    def _gap(self, pts: int | None, time_base: Fraction) -> Fraction:
        """Seconds from the end of the sound so far; 0 for what is not worth to be mended."""
        if pts is None:
            return Fraction(0)
        if not self._begun:
            self._begin = self._origin = pts * time_base
            self._begun = True
        gap = pts * time_base - self._origin - self._end
        if gap > _LONGEST_SILENCE or gap * self._rate * (self._block or 1) > _LARGEST_SILENCE:
            self.lost += gap
            self._origin += gap
            return Fraction(0)
        return gap if abs(gap) > TOLERANCE else Fraction(0)

    def _pcm(self, data: bytes, like: av.Packet[Stream]) -> av.Packet[Stream]:
        made: av.Packet[Stream] = av.Packet(data)
        made.time_base = like.time_base
        made.pts = made.dts = round((self._begin + self._end) / like.time_base)
        self._end += Fraction(len(data), (self._block or 1) * self._rate)
        return made

    def _placed(self, frame: AudioFrame) -> AudioFrame:
        frame.time_base = Fraction(1, frame.sample_rate)
        frame.pts = round(self._end * frame.sample_rate)
        self._end += Fraction(frame.samples, frame.sample_rate)
        return frame


def is_pcm(stream: AudioStream) -> bool:
    """Whether silence in it is a run of equal bytes."""
    return _block_of(stream) is not None


def _block_of(stream: AudioStream) -> int | None:
    """Bytes of one sample of all channels; None where the sound is compressed."""
    name = stream.codec_context.codec.canonical_name
    found = re.match(r"pcm_[suf](\d+)(?:le|be)?$", name)
    if found is None and name not in _EIGHT_BITS:
        return None
    return stream.codec_context.channels * (int(found[1]) // 8 if found else 1)


def _silence(like: AudioFrame, samples: int) -> AudioFrame:
    frame = AudioFrame(format=like.format.name, layout=like.layout.name, samples=samples)
    frame.sample_rate = like.sample_rate
    quiet = b"\x80" if like.format.name.startswith("u8") else b"\0"
    for plane in frame.planes:
        plane.update(quiet * plane.buffer_size)
    return frame
