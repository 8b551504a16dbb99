"""Small HTTP servers on loopback that answer as a test says, byte by byte."""

from __future__ import annotations

import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

Answer = Iterable[bytes | float]
"""What a server does with a request: sends bytes, and waits for so many seconds."""


@dataclass(frozen=True)
class Request:
    path: str
    headers: dict[str, str]
    """By names in lower case."""
    number: int
    """Of the request, from 0."""
    connection: int
    """Of the connection, from 0."""


@dataclass
class Server:
    """A server; its connections stay open after an answer unless it ends with `CLOSE`."""

    answer: Callable[[Request], Answer]
    certificate: Path | None = None
    port: int = 0
    """0: the system chooses one."""
    requests: list[Request] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._stop = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self.port = self._listener.getsockname()[1]
        self._sockets: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        for sock in (self._listener, *self._sockets):
            with suppress(OSError):
                socket.socket.shutdown(sock, socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(60)
        for sock in (self._listener, *self._sockets):
            sock.close()

    def url(self, path: str = "/video", user: str = "") -> str:
        return f"http{'s' if self.certificate else ''}://{user}127.0.0.1:{self.port}{path}"

    def _accept(self) -> None:
        with suppress(OSError):
            while not self._stop.is_set():
                sock, _ = self._listener.accept()
                self._sockets.append(sock)
                self._threads.append(threading.Thread(target=self._serve, args=(sock, len(self._threads) - 1)))
                self._threads[-1].start()

    def _serve(self, sock: socket.socket, number: int) -> None:
        with suppress(OSError):
            if self.certificate is not None:
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                context.load_cert_chain(self.certificate)
                sock = context.wrap_socket(sock, server_side=True)
                self._sockets.append(sock)
            with sock, sock.makefile("rb") as file:
                while (request := self._read(file, number)) and not self._stop.is_set():
                    for piece in self.answer(request):
                        if piece is CLOSE:
                            socket.socket.shutdown(sock, socket.SHUT_RDWR)
                            return
                        if isinstance(piece, bytes):
                            sock.sendall(piece)
                        elif self._stop.wait(piece):
                            return

    def _read(self, file: Iterable[bytes], number: int) -> Request | None:
        lines: list[str] = []
        for line in file:
            if not line.strip():
                break
            lines.append(line.decode("latin-1").strip())
        if not lines or not lines[0].endswith(("HTTP/1.0", "HTTP/1.1")):  # a client that speaks TLS
            return None
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        request = Request(lines[0].split()[1], headers, len(self.requests), number)
        self.requests.append(request)
        return request


CLOSE = b"<close>"


def respond(
    body: bytes = b"", status: str = "200 OK", type: str = "", *headers: str, length: bool = True, version: str = "1.1"
) -> bytes:
    """A whole response."""
    lines = [f"HTTP/{version} {status}", *headers]
    lines += [f"Content-Type: {type}"] if type else []
    lines += [f"Content-Length: {len(body)}"] if length else []
    return "\r\n".join([*lines, "", ""]).encode() + body


def multipart(pictures: Iterable[bytes], pause: float = 0.0) -> Iterator[bytes | float]:
    """An endless response with these pictures, as mjpg-streamer sends them."""
    yield respond(type="multipart/x-mixed-replace;boundary=frame", length=False, version="1.0")
    for picture in pictures:
        yield (
            f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(picture)}\r\n\r\n".encode()
            + picture
            + b"\r\n"
        )
        yield pause


def self_signed(folder: Path) -> Path:
    """Make a certificate for 127.0.0.1 and its key, in one file, by the program openssl."""
    key, certificate, both = (folder / name for name in ("key.pem", "certificate.pem", "both.pem"))
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, capture_output=True, check=True)
    both.write_bytes(key.read_bytes() + certificate.read_bytes())
    return both
