"""Cameras that send some bytes and then fall silent, as any kind of file."""

from __future__ import annotations

import http.server
import io
import os
import socket
import ssl
import threading
import urllib.request
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest

Result = TypeVar("Result")

LIMIT = 30.0
"""Seconds after which a call counts as hanging; three are promised."""

CERTIFICATE = """\
-----BEGIN EC PRIVATE KEY-----
MHcCAQEEIFW979LJ+MDeu7txh6TC2USxc7LOmrKFWQOq4R088GEJoAoGCCqGSM49
AwEHoUQDQgAEQg72a/o3f0RdmQMqneB2sgXhSkFxejOzhK5G1Ep5BJJedO1a5lh8
EUI/A0F7H/D4c/xPGUnLvXVey2tIFo/dNg==
-----END EC PRIVATE KEY-----
-----BEGIN CERTIFICATE-----
MIIBfzCCASWgAwIBAgIUNIHgqXh0iL0dRCxtiuhyfZ0gXuUwCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyNjE0NDEwM1oYDzIxMjYxMTAy
MTQ0MTAzWjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAARCDvZr+jd/RF2ZAyqd4HayBeFKQXF6M7OErkbUSnkEkl507VrmWHwR
Qj8DQXsf8Phz/E8ZScu9dV7La0gWj902o1MwUTAdBgNVHQ4EFgQUEu7XLdgmJkEl
zvSpqnT3dyNyWBswHwYDVR0jBBgwFoAUEu7XLdgmJkElzvSpqnT3dyNyWBswDwYD
VR0TAQH/BAUwAwEB/zAKBggqhkjOPQQDAgNIADBFAiEA8qrrsWBWUY+V95qE8luW
UH6pJmqRXw5c88TUkGoUZowCIAOyHoijhZemcjVwQGK7np5nGeqgkkzCJjonAqeM
r7ze
-----END CERTIFICATE-----
"""


def within(function: Callable[[], Result]) -> Result:
    """Call on another thread, and fail if it takes longer than `LIMIT`."""
    found: list[Result] = []
    raised: list[BaseException] = []

    def call() -> None:
        try:
            found.append(function())
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    thread.join(LIMIT)
    assert not thread.is_alive(), "it hangs"
    if raised:
        raise raised[0]
    return found[0]


@contextmanager
def camera(kind: str, data: bytes, folder: Path) -> Generator[Any]:
    """A file of that kind that delivers `data`; further reads wait."""
    with ExitStack() as held:
        woken = threading.Event()
        held.callback(woken.set)
        if kind in ("pipe", "buffered pipe"):
            reading, writing = os.pipe()
            writer = held.enter_context(os.fdopen(writing, "wb", buffering=0))
            file = held.enter_context(os.fdopen(reading, "rb", buffering=0 if kind == "pipe" else -1))
            threading.Thread(target=writer.write, args=(data,), daemon=True).start()
            yield file
        elif kind in ("socket", "unbuffered socket"):
            near, far = map(held.enter_context, socket.socketpair())
            far.sendall(data)
            yield held.enter_context(near.makefile("rb", buffering=0 if kind == "unbuffered socket" else -1))
        elif kind.startswith("response"):
            yield held.enter_context(_response(kind, data, folder, woken, held))
        elif kind == "object":
            yield Waiting(data, woken)
        else:
            yield SeekableWaiting(data, woken)


KINDS = ("pipe", "buffered pipe", "socket", "unbuffered socket", "object", "object that seeks")
RESPONSES = ("response", "response in chunks", "response by TLS", "response by TLS in chunks")


def case(kind: str, *before: object) -> Any:
    """A kind as the last parameter of a test; kinds that open sockets are marked `network`."""
    marks = [pytest.mark.network] if "socket" in kind or "response" in kind else []
    return pytest.param(*before, kind, marks=marks)


class Waiting:
    """A file that has only `read`."""

    def __init__(self, data: bytes, woken: threading.Event) -> None:
        self._data = io.BytesIO(data)
        self._woken = woken

    def read(self, size: int = -1, /) -> bytes:
        return self._data.read(min(size, 500)) or (self._woken.wait(60) and b"") or b""


class SeekableWaiting(io.BytesIO):
    """A file that knows its size before all of its bytes have arrived."""

    def __init__(self, data: bytes, woken: threading.Event) -> None:
        super().__init__(data + bytes(1000))
        self._arrived = len(data)
        self._woken = woken

    def read(self, size: int | None = -1, /) -> bytes:
        available = self._arrived - self.tell()
        if available <= 0:
            self._woken.wait(60)
            return b""
        return super().read(min(size or 0, available, 500))

    read1 = read


def _response(kind: str, data: bytes, folder: Path, woken: threading.Event, held: ExitStack) -> Any:
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.send_response(200)
            if kind.endswith("chunks"):
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                for start in range(0, len(data), 300):
                    piece = data[start : start + 300]
                    self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            else:
                self.send_header("Connection", "close")
                self.end_headers()
                self.wfile.write(data)
            woken.wait(60)

        def log_message(self, *words: object) -> None:
            """Nothing is logged."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads, server.block_on_close = True, False
    scheme, context = "http", None
    if "TLS" in kind:
        (folder / "certificate.pem").write_text(CERTIFICATE)
        serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        serving.load_cert_chain(folder / "certificate.pem")
        server.socket = serving.wrap_socket(server.socket, server_side=True)
        scheme, context = "https", ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    held.callback(server.server_close)
    held.callback(server.shutdown)
    return urllib.request.urlopen(f"{scheme}://127.0.0.1:{server.server_port}/", context=context, timeout=60)
