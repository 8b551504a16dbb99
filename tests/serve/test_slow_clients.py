"""Clients that do not keep up harm nobody else."""

from __future__ import annotations

import logging
import socket
from contextlib import ExitStack, closing
from urllib.parse import urlsplit

import numpy as np
import pytest

from mjpeg_restore.frames import Frame, Picture, Sampling
from mjpeg_restore.serve import ServedCamera
from tests.patience import until
from tests.serve.clients import Server, ask, parts, shade, streaming
from tests.serve.served import camera, write

pytestmark = pytest.mark.network

LARGE = (640, 480)


def noise(luma: int) -> Picture:
    """A picture of 300 kB as JPEG, whose middle is grey."""
    plane = np.random.default_rng(luma).integers(0, 256, (LARGE[1], LARGE[0]), np.uint8)
    plane[200:280, 280:360] = luma
    return Picture((plane,), Sampling.GRAY)


def deaf(server: Server, path: str) -> socket.socket:
    """A client that asks, and never reads."""
    address = urlsplit(server.url)
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.connect((address.hostname, address.port))
    client.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    return client


def viewers(server: Server) -> int:
    return ask(server, "/state").json["viewers"]


@pytest.mark.parametrize("path", ["/stream", "/original/stream", "/pairs"])
def test_a_client_that_never_reads_keeps_no_picture_from_another(path: str) -> None:
    door = camera()
    with Server([door], port=0) as server, closing(deaf(server, path)), streaming(server, "/stream") as response:
        until(lambda: viewers(server) == 2)
        pictures = parts(response)
        for luma in range(0, 250, 10):
            door.sink.write(Frame(noise(luma), noise(luma), 0.0))
            assert abs(shade(next(pictures)) - luma) <= 2
        assert viewers(server) == 2


def test_a_client_that_takes_nothing_is_dropped(caplog: pytest.LogCaptureFixture) -> None:
    door = camera()
    with Server([door], port=0, patience=0.3) as server, closing(deaf(server, "/stream")) as client:
        until(lambda: viewers(server) == 1)
        for luma in range(100):
            door.sink.write(Frame(noise(luma), None, 0.0))
            if viewers(server) == 0:
                break
        until(lambda: viewers(server) == 0)
        client.settimeout(60)
        with pytest.raises(ConnectionResetError):
            while client.recv(1 << 16):
                pass
            raise ConnectionResetError  # an orderly end is one, too
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_a_slow_client_gets_the_newest_picture_next() -> None:
    door = camera()
    with Server([door], port=0) as server, streaming(server, "/stream") as response:
        until(lambda: viewers(server) == 1)
        for luma in range(80):  # 24 MB, more than the system keeps for a client that does not read
            door.sink.write(Frame(noise(luma), None, 0.0))
            shade(ask(server, "/snapshot").body)
        seen = []
        for jpeg in parts(response):
            seen.append(shade(jpeg))
            if seen[-1] >= 77:
                break
        assert len(seen) < 40
        assert seen == sorted(seen)


def test_there_is_room_for_so_many_and_no_more() -> None:
    door = camera()
    write(door)
    with Server([door], port=0, most_streams=3) as server, ExitStack() as stack:
        for path in ("/stream", "/pairs", "/original/stream"):
            stack.enter_context(streaming(server, path))
        until(lambda: viewers(server) == 3)
        answer = ask(server, "/stream")
        assert (answer.status, answer.headers["retry-after"]) == (503, "5")
        assert ask(server, "/snapshot").status == 200
        stack.close()
        until(lambda: ask(server, "/stream", "HEAD").status == 200)


def test_a_client_that_goes_is_noticed_without_pictures() -> None:
    door: ServedCamera = camera()
    with Server([door], port=0) as server:
        with streaming(server, "/pairs"):
            until(lambda: viewers(server) == 1)
        until(lambda: viewers(server) == 0)
        assert not door.sink.original
