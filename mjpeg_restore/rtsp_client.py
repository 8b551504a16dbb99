"""Requests to an RTSP server (RFC 2326), and its responses."""

from __future__ import annotations

import re
import socket
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from mjpeg_restore.authorisation import Authorisation, parse_challenges

_MOST_BYTES: Final = 1 << 16
"""Of a response: longer ones are no RTSP."""
_REQUEST_LINE = re.compile(r"[A-Z_]+ \S+ RTSP/[0-9.]+")
"""Of a request of the server's, such as OPTIONS to see whether the client is alive."""
_NO_HEADERS: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Response:
    """A response of the server, without its body."""

    status: int
    """0: what came is no RTSP."""
    reason: str
    headers: Mapping[str, tuple[str, ...]]
    """By their names in lower case."""

    def first(self, name: str) -> str:
        """The first value of a header; empty if there is none."""
        return next(iter(self.headers.get(name, ())), "")


class RtspClient:
    """The requests of one connection.

    Attributes:
        session: is sent with each request; empty: none.
        timeout: seconds for a request and its response, both times if the server asks for the password first.
    """

    def __init__(self, connection: socket.socket, authorisation: Authorisation | None, timeout: float) -> None:
        """Take a connection, which the caller closes.

        Args:
            connection: to the server.
            authorisation: answers the server's challenges; None: nobody does.
            timeout: see the class.
        """
        self.session = ""
        self.timeout = timeout
        self._connection = connection
        self._authorisation = authorisation
        self._received = bytearray()
        self._sequence = 0
        self._unanswered_cseq: str | None = None

    def request(self, method: str, url: str, headers: Mapping[str, str] = _NO_HEADERS, body: bytes = b"") -> Response:
        """Send a request and wait for the response; once more if the server asks for the password first.

        Raises:
            OSError: the connection broke, or there was no response in time.
        """
        until = time.monotonic() + self.timeout
        self._connection.settimeout(self.timeout)
        self._send(method, url, headers, body)
        response = self._receive(until)
        if response.status == 401 and self._authorisation:
            challenges = parse_challenges(response.headers.get("www-authenticate", ()))
            if self._authorisation.accept(challenges):
                self._connection.settimeout(_left(until))
                self._send(method, url, headers, body)
                response = self._receive(until)
        return response

    def send(self, method: str, url: str) -> None:
        """Send a request whose response nobody waits for.

        Raises:
            OSError: the connection broke.
        """
        self._send(method, url, _NO_HEADERS, b"")
        self._unanswered_cseq = str(self._sequence)

    def teardown(self, url: str, timeout: float) -> None:
        """End the session.

        Args:
            url: of the stream.
            timeout: seconds that the server has to answer.

        Raises:
            OSError: the connection broke, or there was no response in time.
        """
        until = time.monotonic() + timeout
        self._connection.settimeout(timeout)
        self._send("TEARDOWN", url, _NO_HEADERS, b"")
        self._receive(until)

    def drain(self) -> None:
        """Read what the server reports, which would fill its buffers.

        Raises:
            OSError: the server has hung up.
        """
        self._connection.settimeout(0)
        try:
            while self._connection.recv(4096):
                pass
            raise ConnectionError("the server hung up")
        except (BlockingIOError, ssl.SSLWantReadError):
            pass
        finally:
            self._connection.settimeout(self.timeout)

    def _send(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> None:
        self._sequence += 1
        lines = [f"{method} {url} RTSP/1.0", f"CSeq: {self._sequence}", "User-Agent: mjpeg-restore"]
        if self.session:
            lines.append(f"Session: {self.session}")
        if self._authorisation and (answer := self._authorisation.header(method, url)):
            lines.append(f"Authorization: {answer}")
        lines += [f"{name}: {value}" for name, value in headers.items()]
        if body:
            lines.append(f"Content-Length: {len(body)}")
        self._connection.sendall("\r\n".join([*lines, "", ""]).encode("latin-1") + body)

    def _receive(self, until: float) -> Response:
        """The next response but that to `send`. Some cameras count in their own way, so any other number will do."""
        while True:
            while (found := take_response(self._received)) is None:
                if len(self._received) > _MOST_BYTES:
                    return Response(0, "", {})
                self._connection.settimeout(_left(until))
                data = self._connection.recv(4096)
                if not data:
                    raise ConnectionError("the server hung up")
                self._received += data
            self._connection.settimeout(self.timeout)
            if found.first("cseq") != self._unanswered_cseq:
                return found


def _left(until: float) -> float:
    """Seconds until then, of `time.monotonic()`.

    Raises:
        TimeoutError: there are none. A server that goes on sending anything else would have no timeout otherwise.
    """
    left = until - time.monotonic()
    if left <= 0:
        raise TimeoutError("timed out")
    return left


def wrap_tls(plain: socket.socket, context: ssl.SSLContext, host: str) -> ssl.SSLSocket:
    """A connection on which TLS was agreed; the plain one is closed if it was not.

    Raises:
        ssl.SSLCertVerificationError: the certificate is not to be trusted.
        TimeoutError: the server does not answer.
        OSError: it speaks no TLS, or another one.
    """
    try:
        return context.wrap_socket(plain, server_hostname=host)
    except ssl.SSLCertVerificationError:
        plain.close()
        raise
    except TimeoutError:
        plain.close()
        raise TimeoutError("timed out") from None  # as without TLS
    except (OSError, ValueError) as error:  # ValueError: an impossible host
        plain.close()
        # OpenSSL's words begin with a place in its wrapper, such as "_ssl.c:989".
        reason = getattr(error, "reason", None)
        told = f" ({reason.lower().replace('_', ' ')})" if reason else ""
        raise ConnectionError(f"the server does not agree on encryption{told}") from None


def take_response(received: bytearray) -> Response | None:
    """Remove the first response from the bytes received, and all packets and requests of the server before it.

    Returns:
        None: it is incomplete.
    """
    while True:
        while received.startswith(b"$"):
            size = 4 + int.from_bytes(received[2:4], "big")
            if len(received) < size:
                return None
            del received[:size]
        end = re.search(rb"\r?\n\r?\n", received)  # FFmpeg, too, takes lines that end in a line feed alone
        if end is None:
            return None
        first, *lines = bytes(received[: end.start()]).decode("latin-1").replace("\r\n", "\n").split("\n")
        headers: dict[str, tuple[str, ...]] = {}
        for line in lines:
            name, _, value = line.partition(":")
            headers[name.strip().lower()] = (*headers.get(name.strip().lower(), ()), value.strip())
        length = next(iter(headers.get("content-length", ())), "0")
        size = end.end() + (int(length) if length.isdecimal() and len(length) < 10 else 0)
        if len(received) < size:
            return None
        del received[:size]
        if not _REQUEST_LINE.fullmatch(first):
            return _response(first, headers)


def _response(first: str, headers: Mapping[str, tuple[str, ...]]) -> Response:
    found = re.match(r"RTSP/[0-9.]+ ([0-9]{3})(.*)", first.encode("latin-1").decode("utf-8", "replace"))
    if found is None:
        return Response(0, "", headers)
    reason = "".join(filter(str.isprintable, found[2])).strip()[:80]
    return Response(int(found[1]), reason, headers)
