"""The client of RTSP: answers that are taken apart, and servers that do not agree on TLS."""

from __future__ import annotations

import socket
import ssl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mjpeg_restore.authorisation import Authorisation
from mjpeg_restore.rtsp_client import RtspClient, take_response, wrap_tls
from tests.patience import PATIENCE

OK = b"RTSP/1.0 200 OK\r\nCSeq: %d\r\n\r\n"


@given(st.lists(st.binary(max_size=60), max_size=6))
def test_any_answer_is_taken_apart_or_waited_for(parts: list[bytes]) -> None:
    received = bytearray(b"".join([*parts, b"\r\n\r\n"]))
    while received:
        before = len(received)
        if take_response(received) is None and len(received) == before:
            break
        assert len(received) <= before


@pytest.mark.parametrize("line", [b"\r\n", b"\n"])
def test_an_answer_behind_packets(line: bytes) -> None:
    received = bytearray(b"$\0\0\2ab" + line.join([b"RTSP/1.0 302 Moved", b"Location: a:b", b"", b"rest"]))
    answer = take_response(received)
    assert answer
    assert (answer.status, answer.reason, answer.first("location"), received) == (302, "Moved", "a:b", b"rest")


def test_the_answer_to_what_was_told_is_skipped_and_any_other_is_accepted() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        client = RtspClient(ours, None, PATIENCE)
        client.send("OPTIONS", "rtsp://cam/")
        theirs.sendall(OK % 1 + b"RTSP/1.0 404 No\r\nCSeq: 7\r\n\r\n")
        assert client.request("DESCRIBE", "rtsp://cam/").status == 404


def test_a_request_of_the_server_is_no_answer() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(b"GET_PARAMETER rtsp://us/ RTSP/1.0\r\nCSeq: 1\r\nContent-Length: 2\r\n\r\nab$\0\0\1x" + OK % 1)
        assert RtspClient(ours, None, PATIENCE).request("DESCRIBE", "rtsp://cam/").status == 200


def test_a_password_is_told_once_and_only_when_asked_for() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(b'RTSP/1.0 401 No\r\nCSeq: 1\r\nWWW-Authenticate: Basic realm="x"\r\n\r\n' * 2)
        assert RtspClient(ours, Authorisation("a", "b"), PATIENCE).request("DESCRIBE", "rtsp://cam/").status == 401
        first, second, rest = theirs.recv(4096).split(b"\r\n\r\n")
    assert b"Authorization" not in first and b"Authorization: Basic YTpi" in second and not rest


def test_what_is_no_rtsp_is_not_read_to_its_end() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.settimeout(PATIENCE)
        theirs.sendall(b"x" * 70_000)
        assert RtspClient(ours, None, PATIENCE).request("DESCRIBE", "rtsp://cam/").status == 0


def test_a_server_without_tls_is_told_in_plain_words() -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        ours.settimeout(PATIENCE)
        theirs.sendall(b"RTSP/1.0 400 Bad Request\r\n\r\n")
        with pytest.raises(ConnectionError) as caught:
            wrap_tls(ours, ssl.create_default_context(), "cam")
    assert str(caught.value) == "the server does not agree on encryption (wrong version number)" and ours.fileno() == -1


def test_a_server_that_does_not_answer_is_not_said_to_refuse_tls() -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        ours.settimeout(0.01)
        with pytest.raises(TimeoutError, match=r"^timed out$"):
            wrap_tls(ours, ssl.create_default_context(), "cam")
    assert ours.fileno() == -1
