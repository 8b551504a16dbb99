"""Lookahead at the packets of a container: tracks are examined before reading, even if the container is a pipe."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import islice

import av
import av.error
from av.container import InputContainer
from av.stream import Stream

MAX_PACKETS = 1000
"""Packets, of all tracks together, that are examined at most: this bounds memory."""


class Lookahead:
    """Demuxes all packets of a container, and can peek at the next ones."""

    def __init__(self, container: InputContainer) -> None:
        """Begin at the container's position."""
        self._container = container
        self.reset()

    def reset(self) -> None:
        """Discard the packets that were peeked at; call it after the container has been sought."""
        self._rest = self._container.demux()
        self._peeked: deque[av.Packet[Stream]] = deque()
        self._failure: av.error.FFmpegError | OSError | None = None

    def peek(self) -> Iterator[av.Packet[Stream]]:
        """Yield the next packets without consuming them; an error of the container ends the iteration."""
        yield from tuple(self._peeked)
        while self._failure is None:
            try:
                packet = next(self._rest, None)
            except (av.error.FFmpegError, OSError) as error:
                self._failure = error
                return
            if packet is None:
                return
            self._peeked.append(packet)
            yield packet

    def peek_stream(self, index: int) -> Iterator[av.Packet[Stream]]:
        """Yield the packets of one stream among the next `MAX_PACKETS`, without consuming them."""
        return (packet for packet in islice(self.peek(), MAX_PACKETS) if packet.stream_index == index)

    def __iter__(self) -> Iterator[av.Packet[Stream]]:
        """Consume the packets.

        Raises:
            FFmpegError, OSError: the container breaks off.
        """
        while self._peeked:
            yield self._peeked.popleft()
        if self._failure is not None:
            raise self._failure
        for packet in self._rest:  # noqa: UP028 - `yield from` fails with a generator of Cython that has ended
            yield packet
