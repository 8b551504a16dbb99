"""A source of one's own: the last seconds before an event, from a buffer of coded pictures in memory.

Coded pictures are small, and only those that are kept are restored. (A picture that relies on the tables of one that is
no longer kept cannot be read; few cameras send such pictures.)

    python examples/own_source.py cam.avi last.mp4 10   # the last ten seconds
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction

from mjpeg_restore import (
    BaseSource,
    MjpegRestoreError,
    Packet,
    Restorer,
    SourceInfo,
    open_sink,
    open_source,
    run,
)


class Kept(BaseSource):
    """Packets in a list. `BaseSource` has `with`, `stop`, and the defaults of a source without files and sound."""

    def __init__(self, packets: Sequence[Packet], info: SourceInfo) -> None:
        self._packets = packets
        self.info = replace(info, name=f"the end of {info.name}", frames=len(packets), duration=None, tracks=())

    def __iter__(self) -> Iterator[Packet]:
        """Yield the packets, numbered from 0, their times from 0 on."""
        for index, packet in enumerate(self._packets):
            if self.stopped:
                return
            yield replace(packet, index=index, pts=packet.pts - self._packets[0].pts)


def last(path: str, seconds: Fraction) -> Kept:
    """Read a recording, or a camera until it stops, and keep its last seconds."""
    kept: deque[Packet] = deque()
    with open_source(path) as source:
        for packet in source:
            kept.append(packet)
            while kept[-1].time - kept[0].time >= seconds and len(kept) > 1:
                kept.popleft()
        return Kept(kept, source.info)


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit("usage: own_source.py RECORDING OUTPUT.mp4 SECONDS")
    try:
        with last(sys.argv[1], Fraction(sys.argv[3])) as source:
            report = run(source, Restorer("stream-lite", streams=2), open_sink(sys.argv[2]))
    except (MjpegRestoreError, ValueError, ZeroDivisionError) as error:
        sys.exit(f"own_source: {error}")
    print(f"{sys.argv[2]}: {report.frames} pictures")
