"""The server's beginning and end."""

from __future__ import annotations

import re
import socket
import sys
import threading
from contextlib import closing
from urllib.parse import urlsplit

import pytest

from mjpeg_restore.errors import MissingExtra, SinkError
from mjpeg_restore.pipeline import run
from mjpeg_restore.testing import ListSource
from tests.patience import until
from tests.serve.clients import Server, ask, connect, parts, shade, streaming
from tests.serve.served import camera, write
from tests.serve.test_slow_clients import deaf
from tests.streams import DECODE, still

pytestmark = pytest.mark.network


def test_a_port_that_is_taken_is_one_sentence() -> None:
    with Server(port=0) as first, pytest.raises(SinkError) as caught:
        Server(port=urlsplit(first.url).port or 0)
    assert str(caught.value).startswith("cannot serve on 127.0.0.1, port ")
    assert "in use" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("host", "port"), [("203.0.113.7", 0), ("\x00", 0)])
def test_an_address_that_is_not_here_is_one_sentence(host: str, port: int) -> None:
    with pytest.raises(SinkError, match=f"^cannot serve on {re.escape(host)}, port {port} "):
        Server(host=host, port=port)


def test_a_port_has_sixteen_bits() -> None:
    with pytest.raises(ValueError, match="port 70000"):
        Server(port=70000)


def test_the_port_is_free_again_at_once() -> None:
    with Server(port=0) as first:
        port = urlsplit(first.url).port or 0
        write(door := camera())
        first.add(door)
        until(lambda: ask(first, "/state").status == 200)
        with streaming(first, "/stream") as response:
            next(parts(response))
            first.close()
    with Server(port=port) as second:
        assert ask(second, "/cameras").json == []


def test_it_stops_with_all_kinds_of_clients() -> None:
    door = camera()
    write(door)
    server = Server([door], port=0)
    with (
        closing(connect(server)) as idle,
        closing(deaf(server, "/stream")),
        closing(socket.create_connection((urlsplit(server.url).hostname, urlsplit(server.url).port))) as silent,
        streaming(server, "/stream") as stream,
        streaming(server, "/pairs") as pairs,
    ):
        idle.request("GET", "/state")
        idle.getresponse().read()
        silent.sendall(b"GET / HT")
        pictures = parts(stream)
        next(pictures)
        server.close()
        assert list(pictures) == []  # an end, and no broken connection
        assert pairs.read()
    assert not [thread for thread in threading.enumerate() if thread.name == "serve"]
    write(door)
    server.close()
    server.add(door)


def test_a_server_that_is_closed_asks_for_no_originals() -> None:
    door = camera()
    write(door)
    with Server([door], port=0) as server, streaming(server, "/pairs"):
        until(lambda: door.sink.original)
        server.close()
        assert not door.sink.original


def test_ipv6_and_its_address(monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        server = Server(host="::1", port=0)
    except SinkError:
        pytest.skip("needs IPv6")
    with server:
        assert server.url.startswith("http://[::1]:")
        assert server.remark is None
        assert ask(server, "/cameras").json == []


def test_without_its_packages_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    monkeypatch.delitem(sys.modules, "mjpeg_restore.serve.server")
    with pytest.raises(MissingExtra, match=r"serving pictures needs uvicorn: .*mjpeg-restore\[serve\]"):
        __import__("mjpeg_restore.serve.server")


def test_a_run_is_served() -> None:
    door = camera()
    with Server([door], port=0) as server:
        run(ListSource([still(seed) for seed in range(3)]), DECODE, door.sink)
        assert ask(server, "/state").json["state"] == "ended"
        assert shade(ask(server, "/snapshot").body) >= 0
