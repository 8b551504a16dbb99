"""The server: uvicorn on a thread of its own."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from importlib.util import find_spec
from types import TracebackType
from typing import Self

from mjpeg_restore.errors import MissingExtra, SinkError, reason_of
from mjpeg_restore.serve.access import Access
from mjpeg_restore.serve.address import LOOPBACK
from mjpeg_restore.serve.camera import ServedCamera
from mjpeg_restore.serve.pages import Pages

try:
    import uvicorn

    from mjpeg_restore.serve.connection import Connection
    from mjpeg_restore.serve.guard import Guard
    from mjpeg_restore.serve.site import Site
except ModuleNotFoundError as error:
    missing = [name for name in ("uvicorn", "starlette", "prometheus_client") if find_spec(name) is None]
    raise MissingExtra(" ".join(missing) or str(error.name), "serve", "serving pictures") from error

_MOST_STREAMS = 64
"""Streams that are open at the same time: a client more costs the pipeline little, but not nothing."""
_MOST_CONNECTIONS = 256
_SILENCE = 10
"""Seconds in which a connection has to make its request; those that do not would take the place of others for ever."""
_PATIENCE = 30.0
"""Seconds that a client may take nothing before it is dropped."""
_UNSENT = 128 * 1024
"""Bytes of a picture that wait in the kernel for a slow client: what waits there is old when it arrives."""
_LAST_WORDS = 0.5
"""Seconds in which clients may take the ends of their streams when the server stops."""
_STOP = 5.0
"""Seconds that a stop may take; then the thread is left to itself."""


class Server:
    """Serves cameras over HTTP until it is closed.

    Attributes:
        url: of the page.
        remark: what the user should know: that others can watch; None if there is nothing.
    """

    def __init__(
        self,
        cameras: Iterable[ServedCamera] = (),
        host: str = LOOPBACK,
        port: int = 8080,
        access: Access | None = None,
        *,
        most_streams: int = _MOST_STREAMS,
        patience: float = _PATIENCE,
    ) -> None:
        """Listen, and begin to serve.

        Args:
            cameras: more may be added.
            host: a name or an address of this machine; "0.0.0.0" or "::" for all its interfaces.
            port: 0 for one that is free.
            access: what requests must bring; nothing if None.
            most_streams: streams that may be open at the same time; others are told to come again.
            patience: seconds that a client may take nothing before it is dropped.

        Raises:
            SinkError: nothing can listen there.
            ValueError: there is no such port.
        """
        if not 0 <= port <= 65535:
            raise ValueError(f"port {port}: 0 to 65535")
        access = access or Access()
        self._socket = _listen(host, port)
        address, port = self._socket.getsockname()[:2]
        near = ipaddress.ip_address(address.partition("%")[0]).is_loopback
        self.url = f"http://{f'[{host}]' if ':' in host else host}:{port}/"
        self.remark = None if near or access.required else f"whoever can reach {self.url} can watch: no token is asked"
        self._site = Site(cameras, pages := Pages(), most_streams=most_streams)
        hosts = [host] if near and not access.required else None
        app = Guard(self._site.app(), access, hosts, pages)
        self._uvicorn = _Uvicorn(app, patience)
        self._thread = threading.Thread(target=self._run, name="serve", daemon=True)
        self._thread.start()
        self._uvicorn.ready.wait()
        if not self._uvicorn.started:
            self._socket.close()
            raise SinkError(f"the server on {host}, port {port} did not start: its log says why")

    def add(self, camera: ServedCamera) -> None:
        """Serve one more camera, or another one of the same name."""
        self._call(self._site.add, camera)

    def remove(self, name: str) -> None:
        """Serve a camera no more; its streams end."""
        self._call(self._site.remove, name)

    def close(self) -> None:
        """End all streams and stop. A second call does nothing."""
        self._call(self._site.end)
        self._uvicorn.should_exit = True
        self._thread.join(_STOP)
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _run(self) -> None:
        try:
            self._uvicorn.run([self._socket])
        finally:
            self._uvicorn.ready.set()

    def _call(self, function: Callable[..., None], *arguments: object) -> None:
        """Have the event loop call a function, unless it has ended."""
        with suppress(RuntimeError):
            self._uvicorn.loop.call_soon_threadsafe(function, *arguments)


class _Uvicorn(uvicorn.Server):
    """uvicorn, which tells when it has begun, and does not wait for clients at the end.

    Attributes:
        ready: set once it answers.
        loop: its event loop, once it is ready.
    """

    loop: asyncio.AbstractEventLoop

    def __init__(self, app: Guard, patience: float) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                loop="asyncio",
                http=partial(Connection, patience=patience),  # pyright: ignore[reportArgumentType]  it makes one
                ws="none",
                lifespan="on",
                log_config=None,
                proxy_headers=False,
                server_header=False,
                limit_concurrency=_MOST_CONNECTIONS,
                timeout_keep_alive=_SILENCE,
                timeout_graceful_shutdown=round(_STOP),
            )
        )
        self.ready = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to answer."""
        self.loop = asyncio.get_running_loop()
        await super().startup(sockets)
        self.ready.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop, after a moment for clients to take the ends of their streams."""
        self.loop.call_later(_LAST_WORDS, self._abort)
        await super().shutdown(sockets)

    def _abort(self) -> None:
        for connection in [*self.server_state.connections]:
            connection.transport.abort()


def _listen(host: str, port: int) -> socket.socket:
    """A socket that listens, from which those of the connections have their options.

    Raises:
        SinkError: nothing can listen there.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        # Of the two addresses of "localhost", the one that all programs try.
        family, *_, address = min(found, key=lambda entry: entry[0] != socket.AF_INET)
        both = family == socket.AF_INET6 and address[0] == "::" and socket.has_dualstack_ipv6()
        listening = socket.create_server(address[:2], family=family, dualstack_ipv6=both)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name, or one that is too long
        reason = reason_of(error).partition(" (while")[0]
        raise SinkError(f"cannot serve on {host}, port {port} ({reason}): choose another port or address") from error
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if (option := getattr(socket, "TCP_NOTSENT_LOWAT", None)) is not None:  # not every system has it
        listening.setsockopt(socket.IPPROTO_TCP, option, _UNSENT)
    return listening
