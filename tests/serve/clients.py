"""Clients of the server: requests, and streams read picture by picture.

Tests import `Server` from here, where they are skipped if its packages are lacking.
"""

from __future__ import annotations

import http.client
import io
import json
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from PIL import Image

from tests.lacking import needs
from tests.patience import PATIENCE

for package in ("uvicorn", "starlette", "prometheus_client"):
    needs(package)

from mjpeg_restore.serve.server import Server

__all__ = ["Answer", "Server", "ask", "connect", "pairs", "parts", "shade", "streaming"]


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def connect(server: Server) -> http.client.HTTPConnection:
    address = urlsplit(server.url)
    assert address.hostname
    return http.client.HTTPConnection(address.hostname, address.port, timeout=PATIENCE)


def ask(server: Server, path: str, method: str = "GET", **headers: str) -> Answer:
    """One request on a connection of its own; underscores in the headers' names stand for hyphens."""
    connection = connect(server)
    try:
        connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        response = connection.getresponse()
        return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, response.read())
    finally:
        connection.close()


@contextmanager
def streaming(server: Server, path: str, **headers: str) -> Iterator[http.client.HTTPResponse]:
    """A response that goes on."""
    connection = connect(server)
    try:
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        assert response.status == 200
        yield response
    finally:
        connection.close()


def parts(response: http.client.HTTPResponse) -> Iterator[bytes]:
    """The pictures of a multipart response, by their lengths, as each of them is complete."""
    boundary = response.headers.get_param("boundary")
    assert response.readline() == f"--{boundary}\r\n".encode()
    while True:
        headers = {}
        while line := response.readline().strip():
            name, _, value = line.decode().partition(": ")
            headers[name.lower()] = value
        if not headers:
            return
        assert headers["content-type"] == "image/jpeg"
        body = response.read(int(headers["content-length"]))
        assert response.read(2) == b"\r\n"
        assert response.readline() == f"--{boundary}\r\n".encode()  # at once, and not before the next picture
        yield body


def pairs(response: http.client.HTTPResponse) -> Iterator[tuple[bytes, bytes]]:
    """The restored pictures and originals of `/pairs`."""
    while header := response.read(8):
        restored, original = struct.unpack(">II", header)
        # Reading nothing would wait for the next chunk.
        yield response.read(restored), response.read(original) if original else b""


def shade(jpeg: bytes) -> int:
    """The luma in the middle of a grey picture."""
    image = Image.open(io.BytesIO(jpeg)).convert("L")
    value = image.getpixel((image.width // 2, image.height // 2))
    assert isinstance(value, int)
    return value
