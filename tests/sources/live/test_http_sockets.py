"""Connecting: a host with several addresses, of which one does not answer."""

from __future__ import annotations

import socket
import time
from typing import Any

import pytest

from mjpeg_restore.address import Address
from mjpeg_restore.sources.live import http_client
from mjpeg_restore.sources.live.http_client import HttpClient
from tests.sources.live.http_servers import Server, respond


def test_an_address_that_does_not_answer_costs_little(monkeypatch: pytest.MonkeyPatch, jpegs: list[bytes]) -> None:
    """As an IPv6 address without a route: it is simulated by a connection that is never complete."""
    dead = ("127.0.0.1", 1)
    connect = http_client.connect

    def hanging(sock: socket.socket, where: Any, check: Any, seconds: float) -> None:
        if where != dead:
            connect(sock, where, check, seconds)
            return
        time.sleep(seconds)
        raise TimeoutError(110, "Connection timed out")

    monkeypatch.setattr(http_client, "ANOTHER_ADDRESS", 0.2)
    monkeypatch.setattr(http_client, "connect", hanging)
    with Server(lambda request: [respond(jpegs[0])]) as server:
        address = Address.parse(server.url())
        known = (socket.AF_INET, socket.SOCK_STREAM, 0, "")
        found = [(*known, dead), (*known, ("127.0.0.1", address.port))]
        monkeypatch.setattr(http_client, "look_up", lambda *_: found)
        client = HttpClient(address, 30.0)
        began = time.monotonic()
        response = client.get()
        assert response.status == 200
        assert time.monotonic() - began < 10
        response.close()
        client.close()


def test_a_connection_has_a_time() -> None:
    """A listener whose queue is full does not answer."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        waiting = [socket.socket() for _ in range(8)]
        try:
            for sock in waiting:
                sock.setblocking(False)
                sock.connect_ex(listener.getsockname())
            with socket.socket() as sock, pytest.raises(OSError):
                http_client.connect(sock, listener.getsockname(), lambda: None, 0.2)
        finally:
            for sock in waiting:
                sock.close()
