"""Connections that make no request, or none that can be read, take nobody's place and fill no log."""

from __future__ import annotations

import logging
import socket
from contextlib import closing
from urllib.parse import urlsplit

import pytest

from tests.patience import PATIENCE
from tests.serve.clients import Server, ask, parts, shade, streaming
from tests.serve.served import RESTORED, camera, playing

server_module = pytest.importorskip("mjpeg_restore.serve.server")

pytestmark = pytest.mark.network

REQUEST = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"


def connected(server: Server) -> socket.socket:
    address = urlsplit(server.url)
    return socket.create_connection((address.hostname, address.port), PATIENCE)


def end_of(client: socket.socket) -> bytes:
    """All that it still gets, until the server ends the connection."""
    received = b""
    try:
        while data := client.recv(1 << 16):
            received += data
    except ConnectionResetError:
        pass
    return received


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "_SILENCE", 0.2)


@pytest.mark.parametrize("begun", [b"", b"GET /", REQUEST])
@pytest.mark.usefixtures("impatient")
def test_a_request_that_does_not_come_ends_the_connection(begun: bytes) -> None:
    with Server([camera()], port=0) as server, closing(connected(server)) as client:
        client.sendall(begun)
        assert end_of(client) == b""


@pytest.mark.usefixtures("impatient")
def test_so_does_the_second_one_on_a_connection() -> None:
    with Server([camera()], port=0) as server, closing(connected(server)) as client:
        client.sendall(REQUEST + b"\r\n")
        assert client.recv(1 << 16).startswith(b"HTTP/1.1 200")
        client.sendall(REQUEST)
        end_of(client)


@pytest.mark.usefixtures("impatient")
def test_a_stream_goes_on_for_longer_than_that() -> None:
    door = camera()
    with playing(door, 20), Server([door], port=0) as server, streaming(server, "/stream") as response:
        pictures = parts(response)
        for _ in range(12):  # 0.6 s
            assert abs(shade(next(pictures)) - RESTORED) <= 1


def test_silent_connections_leave_room_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "_MOST_CONNECTIONS", 4)
    monkeypatch.setattr(server_module, "_SILENCE", 1)
    with Server([camera()], port=0) as server:
        silent = [connected(server) for _ in range(6)]
        for client in silent:
            with closing(client):
                assert end_of(client) == b""
        assert ask(server, "/healthz").status == 200


def complaints(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What was logged for somebody to read.

    That a server starts and ends is heard too where another test left the root logger's level at INFO.
    """
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.mark.parametrize("nonsense", [b"\x16\x03\x01\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"HELO\r\n\r\n"])
def test_nonsense_is_answered_and_not_logged(nonsense: bytes, caplog: pytest.LogCaptureFixture) -> None:
    with Server([camera()], port=0) as server, closing(connected(server)) as client:
        client.sendall(nonsense)
        assert end_of(client).startswith(b"HTTP/1.1 400")
    assert not complaints(caplog)


CHUNKED = b" HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize("request_line", [b"POST /state", b"GET /stream", b"GET /healthz"])
def test_nor_is_a_body_that_is_none(request_line: bytes, caplog: pytest.LogCaptureFixture) -> None:
    with Server([camera()], port=0) as server, closing(connected(server)) as client:
        client.sendall(request_line + CHUNKED + b"no length\r\n")
        assert end_of(client).startswith(b"HTTP/1.1 400")
    assert not complaints(caplog)


@pytest.mark.parametrize("path", [b"/stream", b"/healthz"])
def test_nor_one_that_turns_out_to_be_none_during_the_answer(path: bytes, caplog: pytest.LogCaptureFixture) -> None:
    with Server([camera()], port=0) as server, closing(connected(server)) as client:
        client.sendall(b"GET " + path + CHUNKED)
        assert client.recv(1 << 16).startswith(b"HTTP/1.1 200")
        client.sendall(b"no length\r\n")
        end_of(client)
        assert ask(server, "/healthz").status == 200
    assert not complaints(caplog)


def test_an_upgrade_is_ignored_without_a_word(caplog: pytest.LogCaptureFixture) -> None:
    with Server([camera()], port=0) as server:
        assert ask(server, "/healthz", Connection="Upgrade", Upgrade="websocket").status == 200
    assert not complaints(caplog)
