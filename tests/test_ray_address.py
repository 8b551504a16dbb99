"""What listens at the address of a cluster."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Generator
from pathlib import Path

import pytest

from mjpeg_restore import ray_address
from mjpeg_restore.ray_address import asks_for_token, check_grpc, found_address, host_and_port


@contextlib.contextmanager
def listening(answer: bytes | None) -> Generator[int]:
    """A server that answers what it is sent, or never does; its port."""
    ended = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with server.accept()[0] as client:
                with contextlib.suppress(ConnectionResetError):
                    client.recv(100)
                if answer is None:
                    ended.wait(60)
                else:
                    client.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            ended.set()
            thread.join(60)


SETTINGS = b"\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x05\x00\x10\x00\x00"


def headers(fields: bytes, flags: int) -> bytes:
    return bytes([0, 0, len(fields), 1, flags, 0, 0, 0, 1]) + fields


@pytest.mark.parametrize(
    ("answer", "asked"),
    [
        (SETTINGS + headers(b"grpc-message: InvalidAuthToken: missing", 5), True),
        (SETTINGS + headers(b"content-type: application/grpc", 4) + headers(b"grpc-status: 0", 5), False),
        (SETTINGS, None),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", None),
        (b"", None),
    ],
)
def test_whether_a_cluster_asks_for_a_token(answer: bytes, asked: bool | None) -> None:
    with listening(answer) as port:
        assert asks_for_token("127.0.0.1", port, 60) is asked


def test_the_cluster_of_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_address, "_CURRENT", tmp_path / "current")
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    assert found_address() is None
    (tmp_path / "current").write_text("10.0.0.1:6379\n")
    assert found_address() == "10.0.0.1:6379"
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.2:6379")
    assert found_address() == "10.0.0.2:6379"


@pytest.mark.parametrize(
    ("address", "place"),
    [("a:1", ("a", 1)), ("[::1]:65535", ("::1", 65535)), ("auto", None), ("ray://a:1", None), ("", None)],
)
def test_host_and_port(address: str, place: tuple[str, int] | None) -> None:
    assert host_and_port(address) == place


@pytest.mark.parametrize("address", ["a:", "a:65536", "a:b"])
def test_what_is_no_port(address: str) -> None:
    with pytest.raises(ValueError, match="is no port"):
        host_and_port(address)


def test_a_server_that_begins_as_grpc_does() -> None:
    with listening(SETTINGS) as port:
        check_grpc("127.0.0.1", port, 60)


@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"", b"220"])
def test_another_server(answer: bytes) -> None:
    with listening(answer) as port, pytest.raises(OSError, match="something else listens there"):
        check_grpc("127.0.0.1", port, 60)


def test_a_server_that_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    with listening(None) as port, pytest.raises(TimeoutError):
        check_grpc("127.0.0.1", port, 0.2)
    monkeypatch.setenv("RAY_USE_TLS", "1")  # its greeting is another one
    with listening(b"") as port:
        check_grpc("127.0.0.1", port, 60)


def test_nobody() -> None:
    with pytest.raises(ConnectionRefusedError):
        check_grpc("127.0.0.1", 1, 60)
