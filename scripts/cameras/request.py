"""Requests of HTTP and RTSP, which have the same form."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass, field

_LONGEST = 1 << 16


@dataclass(frozen=True)
class Request:
    """A request as it came in."""

    method: str
    target: str
    headers: Mapping[str, str]
    """By names in lower case."""


@dataclass
class RequestReader:
    """Reads the requests of a connection; none of them has a body."""

    connection: socket.socket
    _buffer: bytes = field(default=b"", init=False)

    def read(self) -> Request | None:
        """The next request; None where the client has left, or sends no request."""
        while b"\r\n\r\n" not in self._buffer:
            piece = self.connection.recv(4096)
            if not piece or len(self._buffer) > _LONGEST:
                return None
            self._buffer += piece
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        method, target, *_ = [*first.split(" "), "", ""]
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        return Request(method, target, headers)
