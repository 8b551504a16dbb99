"""A stream published at an RTSP server, such as MediaMTX or go2rtc: ANNOUNCE, SETUP, RECORD, and RTP over TCP.

The client is our own, since FFmpeg's cannot be interrupted and, through PyAV, holds Python's global lock while it waits
for an answer. FFmpeg makes the RTP packets.
"""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from mjpeg_restore.address import Address
from mjpeg_restore.authorisation import Authorisation, parse_challenges
from mjpeg_restore.errors import SinkError
from mjpeg_restore.sinks.links import PATIENCE, Link, connected
from mjpeg_restore.sinks.sdp import h264_description

_PACKET = 1200
"""Bytes of an RTP packet at most: servers hand packets on as they are, and a datagram of WebRTC holds no more."""
_KEEP_ALIVE = 25.0
"""Seconds between signs of life on the control channel; servers end a session after 60 seconds without one."""
_MOST_BYTES = 1 << 16
"""Of an answer: longer ones are no RTSP."""
_FAREWELL = 1.0
"""Seconds that the server has to answer the last request."""


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    reason: str
    headers: Mapping[str, tuple[str, ...]]
    """By their names in lower case."""

    def first(self, name: str) -> str:
        """The first value of a header; empty if there is none."""
        return next(iter(self.headers.get(name, ())), "")


class RtspLink(Link):
    """One RTSP session after the other. H.264 only, without sound."""

    format = "rtp"
    options = MappingProxyType({"packetsize": str(_PACKET)})
    codecs = frozenset({"h264"})
    sound = False

    def __init__(self, address: Address) -> None:
        """Prepare to connect; nothing is connected yet.

        Args:
            address: of the stream at the server, "rtsp" or "rtsps", whose certificate is verified.
        """
        self.name = address.name
        self._address = address
        self._authorisation = None if address.user is None else Authorisation(address.user, address.password)
        self._socket: socket.socket | None = None
        self._received = bytearray()
        self._waiting = bytearray()
        """RTP packets of a picture that is not complete."""
        self._sequence = 0
        self._session = ""
        self._alive_at = 0.0

    def connect(self) -> None:
        """Connect to the server; see `Link`."""
        self._received, self._waiting = bytearray(), bytearray()
        self._session = ""
        made = connected(self._address)
        if self._address.scheme == "rtsps":
            try:
                made = ssl.create_default_context().wrap_socket(made, server_hostname=self._address.host)
            except ssl.SSLCertVerificationError as error:
                made.close()
                raise SinkError(f"{self.name}: the certificate is not to be trusted ({error.verify_message})") from None
            except OSError:
                made.close()
                raise
        self._socket = made

    def describe(self, parameter_sets: bytes) -> None:
        """Open the session: say what will be sent, and how; see `Link`."""
        url = self._address.url
        description = h264_description(parameter_sets)
        self._request("ANNOUNCE", url, {"Content-Type": "application/sdp"}, description)
        transport = "RTP/AVP/TCP;unicast;interleaved=0-1;mode=record"
        answer = self._request("SETUP", f"{url}/streamid=0", {"Transport": transport})
        self._session = answer.first("session").partition(";")[0].strip()
        self._request("RECORD", url, {"Range": "npt=0.000-"})
        self._alive_at = time.monotonic()

    def write(self, data: bytes) -> int:
        """Send an RTP or RTCP packet, those of a picture together; see `Link`."""
        if self._socket is None:
            raise ConnectionError("the connection is closed")
        is_control = 192 <= data[1] <= 223  # RFC 5761
        self._waiting += b"$" + bytes([is_control]) + len(data).to_bytes(2, "big") + data
        ends_picture = data[1] & 0x80  # RTP's marker; all types of RTCP have this bit, too
        if ends_picture:
            try:
                self._send_waiting(self._socket)
            except OSError:
                self._session = ""  # there is nobody to take leave of
                raise
        return len(data)

    def close(self) -> None:
        """End the session, if it is still a sound one, and the connection; see `Link`."""
        if self._socket is None:
            return
        with contextlib.suppress(OSError, SinkError):
            if self._session:
                self._socket.settimeout(_FAREWELL)
                self._socket.sendall(self._message("TEARDOWN", self._address.url, {}, b""))
                self._answer(self._socket, _FAREWELL)
        self._socket.close()
        self._socket = None

    def _send_waiting(self, connection: socket.socket) -> None:
        self._skip_received(connection)
        connection.sendall(self._waiting)
        self._waiting.clear()
        if time.monotonic() - self._alive_at > _KEEP_ALIVE:
            self._alive_at = time.monotonic()
            connection.sendall(self._message("OPTIONS", self._address.url, {}, b""))

    def _request(self, method: str, url: str, headers: Mapping[str, str], body: bytes = b"") -> _Answer:
        """Send a request and wait for the answer; once more if the server asks for the password first.

        Raises:
            OSError: the connection broke, there was no answer, or one that may be another next time.
            SinkError: the server refuses for good.
        """
        assert self._socket
        self._socket.sendall(self._message(method, url, headers, body))
        answer = self._answer(self._socket, PATIENCE)
        if answer.status == 401 and self._authorisation:
            challenges = parse_challenges(answer.headers.get("www-authenticate", ()))
            if self._authorisation.accept(challenges):
                self._socket.sendall(self._message(method, url, headers, body))
                answer = self._answer(self._socket, PATIENCE)
        if answer.status != 200:
            self._refuse(answer)
        return answer

    def _message(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> bytes:
        self._sequence += 1
        lines = [f"{method} {url} RTSP/1.0", f"CSeq: {self._sequence}", "User-Agent: mjpeg-restore"]
        if self._session:
            lines.append(f"Session: {self._session}")
        if self._authorisation and (answer := self._authorisation.header(method, url)):
            lines.append(f"Authorization: {answer}")
        lines += [f"{name}: {value}" for name, value in headers.items()]
        if body:
            lines.append(f"Content-Length: {len(body)}")
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + body

    def _answer(self, connection: socket.socket, patience: float) -> _Answer:
        """The answer to the latest request; what the server sends in between is skipped."""
        until = time.monotonic() + patience
        while True:
            while (found := _take_answer(self._received)) is None:
                if len(self._received) > _MOST_BYTES:
                    raise SinkError(f"{self.name}: what answers there is no RTSP server")
                connection.settimeout(max(until - time.monotonic(), 0.01))
                data = connection.recv(4096)
                if not data:
                    raise ConnectionError("the server hung up")
                self._received += data
            connection.settimeout(PATIENCE)
            if found.first("cseq") in ("", str(self._sequence)):
                return found

    def _skip_received(self, connection: socket.socket) -> None:
        """Read what the server reports, which would fill its buffers, and see whether it has hung up."""
        connection.settimeout(0)
        try:
            while connection.recv(4096):
                pass
            raise ConnectionError("the server hung up")
        except (BlockingIOError, ssl.SSLWantReadError):
            pass
        finally:
            connection.settimeout(PATIENCE)

    def _refuse(self, answer: _Answer) -> None:
        said = f"{answer.status} {answer.reason}".strip()
        match answer.status:
            case 0:
                raise SinkError(f"{self.name}: what answers there is no RTSP server")
            case 401 if self._authorisation is None:
                raise SinkError(f"{self.name} asks for a password: give it as rtsp://USER:PASSWORD@HOST/PATH")
            case 401:
                raise SinkError(f"{self.name} refuses the user name or the password")
            case 403:
                raise SinkError(f"{self.name}: this user may not publish there ({said})")
            case 404:
                raise SinkError(f"{self.name}: the server has no stream of this path ({said}): its settings name them")
            case 405 | 461 | 501:
                raise SinkError(f"{self.name}: the server takes no stream, or none over TCP ({said})")
            case _:  # such as 400 of MediaMTX while another client publishes there
                raise ConnectionError(f"the server answers {said}")


def _take_answer(received: bytearray) -> _Answer | None:
    """Remove the first answer from the bytes received, and all packets before it; None while it is incomplete."""
    while received.startswith(b"$"):
        size = 4 + int.from_bytes(received[2:4], "big")
        if len(received) < size:
            return None
        del received[:size]
    head, end, _ = bytes(received).partition(b"\r\n\r\n")
    if not end:
        return None
    first, *lines = head.split(b"\r\n")
    headers: dict[str, tuple[str, ...]] = {}
    for line in lines:
        name, _, value = line.decode("latin-1").partition(":")  # as `Authorisation` takes them
        headers[name.strip().lower()] = (*headers.get(name.strip().lower(), ()), value.strip())
    length = next(iter(headers.get("content-length", ())), "0")
    size = len(head) + 4 + (int(length) if length.isdecimal() and len(length) < 10 else 0)
    if len(received) < size:
        return None
    del received[:size]
    found = re.match(r"RTSP/[0-9.]+ ([0-9]{3})(.*)", first.decode("utf-8", "replace"))
    if found is None:
        return _Answer(0, "", headers)
    reason = "".join(filter(str.isprintable, found[2])).strip()[:80]
    return _Answer(int(found[1]), reason, headers)
