"""Cameras and recordings over HTTP, against servers on loopback."""

from __future__ import annotations

import io
import itertools
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from fractions import Fraction
from hashlib import md5
from itertools import islice
from pathlib import Path

import av
import pytest

from mjpeg_restore.address import Address
from mjpeg_restore.errors import ConnectionFailed, NotMjpeg, SourceError
from mjpeg_restore.sources import open_source
from mjpeg_restore.sources.container import ContainerSource
from mjpeg_restore.sources.live.connection import Capture
from mjpeg_restore.sources.live.http import HttpConnection
from mjpeg_restore.sources.live.http_client import HttpClient
from mjpeg_restore.sources.live.settings import LiveSettings
from mjpeg_restore.sources.live.source import LiveSource
from mjpeg_restore.sources.stream import StreamSource
from tests.lacking import needs_openssl
from tests.sources.clips import MuxClip, add_encoder
from tests.sources.live.http_servers import CLOSE, Answer, Request, Server, multipart, respond, self_signed

pytestmark = pytest.mark.network

QUICK = LiveSettings(stall_timeout=5.0)
IMPATIENT = LiveSettings(stall_timeout=0.3)


def receive(url: str, count: int = 1000, settings: LiveSettings = QUICK, fps: int = 50) -> list[Capture]:
    """The first pictures of one connection."""
    connection = HttpConnection(Address.parse(url), settings, Fraction(fps))
    with closing(connection.pictures()) as pictures:
        return list(islice(pictures, count))


def data_of(captures: list[Capture]) -> list[bytes]:
    return [capture.data for capture in captures]


def always(*answer: bytes | float) -> Callable[[Request], Answer]:
    return lambda request: answer


def refusal(url: str, settings: LiveSettings = QUICK) -> SourceError:
    """The error of a connection, in one line without secrets."""
    with pytest.raises(SourceError) as caught:
        receive(url, settings=settings)
    message = str(caught.value)
    assert message.isprintable() and "secret" not in message
    assert not isinstance(caught.value, ConnectionFailed) or message.startswith("http")
    return caught.value


# ---- Streams ----


def test_multipart_stream(jpegs: list[bytes]) -> None:
    with Server(lambda request: multipart(jpegs)) as server:
        before = time.monotonic()
        captures = receive(server.url(), len(jpegs))
        assert data_of(captures) == jpegs
        assert before <= captures[0].arrived <= captures[-1].arrived <= time.monotonic()
        assert server.requests[0].headers["accept-encoding"] == "identity"
        assert server.requests[0].headers["host"] == f"127.0.0.1:{server.port}"


def test_m9_the_end_of_a_stream_ends_the_iteration(jpegs: list[bytes]) -> None:
    chunk = b"--b\r\n\r\n" + jpegs[0]
    head = respond(b"", "200 OK", "multipart/x-mixed-replace", "Transfer-Encoding: chunked", length=False)
    size = f"{len(chunk):x}\r\n".encode()
    endings = {
        "last chunk": [head, size, chunk, b"\r\n", b"0\r\n\r\n"],
        "closed between chunks": [head, size, chunk, b"\r\n", CLOSE],
        "closed without chunks": [*islice(multipart(jpegs), 2), CLOSE],
    }
    for ending, answer in endings.items():
        with Server(always(*answer)) as server:
            assert data_of(receive(server.url())) == jpegs[:1], ending


def test_m9_s2_a_broken_connection_delivers_what_has_arrived(jpegs: list[bytes]) -> None:
    chunk = b"--b\r\n\r\n" + jpegs[0] + jpegs[1][:-50]
    head = respond(b"", "200 OK", "multipart/x-mixed-replace", "Transfer-Encoding: chunked", length=False)
    with Server(always(head, f"{len(chunk):x}\r\n".encode(), chunk, b"\r\nnonsense\r\n")) as server:
        connection = HttpConnection(Address.parse(server.url()), QUICK)
        found: list[bytes] = []
        with pytest.raises(ConnectionFailed, match="the connection broke"), closing(connection.pictures()) as pictures:
            found.extend(capture.data for capture in pictures)
        assert found == [jpegs[0], jpegs[1][:-50]]


def test_m3_an_endless_stream_of_length_0(jpegs: list[bytes]) -> None:
    with Server(always(respond(b"", "200 OK", "multipart/x-mixed-replace"), b"".join(jpegs), 1.0)) as server:
        assert data_of(receive(server.url(), 3)) == jpegs[:3]


def test_bare_pictures_and_sloppy_headers(jpegs: list[bytes]) -> None:
    for head in (
        b"HTTP/1.0 200 OK\n\n",
        b"ICY 200 OK\r\n\r\n",
        b"HTTP/1.1 200\r\nServer:x\r\n: y\r\n\r\n",
        b"\r\nhttp/1.1 200 ok\r\n\r\n",
        b"HTTP 200 OK\r\n\r\n",
        b"",
        b"--frame\r\nContent-Type: image/jpeg\r\n\r\n",
        b"HTTP/9.9 200 OK\r\n\r\n",
        b"HTTP/1.1 203 Non-Authoritative\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
    ):
        with Server(always(head + b"".join(jpegs), CLOSE)) as server:
            assert data_of(receive(server.url())) == jpegs, head


def test_the_cameras_own_time(jpegs: list[bytes]) -> None:
    part = b"--b\r\nX-Timestamp: 5.25\r\n\r\n" + jpegs[0]
    with Server(always(respond(b"", type="multipart/x-mixed-replace", length=False), part, CLOSE)) as server:
        assert receive(server.url())[0].stamp == Fraction("5.25")


def test_a_picture_is_delivered_before_the_next_one_begins(jpegs: list[bytes]) -> None:
    for body in (jpegs[0], f"--b\r\nContent-Length: {len(jpegs[0])}\r\n\r\n".encode() + jpegs[0]):
        with Server(always(respond(length=False), body, 60.0)) as server:
            assert data_of(receive(server.url(), 1)) == jpegs[:1]


# ---- Snapshots ----


def snapshots(jpegs: list[bytes], *headers: str) -> Callable[[Request], Answer]:
    def answer(request: Request) -> Answer:
        yield respond(jpegs[request.number % len(jpegs)], "200 OK", "image/jpeg", *headers)
        if "Connection: close" in headers:
            yield CLOSE

    return answer


def test_snapshots_are_polled_on_one_connection(jpegs: list[bytes]) -> None:
    with Server(snapshots(jpegs)) as server:
        begin = time.monotonic()
        captures = receive(server.url(), 4, fps=20)
        assert data_of(captures) == jpegs[:4]
        assert time.monotonic() - begin > 2.5 / 20
        assert {request.connection for request in server.requests} == {0}


def test_snapshots_on_connections_of_their_own_and_equal_ones(jpegs: list[bytes]) -> None:
    with Server(snapshots(jpegs[:1], "Connection: close")) as server:
        assert data_of(receive(server.url(), 3)) == [jpegs[0]] * 3
        assert len({request.connection for request in server.requests}) == 3


def test_snapshots_without_a_length_and_one_that_is_cut_off(jpegs: list[bytes]) -> None:
    with Server(always(respond(jpegs[0], type="image/jpeg", length=False, version="1.0"), CLOSE)) as server:
        assert data_of(receive(server.url(), 3)) == [jpegs[0]] * 3
    with Server(always(respond(jpegs[0], type="image/jpeg")[:-50], CLOSE)) as server:
        assert data_of(receive(server.url(), 2)) == [jpegs[0][:-50]] * 2


def test_chunked_snapshots(jpegs: list[bytes]) -> None:
    body = f"{len(jpegs[0]):x}\r\n".encode() + jpegs[0] + b"\r\n0\r\n\r\n"
    with Server(
        always(respond(b"", "200 OK", "image/jpeg", "Transfer-Encoding: chunked", length=False) + body)
    ) as server:
        assert data_of(receive(server.url(), 3)) == [jpegs[0]] * 3


def test_a_connection_that_the_server_dropped_meanwhile_is_made_again(jpegs: list[bytes]) -> None:
    def answer(request: Request) -> Answer:
        yield respond(jpegs[0], "200 OK", "image/jpeg")
        yield CLOSE  # without announcing it

    with Server(answer) as server:
        assert len(receive(server.url(), 3)) == 3


def test_a_snapshot_that_is_no_picture_for_a_moment(jpegs: list[bytes]) -> None:
    def answer(request: Request) -> Answer:
        page = b"<html>busy</html>"
        return [respond(page if request.number else jpegs[0], type="image/jpeg")]

    with Server(answer) as server:
        connection = HttpConnection(Address.parse(server.url()), QUICK, Fraction(50))
        found: list[Capture] = []
        with pytest.raises(ConnectionFailed, match="no snapshot at the moment"), closing(connection.pictures()) as got:
            found.extend(got)
        assert data_of(found) == jpegs[:1]


# ---- Authentication ----


def guarded(challenge: str, jpegs: list[bytes], right: Callable[[str], bool]) -> Callable[[Request], Answer]:
    def answer(request: Request) -> Answer:
        if right(request.headers.get("authorization", "")):
            return [respond(jpegs[0], type="image/jpeg")]
        return [respond(b"<html>no</html>", "401 Unauthorized", "text/html", f"WWW-Authenticate: {challenge}")]

    return answer


def test_basic_authentication_after_a_challenge_only(jpegs: list[bytes]) -> None:
    basic = guarded('Basic realm="cam"', jpegs, lambda header: header == "Basic YWRtaW46c2VjcmV0")
    with Server(basic) as server:
        assert len(receive(server.url(user="admin:secret@"), 3)) == 3
        assert ["authorization" in request.headers for request in server.requests] == [False, True, True, True]
        assert {request.connection for request in server.requests} == {0}
        assert "asks for a user name and password" in str(refusal(server.url()))
        assert "refuses the user name and password" in str(refusal(server.url(user="admin:secret2@")))


class Digest:
    """A server's side of digest authentication, whose nonce serves so many times."""

    def __init__(self, uses: int, stale: bool) -> None:
        self.uses, self.stale, self.nonces, self.left = uses, stale, 0, 0

    def __call__(self, jpegs: list[bytes]) -> Callable[[Request], Answer]:
        def answer(request: Request) -> Answer:
            header = request.headers.get("authorization", "")
            given = {
                name.strip(): value.strip('"')
                for name, _, value in (part.partition("=") for part in header.removeprefix("Digest ").split(", "))
            }
            secret, asked = (md5(text.encode()).hexdigest() for text in ("admin:Büro:secret", f"GET:{request.path}"))
            expected = f"{secret}:n{self.nonces}:{given.get('nc')}:{given.get('cnonce')}:auth:{asked}"
            if self.left and given.get("response") == md5(expected.encode()).hexdigest():
                self.left -= 1
                return [respond(jpegs[0], type="image/jpeg")]
            self.nonces, self.left = self.nonces + 1, self.uses
            stale = ", stale=true" if self.stale and header else ""
            challenge = f'WWW-Authenticate: Digest realm="Büro", qop="auth", nonce="n{self.nonces}"{stale}'
            return [respond(b"", "401 Unauthorized", "", 'WWW-Authenticate: Basic realm="x"', challenge)]

        return answer


@pytest.mark.parametrize("stale", [True, False])
def test_digest_authentication_whose_challenge_is_reused_until_it_expires(jpegs: list[bytes], stale: bool) -> None:
    with Server(Digest(2, stale)(jpegs)) as server:
        assert len(receive(server.url("/snap?x=1", user="admin:secret@"), 5)) == 5
        assert len(server.requests) == 5 + 3, "one challenge for each two pictures"
        assert not any("Basic" in request.headers.get("authorization", "") for request in server.requests)


def test_an_endless_demand_for_credentials_ends() -> None:
    always_stale = respond(b"", "401 No", "", 'WWW-Authenticate: Digest realm="r", nonce="n", stale=true')
    with Server(always(always_stale)) as server:
        error = refusal(server.url(user="u:secret@"))  # the password is right by the standard: it may pass
        assert isinstance(error, ConnectionFailed) and "challenges expire" in str(error)
        assert len(server.requests) == 3
    wrong = respond(b"", "401 No", "", 'WWW-Authenticate: Digest realm="r", nonce="n"')
    with Server(always(wrong)) as server:
        assert "refuses the user name" in str(refusal(server.url(user="u:secret@")))
        assert len(server.requests) == 2
    with Server(always(respond(b"", "401 No", "", "WWW-Authenticate: NTLM"))) as server:
        assert "by ntlm" in str(refusal(server.url(user="u:secret@")))


# ---- Redirects and refusals ----


def test_redirects_are_followed_and_credentials_stay_with_their_server(jpegs: list[bytes]) -> None:
    challenge = "WWW-Authenticate: Basic realm=x"
    with Server(lambda request: [respond(b"", "401 No", "", challenge)]) as other:

        def answer(request: Request) -> Answer:
            if request.path == "/video":
                return [respond(b"", "302 Found", "", "Location: /there?a=1")]
            if request.path == "/away":
                return [respond(b"", "307 Away", "", f"Location: {other.url('/x')}")]
            if "authorization" not in request.headers:
                return [respond(b"", "401 No", "", challenge)]
            return [respond(jpegs[0], type="image/jpeg")]

        with Server(answer) as server:
            assert data_of(receive(server.url(user="u:secret@"), 1)) == jpegs[:1]
            assert server.requests[-1].path == "/there?a=1"
            assert "gets no password" in str(refusal(server.url("/away", user="u:secret@")))
            assert not any("authorization" in request.headers for request in other.requests)


@pytest.mark.parametrize(
    ("location", "why"),
    [
        ("file:///etc/passwd", "redirects to file:"),
        ("ftp://127.0.0.1/", "redirects to ftp:"),
        ("javascript:alert(1)", "redirects to javascript:"),
        ("http://[no-address/", "impossible address"),
        ("http://:80/", "impossible address"),
        ("http://a b/", "impossible address"),
        ("/video", "redirects more than 10 times"),
    ],
)
def test_redirects_that_are_refused(location: str, why: str) -> None:
    with Server(always(respond(b"", "301 Moved", "", f"Location: {location}"))) as server:
        error = refusal(server.url())
        assert why in str(error) and not isinstance(error, ConnectionFailed)


@pytest.mark.parametrize(
    ("status", "again", "why"),
    [
        ("403 Forbidden", False, "refuses access (403 Forbidden)"),
        ("404 Not Found", False, "does not exist"),
        ("410 Gone", False, "does not exist"),
        ("400 Bad", False, "refuses the request (400 Bad)"),
        ("503 Busy\x1b[31m", True, "no pictures at the moment (503 Busy?[31m)"),
        ("500 Error", True, "no pictures at the moment"),
        ("429 Slower", True, "no pictures at the moment"),
        ("204 Nothing", True, "no pictures at the moment"),
        ("302 Without Location", True, "no pictures at the moment"),
    ],
)
def test_refusals(status: str, again: bool, why: str) -> None:
    with Server(always(respond(b"<html>", status))) as server:
        error = refusal(server.url("/v?password=secret"))
        assert why in str(error)
        assert isinstance(error, ConnectionFailed) == again


def test_servers_that_are_not_there_or_speak_something_else() -> None:
    with Server(always(b"")) as server:
        gone = server.url()
    for url, why in ((gone, "no connection"), ("http://no-such-host.invalid/", "the host cannot be found")):
        error = refusal(url)
        assert isinstance(error, ConnectionFailed) and why in str(error)
    for answer, why in (
        ([CLOSE], "closes the connection without an answer"),
        ([b"SSH-2.0-OpenSSH_9\r\n"], "does not answer with HTTP, but with 'SSH-2.0-OpenSSH_9'"),
        ([b"\x00\xd8\xff\x00\r\n\r\n"], "does not answer with HTTP"),
        ([b"HTTP/1.1 2000 OK\r\n\r\n"], "does not answer with HTTP"),
        ([b"HTTP/1.1 200 OK\r\n", b"X-A: b\r\n" * 500, CLOSE], "not HTTP"),
        ([b"\r\n" * 9], "does not answer with HTTP"),
    ):
        with Server(always(*answer)) as server:
            error = refusal(server.url())
            assert isinstance(error, ConnectionFailed) and why in str(error)


@pytest.mark.parametrize(
    ("body", "type", "why"),
    [
        (b"<!DOCTYPE html><form>Log in</form>", "text/html", "a web page, perhaps to log in"),
        (b'{"error": 1}', "application/json", "text"),
        (b"\x89PNG\r\n\x1a\n" + bytes(300), "image/png", "a PNG picture"),
        (bytes(range(256)) * 500, "application/octet-stream", "something that is no Motion-JPEG"),
        (b"RIFF" + bytes(500), "video/avi", "a container"),
    ],
)
def test_answers_that_are_no_pictures(body: bytes, type: str, why: str) -> None:
    with Server(always(respond(body, "200 OK", type), 60.0)) as server:
        error = refusal(server.url())
        assert isinstance(error, NotMjpeg) and f"answers with {why}" in str(error)
    with Server(always(respond(body, "200 OK", type, "Content-Encoding: gzip"))) as server:
        assert "compressed with gzip" in str(refusal(server.url()))


# ---- Hostile servers ----


def dripping(first: bytes, again: bytes) -> Callable[[Request], Answer]:
    return lambda request: itertools.chain([first], itertools.cycle([again, 0.01]))


@pytest.mark.parametrize(
    "answer",
    [
        always(60.0),
        dripping(b"H", b""),
        dripping(b"HTTP/1.1 200 OK\r\nX-Slow: ", b"x"),
        dripping(b"HTTP/1.1 200 OK\r\n", b"A: b\r\n"),
        dripping(b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n"),
        dripping(b"HTTP/1.1 401 No\r\nContent-Length: 9000\r\nWWW-Authenticate: Basic\r\n\r\n", b"x"),
    ],
)
def test_a_slow_loris_is_left_in_time(answer: Callable[[Request], Answer]) -> None:
    with Server(answer) as server:
        begin = time.monotonic()
        error = refusal(server.url(user="u:secret@"), IMPATIENT)
        assert time.monotonic() - begin < 30
        assert isinstance(error, ConnectionFailed)


def test_a_silent_server_is_told_of_alike_whichever_clock_is_faster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threading.Timer, "start", lambda self: None)
    with Server(always(60.0)) as server:
        assert "the server does not answer within" in str(refusal(server.url(), IMPATIENT))


def test_header_bombs() -> None:
    def many(request: Request) -> Iterator[bytes]:
        yield b"HTTP/1.1 200 OK\r\n"
        yield from itertools.repeat(b"X-Bomb: boom\r\n" * 1000)

    def long(request: Request) -> Iterator[bytes]:
        yield b"HTTP/1.1 200 OK\r\nX-Bomb: "
        yield from itertools.repeat(b"x" * 10_000)

    for answer in (many, long):
        with Server(answer) as server:
            assert isinstance(error := refusal(server.url()), ConnectionFailed) and "not HTTP" in str(error)


def test_endless_parts_without_a_picture() -> None:
    def answer(request: Request) -> Iterator[bytes]:
        yield respond(type="multipart/x-mixed-replace", length=False)
        yield from itertools.repeat(b"--b\r\nContent-Type: text/plain\r\n\r\nno picture\r\n" * 100)

    with Server(answer) as server:
        assert isinstance(refusal(server.url()), NotMjpeg)


@pytest.mark.parametrize(
    "answer",
    [
        always(60.0),
        dripping(b"HTTP/1.1 200 OK\r\nX-Slow: ", b"x"),
        always(respond(type="multipart/x-mixed-replace", length=False), 60.0),
        always(respond(b"", length=False), b"\xff\xd8\xff", 60.0),
    ],
)
def test_interrupting_wherever_it_waits(answer: Callable[[Request], Answer]) -> None:
    with Server(answer) as server:
        connection = HttpConnection(Address.parse(server.url()), LiveSettings(stall_timeout=60))
        threading.Timer(0.15, connection.interrupt).start()
        begin = time.monotonic()
        assert list(connection.pictures()) == []
        assert time.monotonic() - begin < 30
        connection.interrupt()


def test_interrupting_the_wait_for_the_next_snapshot_and_before_the_start(jpegs: list[bytes]) -> None:
    with Server(snapshots(jpegs)) as server:
        connection = HttpConnection(Address.parse(server.url()), QUICK, Fraction(1, 60))
        pictures = connection.pictures()
        next(pictures)
        threading.Timer(0.15, connection.interrupt).start()
        assert list(pictures) == []
        connection = HttpConnection(Address.parse(server.url()), QUICK)
        connection.interrupt()
        assert list(connection.pictures()) == []


def test_interrupting_while_it_connects() -> None:
    # A full backlog: further connections wait.
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        port = listener.getsockname()[1]
        filling = [socket.socket() for _ in range(4)]
        for sock in filling:
            sock.setblocking(False)
            sock.connect_ex(("127.0.0.1", port))
        try:
            connection = HttpConnection(Address.parse(f"http://127.0.0.1:{port}/"), LiveSettings(stall_timeout=60))
            threading.Timer(0.15, connection.interrupt).start()
            begin = time.monotonic()
            assert list(connection.pictures()) == []
            assert time.monotonic() - begin < 30
        finally:
            for sock in filling:
                sock.close()


# ---- TLS ----


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return self_signed(tmp_path_factory.mktemp("tls"))


@needs_openssl
def test_certificates_are_verified_unless_the_user_says_otherwise(certificate: Path, jpegs: list[bytes]) -> None:
    with Server(lambda request: multipart(jpegs), certificate) as server:
        error = refusal(server.url())
        assert "certificate" in str(error) and "verify_tls=False" in str(error)
        assert not isinstance(error, ConnectionFailed)
        assert data_of(receive(server.url(), 5, LiveSettings(verify_tls=False))) == jpegs[:5]
    with Server(snapshots(jpegs), certificate) as server:
        assert len(receive(server.url(), 3, LiveSettings(verify_tls=False))) == 3
        assert {request.connection for request in server.requests} == {0}


@needs_openssl
def test_redirects_from_https_to_http_are_refused_with_credentials(certificate: Path, jpegs: list[bytes]) -> None:
    insecure = LiveSettings(verify_tls=False)
    with (
        Server(snapshots(jpegs)) as plain,
        Server(always(respond(b"", "302 Found", "", f"Location: {plain.url()}")), certificate) as server,
    ):
        assert "without encryption" in str(refusal(server.url(user="u:secret@"), insecure))
        assert not plain.requests
        assert data_of(receive(server.url(), 1, insecure)) == jpegs[:1]


def test_a_server_without_tls_and_a_handshake_that_never_ends() -> None:
    with Server(always(respond())) as server:
        error = refusal(server.url().replace("http:", "https:"), IMPATIENT)
        assert isinstance(error, ConnectionFailed)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"https://127.0.0.1:{listener.getsockname()[1]}/"
        assert "does not answer within 0.3 s" in str(refusal(url, IMPATIENT))
        connection = HttpConnection(Address.parse(url), LiveSettings(stall_timeout=60))
        threading.Timer(0.15, connection.interrupt).start()
        begin = time.monotonic()
        assert list(connection.pictures()) == []
        assert time.monotonic() - begin < 30


# ---- open_source ----


def read_source(url: str, count: int, **options: object) -> tuple[list[bytes], LiveSource]:
    with open_source(url, **options) as source:  # type: ignore[arg-type]
        assert isinstance(source, LiveSource)
        packets = list(islice((packet for packet in source if not packet.silent), count))
        source.stop()
    return [packet.data for packet in packets], source


def test_t1_t2_t3_a_camera_is_live_and_its_first_picture_is_not_lost(jpegs: list[bytes]) -> None:
    with Server(lambda request: multipart(jpegs, 0.01)) as server:
        found, source = read_source(server.url("/v?pwd=secret", user="admin:secret@"), 3)
        assert found == jpegs[:3]
        assert (source.info.live, source.info.origin, source.info.format) == (True, "arrival", "multipart MJPEG")
        assert source.info.name == server.url("/v?pwd=***")
        assert len(server.requests) == 1, "the first response is used: some cameras accept one client"


def test_a_first_response_that_has_waited_for_long_is_requested_again(
    monkeypatch: pytest.MonkeyPatch, jpegs: list[bytes]
) -> None:
    monkeypatch.setattr("mjpeg_restore.sources.live.http._MAX_AGE", 0.0)
    with Server(lambda request: multipart(jpegs, 0.01)) as server:
        assert read_source(server.url(), 2)[0] == jpegs[:2]
        assert len(server.requests) == 2


def test_an_unused_source_is_closed(jpegs: list[bytes]) -> None:
    with Server(lambda request: multipart(jpegs, 60)) as server:
        open_source(server.url()).close()


def test_what_a_url_holds_is_told_by_its_bytes(jpegs: list[bytes]) -> None:
    stream = b"".join(jpegs)
    cases: list[tuple[bytes, str, str]] = [
        (respond(jpegs[0], type="image/jpeg"), "JPEG snapshots", "image/jpeg"),
        (respond(jpegs[0], type="application/octet-stream"), "JPEG snapshots", "a snapshot of another type"),
        (respond(stream, type="image/jpg", length=False), "JPEG stream", "bare pictures"),
        (respond(b"--b\r\n\r\n" + stream, length=False), "JPEG stream", "multipart without its type"),
    ]
    for response, _, case in cases:
        with Server(always(response, *([] if b"Content-Length" in response else [CLOSE]))) as server:
            found, source = read_source(server.url(), 2, fps=50)
            assert source.info.live and found[0] == jpegs[0], case
    with Server(always(respond(stream, type="video/x-motion-jpeg"))) as server, open_source(server.url()) as source:
        assert isinstance(source, StreamSource) and not source.info.live
        assert [packet.data for packet in source] == jpegs


def test_what_is_longer_than_a_picture_is_a_recording_and_not_read_ahead(
    monkeypatch: pytest.MonkeyPatch, jpegs: list[bytes]
) -> None:
    monkeypatch.setattr("mjpeg_restore.sources.live.http_opening.MAX_PICTURE_BYTES", 1 << 16)
    begin = respond(jpegs[0] + bytes(1 << 18), type="application/octet-stream")[: 1 << 17]
    with Server(always(begin, 60.0)) as server, open_source(server.url()) as source:  # the rest never comes
        assert isinstance(source, StreamSource) and not source.info.live


def test_a_camera_that_is_not_there_yet_is_waited_for(jpegs: list[bytes]) -> None:
    with Server(always(b"")) as server:
        url, port = server.url(), server.port
    with open_source(url, camera=LiveSettings(give_up=20)) as source:
        assert source.info.live
        with Server(lambda request: multipart(jpegs, 0.01), port=port):
            assert next(iter(source)).data == jpegs[0]
            source.stop()


def test_fps_is_the_rate_of_polling(jpegs: list[bytes]) -> None:
    with Server(snapshots(jpegs)) as server:
        begin = time.monotonic()
        found, source = read_source(server.url(), 3, fps=10)
        assert found == jpegs[:3] and source.info.fps == 10
        assert time.monotonic() - begin > 0.15


def test_refusals_at_the_start_are_told_at_once() -> None:
    for response, why in (
        (respond(b"", "404 Not Found"), "does not exist"),
        (respond(b"<html>"), "a web page"),
        (respond(b"\x89PNG\r\n\x1a\n" + bytes(300)), "a PNG picture"),
    ):
        with Server(always(response)) as server, pytest.raises(SourceError, match=why):
            open_source(server.url())
    with pytest.raises(SourceError, match="ftp://h/x is no camera's address"):
        open_source("ftp://user:secret@h/x")


def file_server(data: bytes, ranges: bool) -> Callable[[Request], Answer]:
    def answer(request: Request) -> Answer:
        wanted = request.headers.get("range")
        if ranges and wanted:
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
            return [respond(data[start:], "206 Partial Content", "video/x", "Accept-Ranges: bytes")]
        return [respond(data, "200 OK", "video/x", *(["Accept-Ranges: bytes"] if ranges else []))]

    return answer


@pytest.mark.parametrize("name", ["a.avi", "a.mov", "a.mkv"])
@pytest.mark.parametrize("ranges", [True, False])
def test_containers_are_recordings(mux: MuxClip, jpegs: list[bytes], name: str, ranges: bool) -> None:
    data = mux(name).read_bytes()
    with Server(file_server(data, ranges)) as server, open_source(server.url()) as source:
        assert isinstance(source, ContainerSource) and not source.info.live
        if name == "a.mov" and not ranges:
            with pytest.raises(SourceError, match="cannot be read from a pipe"):
                list(source)
            return
        assert [packet.data for packet in source] == jpegs
        assert source.truncated is None


def test_a_recording_that_stalls_can_be_stopped_and_closed(mux: MuxClip) -> None:
    data = mux("a.mkv", sound=None).read_bytes()

    def answer(request: Request) -> Answer:
        return [respond(data + bytes(1 << 22), type="video/x")[: len(data) // 2], 60.0]

    with Server(answer) as server:
        source = open_source(server.url(), camera=LiveSettings(stall_timeout=60))
        timer = threading.Timer(0.2, source.stop)
        timer.start()
        begin = time.monotonic()
        list(source)
        source.close()
        assert time.monotonic() - begin < 30


@pytest.mark.parametrize("ranges", [True, False])
@pytest.mark.parametrize("sent", [0.05, 0.5])
def test_a_recording_whose_connection_breaks_is_read_up_to_there(
    mux: MuxClip, ranges: bool, sent: float, capfd: pytest.CaptureFixture[str]
) -> None:
    """PyAV would print the traceback of a second error."""
    data = mux("a.mkv", sound=None).read_bytes()
    head = respond(data, "200 OK", "video/x", *(["Accept-Ranges: bytes"] if ranges else []))[: -len(data)]
    with Server(always(head, data[: int(sent * len(data))], 60.0)) as server:
        try:
            with open_source(server.url(), camera=LiveSettings(stall_timeout=2)) as source:
                list(source)
        except SourceError as error:
            assert sent < 0.5 and "fell silent" in str(error)
        else:
            assert sent >= 0.5 and source.truncated and source.truncated.endswith("timed out")
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("sent", [2, 20])
def test_a_recording_that_is_cut_off_after_a_picture_is_not_taken_for_whole(jpegs: list[bytes], sent: int) -> None:
    pictures = list(islice(itertools.cycle(jpegs), 40))
    whole, part = b"".join(pictures), b"".join(pictures[:sent])
    head = respond(whole, type="video/x-motion-jpeg")[: -len(whole)]
    with Server(always(head, part, CLOSE)) as server, open_source(server.url()) as source:
        assert [packet.data for packet in source] == pictures[:sent]
        assert source.truncated and source.truncated.endswith("the connection ended before the file did")


@pytest.mark.parametrize("end", [b"0\r\n\r\n", b"", b"1000\r\n"])
def test_a_chunked_recording_is_whole_with_its_last_chunk(mux: MuxClip, jpegs: list[bytes], end: bytes) -> None:
    data = mux("a.mkv", sound=None).read_bytes()
    head = respond(b"", "200 OK", "video/x", "Transfer-Encoding: chunked", length=False)
    body = f"{len(data):x}\r\n".encode() + data + b"\r\n"
    with Server(always(head, body, end, CLOSE)) as server, open_source(server.url()) as source:
        assert [packet.data for packet in source] == jpegs
        assert (source.truncated is None) == end.startswith(b"0")


def h264(format: str) -> bytes:
    file = io.BytesIO()
    options = {"movflags": "frag_keyframe+empty_moov"} if format == "mp4" else {}
    with av.open(file, "w", format=format, options=options) as container:
        encoder = add_encoder(container, "libx264", {"preset": "ultrafast"})
        for _ in range(50):
            container.mux(encoder.encode(av.VideoFrame(64, 48, "yuv420p")))
        container.mux(encoder.encode(None))
    return file.getvalue()


@pytest.mark.parametrize("format", ["h264", "flv", "mpegts", "mp4"])
def test_h264_is_named(format: str) -> None:
    data = h264(format)

    def endless(request: Request) -> Answer:
        yield respond(type="video/x", length=False, version="1.0")
        yield data
        yield CLOSE

    with Server(endless) as server, pytest.raises(NotMjpeg, match=r"holds H\.264, not Motion-JPEG"):
        open_source(server.url())
    with Server(endless) as server:
        assert isinstance(refusal(server.url()), NotMjpeg), "also when a camera comes back with it"


def test_a_client_can_be_interrupted_before_it_begins() -> None:
    client = HttpClient(Address.parse("http://127.0.0.1:9/"), 1)
    client.interrupt()
    with pytest.raises(ConnectionFailed, match="interrupted"):
        client.get()
