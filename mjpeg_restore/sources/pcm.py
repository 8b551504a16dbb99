"""Packets of PCM, which can be cut between any two samples."""

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
    """Cuts the packets of one track of interleaved PCM to a window, and splits long ones."""

    def __init__(self, rate: int, block_align: int, time_base: Fraction) -> None:
        """Begin a track.

        Args:
            rate: samples in a second.
            block_align: bytes of one sample of all channels.
            time_base: seconds per tick of the packets.
        """
        self._align, self._ticks = block_align, 1 / (rate * time_base)
        self._piece = max(rate // _PIECES_PER_SECOND, 1)

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
