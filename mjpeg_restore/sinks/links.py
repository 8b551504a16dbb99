"""Ways to another program: connections that carry MPEG-TS by TCP, by UDP, or through a pipe.

They are sockets of Python's, and FFmpeg only makes their bytes: it opens its own connections, and waits for their
answers, while it holds Python's global lock, so that a server that is silent would stop all cameras.
"""

from __future__ import annotations

import contextlib
import socket
from abc import ABC, abstractmethod
from collections.abc import Mapping
from types import MappingProxyType
from typing import BinaryIO

from mjpeg_restore.address import Address
from mjpeg_restore.sinks.containers import IN_MPEG_TS

PATIENCE = 5.0
"""Seconds that a peer has to accept a connection, to answer, or to take what is sent."""
_DATAGRAM = 7 * 188
"""Bytes: as many packets of MPEG-TS as fit in an Ethernet frame."""
_HOPS = 16
"""Routers that a multicast datagram passes at most, as with FFmpeg."""
_MPEGTS = MappingProxyType(
    {
        # Each picture is sent at once. A track of sound that pauses holds pictures back for half a second, not for ten.
        "flush_packets": "1",
        "max_interleave_delta": "500000",
        "mpegts_flags": "+pat_pmt_at_frames",  # who tunes in needs the tables, and then a key frame
    }
)


class Link(ABC):
    """A connection that can be made again and again. FFmpeg's muxer writes into it as into a file.

    Attributes:
        name: in messages, without credentials.
        format: FFmpeg's name of the muxer.
        options: of the muxer.
        codecs: the codecs of video that the peer takes, by FFmpeg's names.
        sound: whether sound can be sent.
        reconnects: False where the end of the connection is that of the consumer.
    """

    name: str
    format: str = "mpegts"
    options: Mapping[str, str] = _MPEGTS
    codecs: frozenset[str] = IN_MPEG_TS
    sound: bool = True
    reconnects: bool = True

    @abstractmethod
    def connect(self) -> None:
        """Make the connection.

        Raises:
            OSError: it failed; another attempt may succeed.
            SinkError: no attempt will.
        """

    def describe(self, parameter_sets: bytes) -> None:  # noqa: B027  most formats describe themselves
        """Tell the peer what will be sent; called once the encoder is open.

        Args:
            parameter_sets: of the encoder, in Annex B format.

        Raises:
            OSError, SinkError: see `connect`.
        """

    @abstractmethod
    def write(self, data: bytes) -> int:
        """Send what the muxer has made; the number of bytes.

        Raises:
            OSError: the connection broke, or is closed.
        """

    @abstractmethod
    def close(self) -> None:
        """End the connection. Never raises, and more calls do nothing."""


class TcpLink(Link):
    """MPEG-TS by TCP, to a program that listens."""

    def __init__(self, address: Address) -> None:
        """Prepare to connect; nothing is connected yet."""
        self.name = f"tcp://{address.authority}"
        self._address = address
        self._socket: socket.socket | None = None

    def connect(self) -> None:
        """Connect; see `Link`."""
        self._socket = connected(self._address)

    def write(self, data: bytes) -> int:
        """Send; see `Link`."""
        if self._socket is None:
            raise ConnectionError("the connection is closed")
        self._socket.sendall(data)
        return len(data)

    def close(self) -> None:
        """Close; see `Link`."""
        if self._socket:
            self._socket.close()
            self._socket = None


class UdpLink(Link):
    """MPEG-TS in datagrams, to a host or a multicast group. Nobody says whether they arrive."""

    def __init__(self, address: Address) -> None:
        """Prepare; nothing is sent yet."""
        self.name = f"udp://{address.authority}"
        self._address = address
        self._socket: socket.socket | None = None
        self._peer: tuple[object, ...] = ()

    def connect(self) -> None:
        """Look the host up; see `Link`."""
        found = socket.getaddrinfo(self._address.host, self._address.port, type=socket.SOCK_DGRAM)
        family, kind, protocol, _, self._peer = found[0]
        self._socket = socket.socket(family, kind, protocol)
        self._socket.settimeout(PATIENCE)
        if family == socket.AF_INET6:
            self._socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, _HOPS)
        else:
            self._socket.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, _HOPS)

    def write(self, data: bytes) -> int:
        """Send; see `Link`."""
        if self._socket is None:
            raise ConnectionError("the socket is closed")
        for start in range(0, len(data), _DATAGRAM):
            self._socket.sendto(data[start : start + _DATAGRAM], self._peer)
        return len(data)

    def close(self) -> None:
        """Close; see `Link`."""
        if self._socket:
            self._socket.close()
            self._socket = None


class PipeLink(Link):
    """MPEG-TS through a pipe."""

    reconnects = False

    def __init__(self, file: BinaryIO, name: str) -> None:
        """Take a pipe that is open; `close` closes it."""
        self.name = name
        self._file = file

    def connect(self) -> None:
        """Nothing to do."""

    def write(self, data: bytes) -> int:
        """Write; see `Link`."""
        self._file.write(data)
        self._file.flush()
        return len(data)

    def close(self) -> None:
        """Close the pipe."""
        with contextlib.suppress(OSError, ValueError):  # its reader may be gone
            self._file.close()


def connected(address: Address) -> socket.socket:
    """A TCP connection whose calls take `PATIENCE` seconds at most, and that sends at once.

    Raises:
        OSError: there is none.
    """
    made = socket.create_connection((address.host, address.port), timeout=PATIENCE)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return made
