"""Whether a gRPC server listens at an address. Where something else does, Ray tries for minutes, and logs each time."""

from __future__ import annotations

import os
import socket

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(3) + b"\x04" + bytes(5)
"""With it a client of HTTP/2 begins; empty settings follow."""
_SETTINGS = 4
"""Type of the frame with which a server begins."""


def check_grpc(host: str, port: int, seconds: float) -> None:
    """Check that a gRPC server listens; with Ray's TLS, that anybody does.

    Args:
        host: name or address.
        port: number.
        seconds: how long it may take to connect, and to answer.

    Raises:
        OSError: none does.
    """
    with socket.create_connection((host, port), seconds) as connection:
        if os.environ.get("RAY_USE_TLS", "0").lower() in ("1", "true"):
            return
        connection.sendall(_PREFACE)
        head = b""
        while len(head) < 4 and (more := connection.recv(4 - len(head))):
            head += more
    if len(head) < 4 or head[3] != _SETTINGS:
        raise OSError("something else listens there")
