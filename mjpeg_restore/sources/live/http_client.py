"""GET requests to cameras, by Python's own `http.client`: within a deadline, and interruptible while they wait."""

from __future__ import annotations

import os
import re
import socket
import ssl
import threading
from collections.abc import Mapping
from contextlib import suppress
from http.client import HTTPConnection, HTTPException, HTTPResponse
from types import MappingProxyType
from typing import Final

from mjpeg_restore.address import Address
from mjpeg_restore.authorisation import Authorisation, parse_challenges
from mjpeg_restore.errors import ConnectionFailed, Hint, SourceError
from mjpeg_restore.sources.live.http_refusals import check_status, failure, missing_credentials, printable
from mjpeg_restore.sources.live.http_response import Response
from mjpeg_restore.sources.live.http_sockets import connect, look_up

_MAX_REDIRECTS: Final = 10
_MAX_ANSWERS: Final = 2
"""Answers to challenges in one request: the second one is for a nonce that has expired meanwhile."""
_MAX_DRAINED: Final = 1 << 16
"""Bytes; the body of a refusal is read to its end, to keep the connection, if it is not longer."""
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*):", re.IGNORECASE)
ANOTHER_ADDRESS: Final = 2.0
"""Seconds to connect to an address of a host that has others: some have an IPv6 address at which nobody answers."""
_NO_HEADERS: Mapping[str, str] = MappingProxyType({})


class HttpClient:
    """Requests to one camera, one after the other, each on the last one's connection where the server keeps it.

    Redirects are followed to http and https only. Credentials are sent after a challenge only, and never to another
    host or port than the URL's. Proxies, which the environment may name, are not used: cameras are on the local
    network.
    """

    def __init__(self, address: Address, timeout: float, *, verify_tls: bool = True) -> None:
        """Prepare; nothing is connected yet.

        Args:
            address: the URL, http or https, with the credentials.
            timeout: seconds for a request, from resolving the name to the end of the response's header.
            verify_tls: require a valid certificate for https.
        """
        self._address = address
        self._timeout = timeout
        self._verify_tls = verify_tls
        self._authorisation = None if address.user is None else Authorisation(address.user, address.password)
        self._context: ssl.SSLContext | None = None
        self._lock = threading.RLock()  # the garbage collector may call `interrupt` while this thread holds it
        self._process = os.getpid()
        self._socket: socket.socket | None = None
        self._connection: HTTPConnection | None = None
        self._server: tuple[str, str, int] | None = None
        self._response: HTTPResponse | None = None
        self._expired = False
        self.interrupted = False
        """True once `interrupt` was called: requests fail, and bodies end."""

    def get(self, headers: Mapping[str, str] = _NO_HEADERS, *, body_timeout: float | None = None) -> HTTPResponse:
        """Request the address, and return the response, of which the body has not been read.

        The body of the last response must have been read to its end; otherwise a new connection is made.

        Args:
            headers: further headers of the request.
            body_timeout: seconds that a read of the body may wait; None: without limit.

        Raises:
            ConnectionFailed: no connection, no answer in time, no HTTP, or a refusal that may pass.
            SourceError: a refusal that would come again: credentials, a wrong path, a certificate, a bad redirect.
        """
        self._expired = False
        timer = threading.Timer(self._timeout, self._expire)
        timer.daemon = True
        timer.start()
        address = self._address
        try:
            for _ in range(_MAX_REDIRECTS + 1):
                response = self._authorised(address, headers)
                location = response.getheader("Location")
                if response.status not in _REDIRECTS or location is None:
                    check_status(response, address)
                    self._check_time(address)
                    if self._socket is not None:
                        with suppress(OSError):  # closed already, where there is no body
                            self._socket.settimeout(body_timeout)
                    return response
                self._drain(response)
                address = self._redirected(address, location)
        except BaseException:
            self.close()
            raise
        finally:
            timer.cancel()
        self.close()
        raise SourceError(f"{self._address.name} redirects more than {_MAX_REDIRECTS} times")

    def interrupt(self) -> None:
        """Fail the request or end the body that another thread waits for."""
        self.interrupted = True
        self._shut_down()

    def close(self) -> None:
        """Close the connection; the next request makes a new one."""
        if self._response is not None:
            self._response.close()
            self._response = None
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        with self._lock:
            if self._socket is not None:
                self._socket.close()
                self._socket = None

    def _authorised(self, address: Address, headers: Mapping[str, str]) -> HTTPResponse:
        """Request an address, and answer the challenges of the server."""
        authorisation = self._authorisation if address.same_server(self._address) else None
        for answers in range(_MAX_ANSWERS + 1):
            response = self._request(address, headers, authorisation)
            if response.status != 401:
                return response
            challenges = parse_challenges(response.headers.get_all("WWW-Authenticate", []))
            if authorisation is None:
                raise missing_credentials(address, self._address)
            if answers and not any(challenge.stale for challenge in challenges):
                raise SourceError(f"{address.name} refuses the user name and password of the URL (401 Unauthorized)")
            if not authorisation.accept(challenges):
                schemes = ", ".join(challenge.scheme for challenge in challenges) or "no known scheme"
                raise SourceError(
                    f"{address.name} wants a password by {printable(schemes)}: only basic, and digest by MD5 or "
                    "SHA-256 with qop=auth, are supported"
                )
            self._drain(response)
        raise ConnectionFailed(f"{address.name}: the server's challenges expire before they are answered")

    def _request(
        self, address: Address, headers: Mapping[str, str], authorisation: Authorisation | None
    ) -> HTTPResponse:
        """Send one request, and read the header of its response."""
        path = address.path_and_query
        headers = {"Host": address.authority, "User-Agent": "mjpeg-restore", "Accept": "*/*", **headers}
        if authorisation is not None and (answer := authorisation.header("GET", path)):
            headers["Authorization"] = answer
        try:
            if self._is_reusable(address):
                with suppress(OSError, HTTPException):  # the server has closed it meanwhile
                    return self._send(path, headers)
                self._check_time(address)
            self.close()
            self._open(address)
            return self._send(path, headers)
        except ssl.SSLCertVerificationError as error:
            raise SourceError(
                f"the certificate of {address.name} is not to be trusted ({printable(error.verify_message)})",
                Hint("{verify_tls} connects nevertheless", verify_tls=False),
            ) from None
        except (OSError, HTTPException, ValueError) as error:  # ValueError: ssl's, for an impossible host
            if isinstance(error, TimeoutError) and error.errno is None:
                self._expired = True  # the socket's own clock runs as long as the timer, and was faster
            self._check_time(address)
            raise failure(error, address) from None

    def _is_reusable(self, address: Address) -> bool:
        return (
            self._connection is not None
            and self._connection.sock is not None
            and self._server == (address.scheme, address.host, address.port)
            and self._response is not None
            and self._response.isclosed()
        )

    def _send(self, path: str, headers: Mapping[str, str]) -> HTTPResponse:
        assert self._connection is not None and self._socket is not None
        self._socket.settimeout(self._timeout)
        self._connection.request("GET", path, headers=headers)
        self._response = self._connection.getresponse()
        return self._response

    def _open(self, address: Address) -> None:
        """Connect, and agree on TLS."""
        refused: OSError | None = None

        def check() -> None:
            self._check_time(address)

        found = look_up(address.host, address.port, check)
        for left, (family, kind, protocol, _, where) in zip(reversed(range(len(found))), found, strict=True):
            plain = socket.socket(family, kind, protocol)
            self._watch(plain, address)
            try:
                connect(plain, where, check, ANOTHER_ADDRESS if left else self._timeout)
                break
            except OSError as error:
                refused = error
        else:
            raise refused or OSError("the host has no address")
        plain.settimeout(self._timeout)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = HTTPConnection(address.host, address.port)
        connection.response_class = Response
        connection.sock = self._secure(plain, address) if address.scheme == "https" else plain
        self._connection, self._server = connection, (address.scheme, address.host, address.port)

    def _secure(self, plain: socket.socket, address: Address) -> ssl.SSLSocket:
        if self._context is None:  # kept, because it reads all certificates of the system
            self._context = ssl.create_default_context()
            if not self._verify_tls:
                self._context.check_hostname = False
                self._context.verify_mode = ssl.CERT_NONE
        secured = self._context.wrap_socket(plain, server_hostname=address.host, do_handshake_on_connect=False)
        with self._lock:
            self._socket = secured
        self._check_time(address)
        secured.do_handshake()
        return secured

    def _redirected(self, address: Address, location: str) -> Address:
        """The address that a redirect names."""
        found = _SCHEME.match(location)
        scheme = found[1].lower()[:20] if found else "http"
        if scheme not in ("http", "https"):
            raise SourceError(
                f"{address.name} redirects to {scheme}:, which is refused: only http and https are followed"
            )
        try:
            target = address.join(location)
        except SourceError as error:
            raise SourceError(f"{address.name} redirects to an impossible address: {error}") from None
        if target.scheme == "http" and address.scheme == "https" and self._authorisation is not None:
            raise SourceError(
                f"{address.name} redirects to {target.name}, without encryption: that is refused, because the URL "
                "holds a user name and password"
            )
        return target

    def _drain(self, response: HTTPResponse) -> None:
        """Read the rest of a response, so that the connection can be used again, or close it."""
        if response.length is not None and response.length <= _MAX_DRAINED:
            with suppress(OSError, HTTPException):
                response.read()
        if not response.isclosed():
            self.close()

    def _watch(self, sock: socket.socket, address: Address) -> None:
        """Have `interrupt` and the deadline end what a socket waits for; closes the one before."""
        with self._lock:
            if self._socket is not None:
                self._socket.close()
            self._socket = sock
        self._check_time(address)

    def _expire(self) -> None:
        self._expired = True
        self._shut_down()

    def _shut_down(self) -> None:
        if self._process != os.getpid():
            return  # a forked process would end the connection of its parent
        with self._lock, suppress(OSError):
            if self._socket is not None:
                # Not the method of an SSLSocket, which is not made for other threads.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def _check_time(self, address: Address) -> None:
        if self.interrupted:
            raise ConnectionFailed(f"{address.name}: interrupted")
        if self._expired:
            raise ConnectionFailed(f"{address.name}: the server does not answer within {self._timeout:g} s")
