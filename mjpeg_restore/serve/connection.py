"""A connection of the server's: it ends where its client makes no request, or takes nothing."""

from __future__ import annotations

import asyncio
import logging
import sys
from typing import Any, cast

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from mjpeg_restore.serve.streams import TRANSPORT

try:
    import fcntl
    import termios
except ImportError:  # Windows
    fcntl = termios = None

_CHECKS = 10
"""Checks of a client in the time in which it has to take something."""

_of_clients = logging.getLogger(__name__)
_of_clients.setLevel(logging.ERROR)  # what a client does wrong is told to it alone: anybody could fill the log


class Connection(H11Protocol):
    """A connection: responses get at its transport, and the log is the package's, without a line for each request.

    uvicorn ends one that is silent after a response. Here one that has not made its first request, or that makes one
    byte by byte, ends after the same time. One whose client takes nothing of what it is sent ends, too, but not one
    whose client is slow. (TCP_USER_TIMEOUT ends both where the client's window stays smaller than a segment.)
    """

    def __init__(self, *arguments: Any, patience: float, **options: Any) -> None:
        """Prepare.

        Args:
            arguments: uvicorn's.
            patience: seconds that a client may take nothing of what it is sent.
            options: uvicorn's.
        """
        super().__init__(*arguments, **options)
        self.logger, self.access_log = _of_clients, False
        self._overdue: asyncio.TimerHandle | None = None
        self._patience = patience
        self._next_check: asyncio.TimerHandle | None = None
        self._taken = self._idle_checks = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Begin with a connection."""
        self.app_state = {**self.app_state, TRANSPORT: transport}
        self._counting = _CountingTransport(transport)
        super().connection_made(cast(asyncio.Transport, self._counting))
        self._watch()
        self._check_progress()

    def data_received(self, data: bytes) -> None:
        """Go on with a request, whose time has begun with its first byte."""
        super().data_received(data)
        self._watch()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP, where no other answer has begun, and end the connection."""
        cycle: RequestResponseCycle | None = self.cycle
        if cycle:  # the head was a request: the app that answers it has no client any more
            cycle.disconnected = True
            cycle.message_event.set()
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            super().send_400_response(msg)
        else:
            self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Note the end."""
        super().connection_lost(exc)
        self._unwatch()
        if self._next_check:
            self._next_check.cancel()

    def on_response_complete(self) -> None:
        """Give the next request its own time."""
        self._unwatch()
        super().on_response_complete()

    def _watch(self) -> None:
        """Have time run while no request is being answered."""
        cycle: RequestResponseCycle | None = self.cycle  # there is none before the first request
        if cycle and not cycle.response_complete:
            self._unwatch()
        elif self._overdue is None:
            self._overdue = self.loop.call_later(self.timeout_keep_alive, self.transport.abort)

    def _unwatch(self) -> None:
        if self._overdue:
            self._overdue.cancel()
            self._overdue = None

    def _check_progress(self) -> None:
        """See, again and again, whether the client has taken some of what it is sent.

        It may have done so even if as much waits as before, such as one picture of the same size each time.
        """
        waiting = self.transport.get_write_buffer_size() + unacknowledged(self.transport)
        taken = self._counting.written - waiting
        self._idle_checks = self._idle_checks + 1 if waiting and taken == self._taken else 0
        self._taken = taken
        if self._idle_checks < _CHECKS:
            self._next_check = self.loop.call_later(self._patience / _CHECKS, self._check_progress)
        else:
            self.transport.abort()  # its end would wait for the client

    def _should_upgrade(self) -> bool:
        return False  # and without uvicorn's advice to install something: the request is answered as it stands


class _CountingTransport:
    """A transport that counts what is written to it; for everything else it is the transport itself.

    Attributes:
        written: bytes.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        self.written = 0
        self._transport = transport

    def write(self, data: bytes) -> None:
        """Send bytes, in their time."""
        self.written += len(data)
        self._transport.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


def unacknowledged(transport: asyncio.Transport) -> int:
    """Bytes that the kernel keeps for the client; 0 where the system does not tell.

    asyncio sees only when the socket has room for more, which a slow client may not make in a minute.
    """
    connected = transport.get_extra_info("socket")
    if fcntl is None or termios is None or connected is None:
        return 0
    try:
        return int.from_bytes(fcntl.ioctl(connected.fileno(), termios.TIOCOUTQ, bytes(4)), sys.byteorder)
    except OSError:  # macOS tells it of terminals alone; or the socket is closed
        return 0
