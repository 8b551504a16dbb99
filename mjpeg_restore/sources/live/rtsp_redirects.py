"""Redirects of RTSP cameras, followed before FFmpeg connects: it would take the password along to any server."""

from __future__ import annotations

import re
import socket
import ssl
import time
from dataclasses import replace
from typing import Final

from mjpeg_restore.address import Address
from mjpeg_restore.authorisation import Authorisation
from mjpeg_restore.errors import ConnectionFailed, Hint, SourceError
from mjpeg_restore.rtsp_client import Response, RtspClient, wrap_tls

NOT_RTSP: Final = "the camera does not answer, or not as RTSP"
_MAX_REDIRECTS: Final = 10
_SCHEMES: Final = ("rtsp", "rtsps")
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*):", re.IGNORECASE)


def follow_redirects(address: Address, timeout: float, *, verify_tls: bool = True) -> Address:
    """The address that a camera redirects to in the end; its own, if it does not.

    It sends the two requests after which FFmpeg, too, follows redirects, on a connection that is closed again. Refusals
    that are not about the password are left to FFmpeg. A camera that answers FFmpeg differently gains nothing: it may
    ask for the password itself.

    Args:
        address: with the credentials. The address returned has them only if scheme, host and port are the same.
        timeout: seconds for everything: connections, TLS and answers of all redirects.
        verify_tls: require a valid certificate for rtsps.

    Raises:
        OSError: no connection, or no answer in time.
        ConnectionFailed: what answers there is no RTSP server.
        SourceError: the password is refused, a certificate, or a redirect that must not be followed.
    """
    until, at = time.monotonic() + timeout, address
    for _ in range(_MAX_REDIRECTS + 1):
        response = _description(at, until, verify_tls)
        if response.status == 401:
            raise _refused_password(at, address)
        if not 300 <= response.status < 400:
            return at
        at = _redirected(at, response.first("location"), address)
    raise SourceError(f"{address.name} redirects more than {_MAX_REDIRECTS} times")


def _description(address: Address, until: float, verify_tls: bool) -> Response:
    """The answer to DESCRIBE, or to OPTIONS if that is refused."""
    connection = socket.create_connection((address.host, address.port), _left(until))
    with connection:
        if address.scheme == "rtsps":
            connection.settimeout(_left(until))
            connection = _encrypted(connection, address, verify_tls)
        with connection:
            authorisation = None if address.user is None else Authorisation(address.user, address.password)
            client = RtspClient(connection, authorisation, _left(until))
            response = client.request("OPTIONS", address.url)
            if response.status == 200:
                client.timeout = _left(until)
                response = client.request("DESCRIBE", address.url, {"Accept": "application/sdp"})
    if not response.status:
        raise ConnectionFailed(f"{address.name}: {NOT_RTSP}")
    return response


def _left(until: float) -> float:
    return max(until - time.monotonic(), 0.01)  # 0 would mean not to wait at all


def _encrypted(plain: socket.socket, address: Address, verify_tls: bool) -> ssl.SSLSocket:
    context = ssl.create_default_context()
    if not verify_tls:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    try:
        return wrap_tls(plain, context, address.host)
    except ssl.SSLCertVerificationError as error:
        raise SourceError(
            f"{address.name}: the certificate is not to be trusted ({error.verify_message})",
            Hint("{verify_tls} accepts any", verify_tls=False),
        ) from None


def _redirected(address: Address, location: str, first: Address) -> Address:
    """The address that a redirect names, with the credentials of the first one if it is of the same server."""
    found = _SCHEME.match(location)
    if not location:
        raise SourceError(f"{address.name} redirects without saying where to")
    if found and found[1].lower() not in _SCHEMES:
        scheme = found[1].lower()[:20]
        raise SourceError(f"{address.name} redirects to {scheme}:, which is refused: only rtsp and rtsps are followed")
    try:
        target = address.join(location)
    except SourceError as error:
        raise SourceError(f"{address.name} redirects to an impossible address: {error}") from None
    if target.user is None and target.same_server(first) and target.scheme == first.scheme:
        return replace(target, user=first.user, password=first.password)
    return target


def _refused_password(address: Address, first: Address) -> SourceError:
    if address.user is not None:
        return SourceError(f"{address.name} refuses the user name or the password")
    return SourceError(
        f"{first.name} redirects to another server, which gets no password; {address.name} asks for one: "
        "give that address"
    )
