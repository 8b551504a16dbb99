"""Refusals and failures of HTTP servers as errors of one line: what happened, and what to do where anything helps."""

from __future__ import annotations

import socket
import ssl
from http.client import BadStatusLine, HTTPException, HTTPResponse, RemoteDisconnected
from typing import Final

from mjpeg_restore.address import Address
from mjpeg_restore.errors import ConnectionFailed, SourceError, reason_of

_HAS_BODY: Final = frozenset({200, 201, 202, 203, 206})
_TRY_AGAIN: Final = frozenset({408, 423, 425, 429})
"""Refusals that may pass, beside those from 500 on."""


def check_status(response: HTTPResponse, address: Address) -> None:
    """Raise the error that fits the status of a response, unless it brings what was requested.

    Raises:
        ConnectionFailed: the refusal may pass.
        SourceError: the refusal would come again.
    """
    status, name = response.status, address.name
    told = f"({status} {printable(response.reason)})".replace(" )", ")")
    if status in _HAS_BODY:
        return
    if status in _TRY_AGAIN or status >= 500 or status < 400:
        raise ConnectionFailed(f"{name}: the server has no pictures at the moment {told}")
    if status == 403:
        raise SourceError(f"{name} refuses access {told}: give a user who may watch it, http://USER:PASSWORD@HOST/...")
    if status in (404, 410):
        raise SourceError(f"{name} does not exist {told}: check the path in the camera's manual")
    raise SourceError(f"{name} refuses the request {told}")


def missing_credentials(address: Address, first: Address) -> SourceError:
    """The error for a server that asks for credentials, where none are to be sent.

    Args:
        address: what was requested.
        first: the user's URL, from which redirects may have led to another server.
    """
    asks = f"{address.name} asks for a user name and password"
    if first.user is None:
        return SourceError(f"{asks}: write them into the URL, http://USER:PASSWORD@HOST/...")
    return SourceError(f"{first.name} redirects to another server, which gets no password; {asks}: give that address")


def failure(error: OSError | HTTPException | ValueError, address: Address) -> ConnectionFailed:
    """The error for a request that failed."""
    return ConnectionFailed(f"{address.name}: {_reason(error)}")


def _reason(error: OSError | HTTPException | ValueError) -> str:
    if isinstance(error, socket.gaierror):
        return f"the host cannot be found ({printable(reason_of(error)).lower()})"
    if isinstance(error, RemoteDisconnected):
        return "the server closes the connection without an answer"
    if isinstance(error, BadStatusLine):
        return f"the server does not answer with HTTP, but with '{printable(str(error))}'"
    if isinstance(error, ssl.SSLError):
        reason = printable(error.reason or str(error)).lower().replace("_", " ")
        return f"the server does not agree on encryption ({reason})"
    if isinstance(error, HTTPException):
        return f"the server's answer is not HTTP ({printable(str(error) or type(error).__name__)})"
    return f"no connection ({printable(reason_of(error)).lower()})"


def printable(text: str) -> str:
    """A server's words, fit for a message."""
    return "".join(character if character.isprintable() else "?" for character in text[:80].strip())
