"""Addresses of Ray clusters: which one this machine belongs to, whether one may listen there, and what it asks for.

Without Ray, which may not be installed, and which tries for long, and logs each time, where something else listens.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

_CURRENT = Path(os.environ.get("RAY_TMPDIR") or "/tmp", "ray", "ray_current_cluster")
"""Where Ray keeps the address of the cluster that this machine belongs to."""

_SETTINGS, _HEADERS, _DATA = 4, 1, 0
"""Types of HTTP/2's frames."""
_END_STREAM, _END_HEADERS = 1, 4
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def found_address() -> str | None:
    """The address of a cluster that the environment names, or that this machine belongs to."""
    named = os.environ.get("RAY_ADDRESS", "auto")
    if named not in ("auto", "local"):
        return named
    try:
        return _CURRENT.read_text().strip() or None
    except OSError:
        return None


def host_and_port(address: str) -> tuple[str, int] | None:
    """The two of HOST:PORT; None for what is none.

    Raises:
        ValueError: the port is none.
    """
    host, _, port = address.rpartition(":")
    if not host or "/" in host:
        return None
    if not port.isdecimal() or int(port) > 65535:
        raise ValueError(f"{port or 'nothing'} is no port")
    return host.strip("[]"), int(port)


def check_grpc(host: str, port: int, seconds: float) -> None:
    """Check that a gRPC server listens, as Ray's head is one; with Ray's TLS, that anybody does.

    Args:
        host: name or address.
        port: number.
        seconds: how long it may take to connect, and to answer.

    Raises:
        OSError: none does.
    """
    with socket.create_connection((host, port), seconds) as connection:
        if _has_tls():
            return
        connection.sendall(_PREFACE + _frame(_SETTINGS))
        if next((kind for kind, *_ in _frames(connection)), None) != _SETTINGS:
            raise OSError("something else listens there")


def asks_for_token(host: str, port: int, seconds: float) -> bool | None:
    """Whether a cluster refuses who does not bring its token; None where that is not known."""
    if _has_tls():
        return None
    fields = {":method": "POST", ":scheme": "http", ":path": "/ray.rpc.NodeInfoGcsService/GetClusterId"}
    fields |= {":authority": f"{host}:{port}", "content-type": "application/grpc", "te": "trailers"}
    call = _frame(_HEADERS, b"".join(map(_field, fields, fields.values())), _END_HEADERS, 1)
    call += _frame(_DATA, bytes(5), _END_STREAM, 1)  # a message without fields
    try:
        with socket.create_connection((host, port), seconds) as connection:
            connection.sendall(_PREFACE + _frame(_SETTINGS) + call)
            for kind, flags, data in _frames(connection):
                if kind == _HEADERS and flags & _END_STREAM:
                    return b"AuthToken" in data
    except OSError:
        pass
    return None


def _has_tls() -> bool:
    return os.environ.get("RAY_USE_TLS", "0").lower() in ("1", "true")


def _field(name: str, value: str) -> bytes:
    """A field of HTTP/2's headers, not compressed."""
    return b"\0" + b"".join(bytes([len(word)]) + word.encode() for word in (name, value))


def _frame(kind: int, data: bytes = b"", flags: int = 0, stream: int = 0) -> bytes:
    return len(data).to_bytes(3, "big") + struct.pack(">BBI", kind, flags, stream) + data


def _frames(connection: socket.socket) -> Iterator[tuple[int, int, bytes]]:
    """Type, flags and content of what a server sends; what is no HTTP/2 ends it."""
    with connection.makefile("rb") as file:
        while len(head := file.read(9)) == 9:
            kind, flags = head[3:5]
            length = int.from_bytes(head[:3], "big")
            if length > 1 << 14:  # the longest by default
                return
            yield kind, flags, file.read(length)
