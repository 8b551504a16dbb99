"""RTSP cameras: what they send, what they refuse, and that no password is told."""

from __future__ import annotations

import errno
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Generator
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Literal

import av
import av.error
import pytest
from cameras.access import Access
from cameras.pictures import NumberedPictures, read_number
from cameras.rtsp import AUDIO_TRACK, H264_TRACK, H265_TRACK, JPEG_TRACK, RtspCamera

from mjpeg_restore import rtsp_client
from mjpeg_restore.address import Address
from mjpeg_restore.errors import ConnectionFailed, NotMjpeg, SourceError
from mjpeg_restore.jpeg import read
from mjpeg_restore.sources.live import rtsp, rtsp_redirects
from mjpeg_restore.sources.live.connection import Capture
from mjpeg_restore.sources.live.rtsp import RtspConnection, with_size
from mjpeg_restore.sources.live.settings import LiveSettings
from tests.jpeg.pictures import encode, oracle
from tests.lacking import needs_openssl
from tests.patience import PATIENCE
from tests.sources.live.http_servers import self_signed
from tests.streams import decoded

pytestmark = pytest.mark.network

FAST = 100
QUICK = LiveSettings(stall_timeout=0.3)


def connection(url: str, settings: LiveSettings | None = None) -> RtspConnection:
    return RtspConnection(Address.parse(url), settings)


def captures(camera: RtspCamera, settings: LiveSettings | None = None) -> list[Capture]:
    return list(connection(camera.url, settings).pictures())


def numbers(pictures: list[Capture]) -> list[int | None]:
    return [read_number(decoded(capture.data)[0]) for capture in pictures]


def test_every_picture_is_received_as_it_is_sent() -> None:
    with RtspCamera(fps=FAST, count=5) as camera:
        assert numbers(captures(camera)) == camera.sent == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("q", [1, 50, 51, 99])
def test_tables_that_q_stands_for(q: int) -> None:  # R1
    pictures = NumberedPictures(quality=q)
    with RtspCamera(pictures, fps=FAST, count=1, q=q) as camera:
        assert_same_coefficients(captures(camera)[0].data, pictures.jpeg(0))


@pytest.mark.parametrize("q", [128, 200, 255])
def test_tables_in_band(q: int) -> None:  # R2: of Q below 255 only the first picture has them
    pictures = NumberedPictures(quality=37)
    with RtspCamera(pictures, fps=FAST, count=2, q=q) as camera:
        received = captures(camera)
    assert len(received) == 2
    for number, capture in enumerate(received):
        assert_same_coefficients(capture.data, pictures.jpeg(number))


@pytest.mark.parametrize("sampling", ["4:2:0", "4:2:2"])
@pytest.mark.parametrize("restart_rows", [0, 1])
def test_types(sampling: str, restart_rows: int) -> None:
    pictures = NumberedPictures(sampling=sampling, restart_rows=restart_rows)
    with RtspCamera(pictures, fps=FAST, count=1) as camera:
        assert_same_coefficients(captures(camera)[0].data, pictures.jpeg(0))


def assert_same_coefficients(received: bytes, sent: bytes) -> None:
    ours, (planes, tables) = read(received), oracle(sent)
    for got, expected in zip((*ours.coefficients, *ours.tables), (*planes, *tables), strict=True):
        assert (got == expected).all()


@pytest.mark.parametrize(("size", "stated"), [((2048, 96), (0, 96)), ((2592, 96), (544, 96))])
def test_pictures_that_rtp_has_no_size_for(size: tuple[int, int], stated: tuple[int, int]) -> None:  # R3
    pictures = NumberedPictures(size)
    with RtspCamera(pictures, fps=FAST, count=2) as camera:
        plain, told = captures(camera), captures(camera, LiveSettings(size=size))
    assert {capture.data for capture in told} == {with_size(capture.data, size) for capture in plain}
    assert plain[0].data == with_size(plain[0].data, stated)
    assert numbers(told) == [0, 1]


def test_the_size_of_a_picture() -> None:
    picture = read(with_size(b"foreign" + encode("4:2:0", (64, 48)), (60, 41)))
    assert (picture.width, picture.height) == (60, 41)
    assert with_size(b"no picture", (1, 2)) == b"no picture"


def test_lost_packets_cost_their_pictures_alone() -> None:  # R4
    with RtspCamera(NumberedPictures((320, 240), quality=80), fps=FAST, count=30, loss=0.05) as camera:
        received = numbers(captures(camera))
        assert received == camera.sent
        assert 0 < len(received) < 30


def test_udp() -> None:
    with RtspCamera(fps=FAST) as camera, closing(open_pictures(camera, LiveSettings(rtsp_transport="udp"))) as received:
        assert numbers(list(islice(received, 4))) == [0, 1, 2, 3]
        assert "RTP/AVP/UDP" in next(r for r in camera.requests if r.method == "SETUP").headers["transport"]


def open_pictures(camera: RtspCamera, settings: LiveSettings | None = None) -> Generator[Capture]:
    return connection(camera.url, settings).pictures()


def test_a_picture_is_received_before_the_next_one_is_sent() -> None:
    ready = [threading.Event() for _ in range(4)]

    def jpeg(number: int) -> bytes:
        assert ready[min(number, 3)].wait(PATIENCE)
        return NumberedPictures().jpeg(number)

    with RtspCamera(jpeg, fps=FAST) as camera, closing(open_pictures(camera)) as received:
        for number in range(3):
            ready[number].set()
            assert numbers([next(received)]) == [number]
        ready[3].set()


def test_the_arrival_is_on_the_monotonic_clock() -> None:
    begun = time.monotonic()
    with RtspCamera(fps=FAST, count=3) as camera:
        arrived = [capture.arrived for capture in captures(camera)]
    assert begun < arrived[0] < arrived[1] < arrived[2] < time.monotonic()


@pytest.mark.parametrize("tracks", [AUDIO_TRACK + H264_TRACK + JPEG_TRACK, JPEG_TRACK + H264_TRACK])
def test_the_motion_jpeg_track_among_several(tracks: str) -> None:
    with RtspCamera(fps=FAST, count=5, tracks=tracks) as camera:
        assert numbers(captures(camera)) == [0, 1, 2, 3, 4]
        assert not any(request.target.endswith("track4") for request in camera.requests)  # the audio


@pytest.mark.parametrize(
    ("tracks", "what"),
    [
        (H264_TRACK, "sends H.264, which has no JPEG coefficients to restore: set this stream"),
        (H265_TRACK, r"sends HEVC \(H.265\), which has"),
        (AUDIO_TRACK, "sends no video: set this stream of the camera, or a second one, to MJPEG"),
    ],
)
def test_a_camera_that_sends_something_else(tracks: str, what: str) -> None:
    with RtspCamera(fps=FAST, count=5, tracks=tracks) as camera, pytest.raises(NotMjpeg, match=what):
        captures(camera)


@pytest.mark.parametrize("scheme", ["basic", "digest"])
@pytest.mark.parametrize(("user", "password"), [("admin", "secret"), ("us@er", "p:w/#%?ü")])
def test_a_password(scheme: str, user: str, password: str) -> None:
    access = Access(user, password, scheme)  # pyright: ignore[reportArgumentType]
    with RtspCamera(fps=FAST, count=2, access=access) as camera:
        address = Address.parse(camera.url)
        with_password = Address(
            address.scheme, address.host, address.port, address.path_and_query, user=user, password=password
        )
        assert numbers(list(RtspConnection(with_password).pictures())) == [0, 1]


@pytest.mark.parametrize(
    ("rewrite", "words"),
    [
        (lambda url: url, "asks for a password: give it as rtsp://USER:PASSWORD@HOST/PATH"),
        (lambda url: url.replace("//", "//admin:wrong@"), "refuses the user name or the password"),
        (lambda url: url.replace("//", "//admin:secret@").replace("video", "no"), "no stream of this path"),
    ],
)
def test_refusals_are_told_apart_and_name_no_password(rewrite: Callable[[str], str], words: str) -> None:
    access = Access("admin", "secret", "digest")
    with RtspCamera(access=access) as camera, pytest.raises(SourceError, match=words) as refused:
        list(connection(rewrite(camera.url)).pictures())
    assert type(refused.value) is SourceError
    assert not re.search("admin|secret|wrong", str(refused.value))
    assert refused.value.__suppress_context__ or refused.value.__context__ is None  # FFmpeg's error holds the URL


def moved_from(camera: RtspCamera) -> str:
    return camera.url.replace("//", "//admin:secret@").replace("video", "old")


@pytest.mark.parametrize("scheme", ["basic", "digest"])
def test_redirects_on_the_same_server_keep_the_password(scheme: Literal["basic", "digest"]) -> None:
    with RtspCamera(fps=FAST, count=3, access=Access("admin", "secret", scheme)) as camera:
        camera.moved = camera.url
        assert numbers(list(connection(moved_from(camera)).pictures())) == [0, 1, 2]


def test_redirects_to_a_path_stay_on_the_server() -> None:
    with RtspCamera(fps=FAST, count=3, access=Access("admin", "secret")) as camera:
        camera.moved = "/video"
        assert numbers(list(connection(moved_from(camera)).pictures())) == [0, 1, 2]


def test_a_certificate_of_the_server_that_a_redirect_leads_to(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    def follow(*_: object, **__: object) -> Address:
        return Address.parse("rtsps://127.0.0.1/")

    monkeypatch.setattr(rtsp, "follow_redirects", follow)
    monkeypatch.setattr(av, "open", fail)
    with pytest.raises(SourceError, match="perhaps the certificate is not to be trusted"):
        list(connection("rtsp://admin:secret@127.0.0.1/").pictures())


def test_redirects_to_another_server_do_not_take_the_password_along() -> None:
    with RtspCamera(access=Access("admin", "secret")) as camera, RtspCamera(fps=FAST, count=3) as other:
        camera.moved = other.url
        assert numbers(list(connection(moved_from(camera)).pictures())) == [0, 1, 2]
        assert any("authorization" in request.headers for request in camera.requests)
        assert other.requests and not any("authorization" in request.headers for request in other.requests)


def test_another_server_that_asks_for_the_password_does_not_get_it() -> None:
    with RtspCamera() as camera, RtspCamera(fps=FAST, count=3, access=Access("admin", "secret")) as other:
        camera.moved = other.url
        with pytest.raises(
            SourceError, match=r"redirects to another server, which gets no password; \S+ asks"
        ) as error:
            list(connection(moved_from(camera)).pictures())
        assert type(error.value) is SourceError and "secret" not in str(error.value)
        assert other.requests and not any("authorization" in request.headers for request in other.requests)


@pytest.mark.parametrize(
    ("location", "why"),
    [
        ("file:///etc/passwd", "redirects to file:, which is refused: only rtsp and rtsps are followed"),
        ("http://127.0.0.1/video", "redirects to http:, which is refused"),
        ("", "redirects without saying where to"),
        ("rtsp://:0/", "redirects to an impossible address"),
        (None, "redirects more than 10 times"),
    ],
)
def test_redirects_that_are_refused(location: str | None, why: str) -> None:
    with RtspCamera() as camera:
        camera.moved = camera.url.replace("video", "old") if location is None else location
        with pytest.raises(SourceError, match=why):
            list(connection(moved_from(camera)).pictures())


class SlowSocket(socket.socket):
    """A connection to a camera that takes three seconds of a clock of the test's own for everything."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.allowed: list[float | None] = []

    def monotonic(self) -> float:
        return self.now

    def create_connection(self, address: object, timeout: float) -> SlowSocket:
        self.allowed.append(timeout)
        self.now += 3
        return self

    def sendall(self, *_: object) -> None:
        """Nobody is there."""

    def recv(self, *_: object) -> bytes:
        self.allowed.append(self.gettimeout())
        self.now += 3
        return b"RTSP/1.0 200 OK\r\n\r\n"

    def open(self, url: str, *, options: object, timeout: tuple[float, float]) -> None:
        self.allowed += timeout
        raise av.error.HTTPNotFoundError(0, "not found")


def test_all_that_is_done_to_connect_has_one_timeout_together(monkeypatch: pytest.MonkeyPatch) -> None:
    camera = SlowSocket()
    for module in (rtsp, rtsp_redirects, rtsp_client):
        monkeypatch.setattr(module, "time", camera)
    monkeypatch.setattr(socket, "create_connection", camera.create_connection)
    monkeypatch.setattr(av, "open", camera.open)
    with pytest.raises(SourceError, match="no stream of this path"):
        list(connection("rtsp://admin:secret@127.0.0.1/").pictures())
    assert camera.allowed == [10, 7, 4, 1, 10]  # to connect, for two answers, for FFmpeg, and for each picture


class OccupiedCamera(RtspCamera):
    """Refuses every second connection: it has one place, and has not noticed yet that the client before has gone."""

    def serve(self, connection: socket.socket, number: int) -> None:
        self.statuses = {"DESCRIBE": "453 Not Enough Bandwidth"} if number % 2 == 0 else {}
        super().serve(connection, number)


def test_a_camera_for_one_client_is_given_time_to_notice_that_the_probe_has_gone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rtsp, "_PAUSE", 0, raising=False)
    with OccupiedCamera(fps=FAST, count=3, access=Access("admin", "secret")) as camera:
        assert numbers(list(connection(camera.url.replace("//", "//admin:secret@")).pictures())) == [0, 1, 2]
        assert camera.connections == 3


def test_a_wrong_password_is_told_once() -> None:
    with RtspCamera(access=Access("admin", "secret")) as camera:
        with pytest.raises(SourceError, match="refuses the user name or the password"):
            list(connection(camera.url.replace("//", "//admin:wrong@")).pictures())
        assert sum("authorization" in request.headers for request in camera.requests) == 1


@pytest.mark.parametrize("user", ["", "admin:secret@"])
def test_a_camera_that_never_answers(user: str) -> None:
    words = r"nothing came for 0\.3 s" if user else None
    with RtspCamera(mute=True) as camera, pytest.raises(ConnectionFailed, match=words):
        list(connection(camera.url.replace("//", f"//{user}"), QUICK).pictures())


@needs_openssl
def test_a_certificate_that_is_not_to_be_trusted(tmp_path: Path) -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(self_signed(tmp_path))
    with RtspCamera(fps=FAST, count=3, tls=tls, access=Access("admin", "secret")) as camera:
        url = camera.url.replace("//", "//admin:secret@")
        with pytest.raises(SourceError, match=r"the certificate is not to be trusted .*verify_tls=False"):
            list(connection(url).pictures())
        assert not camera.requests
        assert numbers(list(connection(url, LiveSettings(verify_tls=False)).pictures())) == [0, 1, 2]


def test_nobody_listens() -> None:
    with RtspCamera() as camera:
        url = camera.url.replace("//", "//admin:secret@")
    with pytest.raises(ConnectionFailed, match=r"rtsp://127.0.0.1:\d+/video: no connection \(connection refused\)"):
        list(connection(url).pictures())


def test_an_unknown_host(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(ConnectionFailed, match=r"rtsp://no-such-camera.invalid/: there is no host of this name"):
        list(connection("rtsp://no-such-camera.invalid/").pictures())


@pytest.mark.parametrize("method", ["OPTIONS", "DESCRIBE", "SETUP", "PLAY"])
@pytest.mark.parametrize(
    ("status", "words"),
    [
        ("400 Bad Request", r"the camera refuses the request \(400\)"),
        ("454 Session Not Found", r"the camera refuses the request \(a status from 402 to 499\)"),
        ("503 Service Unavailable", r"the camera cannot send at the moment \(a status from 500 to 599\)"),
        ("nonsense", "the camera does not answer, or not as RTSP"),
        (None, "the camera does not answer, or not as RTSP"),
    ],
)
def test_other_refusals_may_pass(method: str, status: str | None, words: str) -> None:
    with RtspCamera(fps=FAST, count=1) as camera, pytest.raises(ConnectionFailed, match=f"video: {words}$"):
        camera.statuses[method] = status
        captures(camera)


@pytest.mark.parametrize("location", ["", "file:///etc/passwd"])
def test_redirects_that_ffmpeg_cannot_follow(location: str) -> None:
    with RtspCamera() as camera, pytest.raises(ConnectionFailed, match="perhaps the camera redirects"):
        camera.moved = location
        list(connection(camera.url.replace("video", "old")).pictures())


def test_a_server_of_another_kind() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=answer_http, args=(server,))
        thread.start()
        with pytest.raises(ConnectionFailed, match="the camera does not answer, or not as RTSP"):
            list(connection(f"rtsp://127.0.0.1:{server.getsockname()[1]}/").pictures())
        thread.join()


def answer_http(server: socket.socket) -> None:
    client, _ = server.accept()
    with client:
        client.recv(4096)
        client.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")


@pytest.mark.parametrize("number", [0, 3])
def test_a_camera_that_stalls(number: int) -> None:
    with RtspCamera(fps=FAST, stall_at=number) as camera:
        received: list[Capture] = []
        with pytest.raises(ConnectionFailed, match=r"nothing came for 2 s"):
            received.extend(open_pictures(camera, LiveSettings(stall_timeout=2)))
        assert len(received) == number


def test_a_connection_that_breaks() -> None:
    with RtspCamera(fps=FAST, reset_at=3) as camera:
        received: list[Capture] = []
        with pytest.raises(ConnectionFailed, match="the connection broke: Connection reset by peer"):
            received.extend(open_pictures(camera))
        assert numbers(received) == [0, 1, 2]


def test_an_interrupted_connection_ends_with_the_next_picture() -> None:
    with RtspCamera(fps=FAST) as camera:
        attempt = connection(camera.url)
        received = attempt.pictures()
        next(received)
        attempt.interrupt()
        attempt.interrupt()
        assert list(received) == []


def test_a_connection_that_was_interrupted_before_does_not_connect() -> None:
    with RtspCamera() as camera:
        attempt = connection(camera.url)
        attempt.interrupt()
        assert list(attempt.pictures()) == []
        assert camera.connections == 0


def test_ffmpeg_stays_silent(capfd: pytest.CaptureFixture[str]) -> None:
    with RtspCamera(fps=FAST, count=20, loss=0.2, tracks=JPEG_TRACK) as camera:
        captures(camera)
    assert capfd.readouterr() == ("", "")
