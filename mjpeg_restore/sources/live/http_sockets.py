"""The waits of a client before the first byte, interruptible: looking a host up, and connecting."""

from __future__ import annotations

import ctypes
import errno
import os
import selectors
import socket
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import Any, Final

_POLL: Final = 0.1
"""Seconds after which a wait checks whether it was interrupted."""
_UNDER_WAY: Final = (0, errno.EINPROGRESS, errno.EWOULDBLOCK, errno.EAGAIN)


def look_up(host: str, port: int, check: Callable[[], None]) -> list[Any]:
    """The addresses of a host, as `socket.getaddrinfo` returns them.

    The system's look-up cannot be interrupted, so it runs on a thread of its own, which may be abandoned.

    Args:
        host: a name or an IP address.
        port: the port.
        check: called while it waits; it raises an error to end the wait.

    Raises:
        OSError: there is no such host.
    """
    found: Future[list[Any]] = Future()

    def ask() -> None:
        try:
            found.set_result(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError) as error:
            found.set_exception(error)

    threading.Thread(target=ask, name="look-up", daemon=True).start()
    while not wait((found,), timeout=_POLL).done:
        check()
    return found.result()


def connect(sock: socket.socket, where: Any, check: Callable[[], None], seconds: float) -> None:
    """Connect a socket, which is not blocking afterwards.

    Args:
        sock: the socket.
        where: its peer.
        check: called while it waits; it raises an error to end the wait.
        seconds: the wait ends after that time.

    Raises:
        OSError: the peer cannot be reached, or not in time.
    """
    until = time.monotonic() + seconds
    sock.setblocking(False)
    code = sock.connect_ex(where)
    if code in _UNDER_WAY:
        with selectors.DefaultSelector() as selector:
            selector.register(sock, selectors.EVENT_WRITE)
            while not selector.select(_POLL):
                check()
                if time.monotonic() > until:
                    raise TimeoutError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT))
        code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if code:
        raise OSError(code, _words(code))


def _words(code: int) -> str:
    """What an error of a socket means: C's own words for those of Windows are "unknown error"."""
    return ctypes.FormatError(code) if sys.platform == "win32" else os.strerror(code)
