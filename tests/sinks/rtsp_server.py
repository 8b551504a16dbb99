"""A server that takes one published stream after the other, with the faults that a test asks for."""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import av
from av.video.codeccontext import VideoCodecContext

from tests.patience import PATIENCE

CHALLENGE = {
    "basic": 'Basic realm="cams"',
    "digest": 'Digest realm="cámąs", nonce="5ccc069c403ebaf9f0171e9517f40e41", algorithm=MD5',
}


@dataclass
class Session:
    """What one client has sent."""

    requests: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    """Method, URL, headers by their names in lower case."""
    description: str = ""
    packets: list[bytes] = field(default_factory=list)
    """RTP."""
    reports: int = 0
    """RTCP packets."""
    ended: bool = False


class RtspServer:
    """Accepts on a free port of this machine, a thread for each client.

    Attributes:
        sessions: what came, a session for each connection.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        answers: Sequence[str] = (),
        challenge: str = "",
        hang_up_after: int | None = None,
        deaf: bool = False,
        transport: str = "",
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Prepare.

        Args:
            port: 0 for a free one.
            answers: the status lines to the first requests; "200 OK" to all later ones.
            challenge: "basic" or "digest": asks each client once for a password.
            hang_up_after: close the connection after so many packets.
            deaf: never answer.
            transport: of the answer to SETUP; empty: it has none.
            tls: the server's side of TLS.
        """
        self.sessions: list[Session] = []
        self._answers = list(answers)
        self._challenge, self._hang_up_after, self._deaf, self._tls = challenge, hang_up_after, deaf, tls
        self._transport = transport
        self._channels = [int(number) for number in re.findall("[0-9]+", transport)] or [0, 1]
        self._socket = socket.create_server(("127.0.0.1", port))
        self.port: int = self._socket.getsockname()[1]
        self._clients: list[socket.socket] = []
        self._threads: list[threading.Thread] = []

    @property
    def url(self) -> str:
        return f"rtsp://127.0.0.1:{self.port}/cam"

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for held in (self._socket, *self._clients):
            with contextlib.suppress(OSError):
                held.shutdown(socket.SHUT_RDWR)
            held.close()
        for thread in self._threads:
            thread.join(PATIENCE)

    def _start(self, work: object, *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)  # pyright: ignore[reportArgumentType]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._socket.accept()
                self._clients.append(client)
                session = Session()
                self.sessions.append(session)
                self._start(self._serve, client, session)

    def _serve(self, client: socket.socket, session: Session) -> None:
        with contextlib.suppress(OSError, ValueError):
            if self._tls:
                client = self._tls.wrap_socket(client, server_side=True)
            with client, client.makefile("rb") as file:
                while first := file.read(1):
                    if self._deaf:
                        continue
                    if first == b"$":
                        channel, size = file.read(1)[0], int.from_bytes(file.read(2), "big")
                        self._take(session, channel, file.read(size))
                        if self._hang_up_after is not None and len(session.packets) >= self._hang_up_after:
                            return
                    else:
                        client.sendall(self._answer(first + file.readline(), file, session))
        session.ended = True

    def _take(self, session: Session, channel: int, data: bytes) -> None:
        if channel == self._channels[0]:
            session.packets.append(data)
        elif channel == self._channels[-1]:
            session.reports += 1

    def _answer(self, line: bytes, file: object, session: Session) -> bytes:
        method, url, _ = line.decode().split()
        headers: dict[str, str] = {}
        while text := file.readline().decode().strip():  # pyright: ignore[reportAttributeAccessIssue]
            name, _, value = text.partition(":")
            headers[name.lower()] = value.strip()
        if size := int(headers.get("content-length", 0)):
            session.description = file.read(size).decode()  # pyright: ignore[reportAttributeAccessIssue]
        session.requests.append((method, url, headers))
        status, more = self._answers.pop(0) if self._answers else "200 OK", ""
        if self._challenge and "authorization" not in headers:
            status, more = "401 Unauthorized", f"WWW-Authenticate: {CHALLENGE[self._challenge]}\r\n"
        if method == "SETUP" and self._transport:
            more += f"Transport: {self._transport}\r\n"
        report = b"$\x01\x00\x08" + bytes(8) if method == "RECORD" else b""  # servers report meanwhile
        return report + f"RTSP/1.0 {status}\r\nCSeq: {headers['cseq']}\r\nSession: 12;timeout=60\r\n{more}\r\n".encode()


def decoded(session: Session) -> list[av.VideoFrame]:
    """The pictures of a session: single NAL units, aggregates (STAP-A) and fragments (FU-A) of RFC 6184, decoded."""
    context = av.CodecContext.create("h264", "r")
    assert isinstance(context, VideoCodecContext)
    unit, stream = bytearray(), bytearray()
    for packet in session.packets:
        payload = packet[12:]
        kind = payload[0] & 0x1F
        if kind == 24:
            at = 1
            while at < len(payload):
                size = int.from_bytes(payload[at : at + 2], "big")
                stream += b"\0\0\0\1" + payload[at + 2 : at + 2 + size]
                at += 2 + size
        elif kind == 28:
            if payload[1] & 0x80:
                unit = bytearray([payload[0] & 0xE0 | payload[1] & 0x1F])
            unit += payload[2:]
            if payload[1] & 0x40:
                stream += b"\0\0\0\1" + unit
        else:
            stream += b"\0\0\0\1" + payload
    frames = [frame for coded in context.parse(bytes(stream)) for frame in context.decode(coded)]
    frames += [frame for coded in context.parse(b"") for frame in context.decode(coded)]
    return frames + context.decode(None)


def stamps(session: Session) -> list[int]:
    """The RTP time stamp of each picture, from the first one's on."""
    found = [int.from_bytes(packet[4:8], "big") for packet in session.packets if packet[1] & 0x80]
    return [(stamp - found[0]) % (1 << 32) for stamp in found]


def unescaped(header: str) -> dict[str, str]:
    """The parameters of an Authorization header."""
    return {name: value.strip('"') for name, value in re.findall(r'(\w+)=("[^"]*"|[^\s,]+)', header)}
