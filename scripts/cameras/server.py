"""A TCP server of threads whose port can be closed for a while, and sockets that end in the ways of bad networks."""

from __future__ import annotations

import select
import socket
import ssl
import struct
import sys
import threading
import time
from abc import ABC, abstractmethod
from contextlib import suppress
from types import TracebackType
from typing import Self

_POLL = 0.05
"""Seconds after which a waiting thread checks whether the server was closed."""


class Server(ABC):
    """Listens on a port of the loopback interface; each connection is served by a thread of its own.

    Attributes:
        port: chosen by the system.
        connections: number of connections accepted so far.
        ended: set once the server is closed.
    """

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        """Listen, and serve from now on.

        Args:
            tls: the server's certificate; None: no TLS.
        """
        self.connections = 0
        self.ended = threading.Event()
        self._tls = tls
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._closed_until = 0.0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._start(self._accept)

    @abstractmethod
    def serve(self, connection: socket.socket, number: int) -> None:
        """Serve one connection until it ends.

        Args:
            connection: is closed afterwards, unless it was closed.
            number: of the connection, from 1.
        """

    def close_port(self, seconds: float) -> None:
        """Refuse new connections for a while; present ones go on."""
        with self._lock:
            self._closed_until = time.monotonic() + seconds
            self._stop_listening()

    def close(self) -> None:
        """End all connections and threads. More calls do nothing."""
        self.ended.set()
        with self._lock:
            self._stop_listening()
            for connection in self._open:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _start(self, target: object, *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments, name="camera", daemon=True)  # pyright: ignore[reportArgumentType]
        self._threads.append(thread)
        thread.start()

    def _stop_listening(self) -> None:
        with suppress(OSError):  # without it, the port stays open until a waiting `accept` returns
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while not self.ended.is_set():
            try:
                self._listener.settimeout(_POLL)
                connection, _ = self._listener.accept()
            except TimeoutError:
                continue
            except OSError:  # the port is closed
                self._listen_again()
                continue
            connection.settimeout(None)
            with self._lock:
                self.connections += 1
                self._open.add(connection)
            self._threads = [thread for thread in self._threads if thread.is_alive()]
            self._start(self._serve, connection, self.connections)

    def _listen_again(self) -> None:
        while not self.ended.is_set():
            if time.monotonic() >= self._closed_until:
                with suppress(OSError), self._lock:  # a connection that is just ending may still hold the port
                    if not self.ended.is_set():
                        self._listener = socket.create_server(("127.0.0.1", self.port))
                    return
            self.ended.wait(_POLL)

    def _serve(self, plain: socket.socket, number: int) -> None:
        connection = plain
        try:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls:
                connection = self._tls.wrap_socket(plain, server_side=True)
                with self._lock:
                    self._open.discard(plain)
                    self._open.add(connection)
            self.serve(connection, number)
        except OSError:
            pass  # the client has left, or `close` was called
        finally:
            with self._lock:
                self._open.discard(plain)
                self._open.discard(connection)
            connection.close()
            plain.close()


def reset(connection: socket.socket) -> None:
    """End a connection by RST, after the bytes sent so far have arrived."""
    wait_until_received(connection)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def has_left(connection: socket.socket) -> bool:
    """Whether the other side has closed the connection."""
    readable, _, _ = select.select([connection], [], [], 0)
    return bool(readable) and not isinstance(connection, ssl.SSLSocket) and not connection.recv(1, socket.MSG_PEEK)


def wait_until_received(connection: socket.socket, seconds: float = 1.0) -> None:
    """Wait until the other side's system has received all bytes, where this system tells."""
    if sys.platform != "linux":
        return
    import fcntl
    import termios

    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        unsent = fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, b"\0\0\0\0")
        if unsent == b"\0\0\0\0":
            return
        time.sleep(0.001)
