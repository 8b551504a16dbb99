"""Packets of a container that can be looked at before they are taken; so that a pipe can be judged, too."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import islice

import av
import av.error
from av.container import InputContainer
from av.stream import Stream

MOST = 1000
"""Packets of all tracks that are looked at, so that memory stays bounded."""


class Lookahead:
    """All packets of a container, in its order."""

    def __init__(self, container: InputContainer) -> None:
        """Begin where the container stands."""
        self._container = container
        self.drop()

    def drop(self) -> None:
        """Forget what was looked at: the container stands elsewhere now."""
        self._rest = self._container.demux()
        self._held: deque[av.Packet[Stream]] = deque()
        self._failure: av.error.FFmpegError | OSError | None = None

    def peek(self) -> Iterator[av.Packet[Stream]]:
        """Yield the packets that lie ahead, without taking them; ends early where the container breaks off."""
        yield from tuple(self._held)
        while self._failure is None:
            try:
                packet = next(self._rest, None)
            except (av.error.FFmpegError, OSError) as error:
                self._failure = error
                return
            if packet is None:
                return
            self._held.append(packet)
            yield packet

    def of(self, stream: int) -> Iterator[av.Packet[Stream]]:
        """Yield the packets of one stream, by its index, among the next `MOST`, without taking them."""
        return (packet for packet in islice(self.peek(), MOST) if packet.stream_index == stream)

    def __iter__(self) -> Iterator[av.Packet[Stream]]:
        """Take the packets.

        Raises:
            FFmpegError, OSError: the container breaks off.
        """
        while self._held:
            yield self._held.popleft()
        if self._failure is not None:
            raise self._failure
        for packet in self._rest:  # noqa: UP028 - `yield from` fails with a generator of Cython that has ended
            yield packet
