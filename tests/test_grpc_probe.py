"""What listens at the address of a cluster."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Generator

import pytest

from mjpeg_restore.grpc_probe import check_grpc


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


def test_a_server_that_begins_as_grpc_does() -> None:
    with listening(b"\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x05\x00\x10\x00\x00") as port:
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
