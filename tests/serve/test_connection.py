"""Whether a client takes what it is sent, by a clock of the test's own."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Callable
from contextlib import closing

import pytest

from tests.lacking import needs
from tests.patience import until

needs("uvicorn")

import uvicorn
from uvicorn.server import ServerState

from mjpeg_restore.serve.connection import Connection, unacknowledged

PATIENCE = 30.0


class Loop:
    """An event loop that only has timers."""

    def __init__(self) -> None:
        self.now = 0.0
        self.timers: list[Timer] = []

    def call_later(self, delay: float, callback: Callable[[], None]) -> Timer:
        self.timers.append(timer := Timer(self, self.now + delay, callback))
        return timer

    def sleep(self, seconds: float) -> None:
        end = self.now + seconds
        while due := [timer for timer in self.timers if timer.when <= end]:
            first = min(due, key=lambda timer: timer.when)
            self.timers.remove(first)
            self.now = first.when
            first.callback()
        self.now = end


class Timer:
    def __init__(self, loop: Loop, when: float, callback: Callable[[], None]) -> None:
        self.loop, self.when, self.callback = loop, when, callback

    def cancel(self) -> None:
        if self in self.loop.timers:
            self.loop.timers.remove(self)


class Wire(asyncio.Transport):
    """A transport, and how much waits in it."""

    def __init__(self, connected: socket.socket | None = None) -> None:
        super().__init__({"socket": connected} if connected else None)
        self.waiting = 0
        self.aborted = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.waiting += len(data)

    def get_write_buffer_size(self) -> int:
        return self.waiting

    def close(self) -> None:
        """Nothing is left to close."""

    def abort(self) -> None:
        self.aborted = True


async def nothing(scope: object, receive: object, send: object) -> None:
    """An app that nobody asks."""


def connected() -> tuple[Loop, Wire, Connection]:
    """A connection without a limit for requests, which are the matter of others."""
    config = uvicorn.Config(nothing, timeout_keep_alive=1_000_000, lifespan="off", log_config=None)
    config.load()
    loop, wire = Loop(), Wire()
    connection = Connection(config, ServerState(), {}, loop, patience=PATIENCE)
    connection.connection_made(wire)
    return loop, wire, connection


def test_a_client_that_takes_nothing_is_dropped() -> None:
    loop, wire, _ = connected()
    wire.waiting = 1_000_000
    loop.sleep(PATIENCE - 1)
    assert not wire.aborted
    loop.sleep(PATIENCE)
    assert wire.aborted


def test_one_that_takes_a_little_now_and_then_is_not() -> None:
    loop, wire, _ = connected()
    wire.waiting = 1_000_000
    for _ in range(100):
        wire.waiting -= 1500
        loop.sleep(0.8 * PATIENCE)
    assert not wire.aborted


def test_nor_is_one_that_takes_each_picture_and_always_has_one_of_the_same_size_to_take() -> None:
    loop, wire, connection = connected()
    connection.transport.write(bytes(1500))
    for _ in range(100):
        connection.transport.write(bytes(1500))
        wire.waiting -= 1500
        loop.sleep(PATIENCE / 10)
    assert not wire.aborted


def test_nor_is_one_for_which_nothing_waits() -> None:
    loop, wire, _ = connected()
    loop.sleep(100 * PATIENCE)
    assert not wire.aborted


def test_nobody_looks_at_one_that_has_gone() -> None:
    loop, _, connection = connected()
    connection.connection_lost(None)
    assert not loop.timers


@pytest.mark.network
@pytest.mark.skipif(sys.platform != "linux", reason="needs a system that tells it of sockets")
def test_what_a_client_takes_from_the_kernel_is_seen() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        closing(socket.create_connection(server.getsockname())) as client,
    ):
        ours, _ = server.accept()
        with closing(ours):
            wire = Wire(ours)
            assert unacknowledged(wire) == 0
            ours.setblocking(False)
            sent = 0
            with pytest.raises(BlockingIOError):
                while True:
                    sent += ours.send(bytes(1 << 16))
            assert 0 < unacknowledged(wire) < sent
            while sent:
                sent -= len(client.recv(1 << 20))
            until(lambda: unacknowledged(wire) == 0)
