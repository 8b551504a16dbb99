"""Packets of PCM, which can be cut between any two samples: long ones are split, and short ones joined."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from math import ceil

from mjpeg_restore.frames import SoundPacket
from mjpeg_restore.sources.timing import TimeWindow

_PIECES_PER_SECOND = 50
_LONGEST = 5
"""Pieces; longer packets are split. AVI files have packets of a second, in which no output could begin or end."""


class PcmPackets:
    """Brings the packets of one track of interleaved PCM to a usual length, and cuts them to a window."""

    def __init__(self, rate: int, block_align: int, time_base: Fraction) -> None:
        """Begin a track.

        Args:
            rate: samples in a second.
            block_align: bytes of one sample of all channels.
            time_base: seconds per tick of the packets.
        """
        self._align, self._ticks = block_align, 1 / (rate * time_base)
        self._piece = max(rate // _PIECES_PER_SECOND, 1)
        self._joined: list[SoundPacket] = []
        self._size = self._end = 0

    def join(self, packet: SoundPacket) -> Iterator[SoundPacket]:
        """Join packets that follow each other, up to the length of a piece; yield those that are complete.

        FFmpeg yields the sound of an AVI one sample at a time where a sample of all channels has 32 bytes or more.
        """
        if self._joined and packet.pts != self._end:
            yield from self.flush()
        self._joined.append(packet)
        self._size += len(packet.data)
        self._end = (packet.pts or 0) + packet.duration
        if packet.pts is None or not packet.duration or self._size >= self._piece * self._align:
            yield from self.flush()

    def flush(self) -> Iterator[SoundPacket]:
        """Yield what has been joined so far."""
        joined, self._joined, self._size = self._joined, [], 0
        if len(joined) == 1:
            yield joined[0]
        elif joined:
            data, duration = b"".join(packet.data for packet in joined), sum(packet.duration for packet in joined)
            yield replace(joined[0], data=data, duration=duration)

    def cut(self, packet: SoundPacket, time: int, window: TimeWindow) -> Iterator[SoundPacket]:
        """Yield the samples of a packet that begins at `time` and lie within the window, in pieces if it is long."""
        samples = len(packet.data) // self._align
        first = 0 if window.first is None else max(ceil((window.first - time) / self._ticks), 0)
        end = samples if window.end is None else min(ceil((window.end - time) / self._ticks), samples)
        if (first, end) == (0, samples) and samples <= _LONGEST * self._piece:
            yield replace(packet, pts=time, dts=time)
            return
        for begin in range(first, end, self._piece):
            stop = min(begin + self._piece, end)
            pts, after = (time + round(sample * self._ticks) for sample in (begin, stop))
            data = packet.data[begin * self._align : stop * self._align]
            yield replace(packet, data=data, pts=pts, dts=pts, duration=after - pts)
