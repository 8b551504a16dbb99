"""Streams published at an RTSP server: a faithful one of ours with faults, and FFmpeg's."""

from __future__ import annotations

import base64
import hashlib
import ssl
import subprocess
import threading
import time
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from mjpeg_restore.errors import SinkError
from mjpeg_restore.frames import Frame, Sampling
from mjpeg_restore.sinks import OutputSettings, open_sink, rtsp
from mjpeg_restore.sinks.sdp import h264_description
from tests.lacking import needs_openssl
from tests.patience import PATIENCE, until
from tests.sinks.conftest import flat, noise
from tests.sinks.rtsp_server import RtspServer, decoded, stamps, unescaped

pytestmark = pytest.mark.network
LIVE = OutputSettings(live=True)


def push(url: str, settings: OutputSettings = LIVE, count: int = 5) -> None:
    sink = open_sink(url, settings)
    for index in range(count):
        sink.write(Frame(noise(128, 96, seed=index, index=index)))
    sink.close()


def test_a_server_gets_the_pictures_at_their_times() -> None:
    with RtspServer() as server:
        sink = open_sink(server.url, LIVE)
        pictures = [
            flat(128, 96, Sampling.YUV422, (40 * index, 90, 200), index=index, pts=pts)
            for index, pts in enumerate((0, 1, 2, 5, 6))
        ]
        for picture in pictures:
            sink.write(Frame(picture))
        sink.close()
        (session,) = server.sessions
        until(lambda: session.ended)
        assert [method for method, _, _ in session.requests] == ["ANNOUNCE", "SETUP", "RECORD", "TEARDOWN"]
        assert session.requests[1][2]["transport"] == "RTP/AVP/TCP;unicast;interleaved=0-1;mode=record"
        assert {headers.get("session") for _, _, headers in session.requests[2:]} == {"12"}
        assert stamps(session) == [3600 * step for step in (0, 1, 2, 5, 6)]
        assert max(map(len, session.packets)) <= 1200
        assert session.reports
        frames = decoded(session)
        assert [round(float(frame.to_ndarray(format="gray8").mean())) for frame in frames] == pytest.approx(
            [0, 40, 80, 120, 160], abs=2
        )
        assert {frame.format.name for frame in frames} == {"yuvj420p"}


@pytest.mark.parametrize("transport", ["RTP/AVP/TCP;unicast;interleaved=4-5", "RTP/AVP/TCP;interleaved=255-0;unicast"])
def test_the_server_assigns_the_channels(transport: str) -> None:
    with RtspServer(transport=transport) as server:
        push(server.url)
        (session,) = server.sessions
        until(lambda: session.ended)
        assert len(decoded(session)) == 5 and session.reports


def test_channels_that_do_not_exist_are_refused() -> None:
    with RtspServer(transport="RTP/AVP/TCP;interleaved=256-257") as server:
        sink = open_sink(server.url)
        with pytest.raises(SinkError, match=r"assigns channels that do not exist \(interleaved=256-257\)"):
            sink.write(Frame(flat()))
        sink.discard()


def test_the_description_is_that_of_the_stream() -> None:
    with RtspServer() as server:
        push(server.url)
        (session,) = server.sessions
    line = next(line for line in session.description.splitlines() if line.startswith("a=fmtp:96 "))
    sets = [base64.b64decode(word) for word in line.split("sprop-parameter-sets=")[1].split(";")[0].split(",")]
    assert [unit[0] & 0x1F for unit in sets] == [7, 8]
    assert line.endswith(f"profile-level-id={sets[0][1:4].hex().upper()}")
    sent = b"".join(packet[12:] for packet in session.packets[:3])
    assert sets[0] in sent and sets[1] in sent  # again before the key frame, for those who join later


def test_parameters_without_a_sequence_are_refused() -> None:
    with pytest.raises(ValueError, match="no sequence parameters"):
        h264_description(b"\0\0\0\1\x68\xee")


def test_a_key_frame_comes_every_two_seconds() -> None:
    with RtspServer() as server:
        sink = open_sink(server.url, LIVE)
        for index in range(125):
            sink.write(Frame(flat(index=index)))
        sink.close()
        (session,) = server.sessions
        until(lambda: session.ended)
        keys = [index for index, frame in enumerate(decoded(session)) if frame.key_frame]
    assert keys == [0, 50, 100]


def test_ffmpeg_as_the_server() -> None:
    with RtspServer() as unused:  # a port that is free
        port = unused.port
    received: list[av.VideoFrame] = []

    def listen() -> None:
        url = f"rtsp://127.0.0.1:{port}/cam"
        # Without a time-out FFmpeg 8 multiplies its "none" by 1000, and refuses it.
        with av.open(url, options={"rtsp_flags": "listen", "listen_timeout": "60"}, timeout=60) as container:
            received.extend(container.decode(video=0))

    thread = threading.Thread(target=listen)
    thread.start()
    # A server that is not there yet: the first attempts fail.
    sink = open_sink(f"rtsp://127.0.0.1:{port}/cam", LIVE)
    index = 0
    end = time.monotonic() + PATIENCE
    while index - sink.lost < 30 and time.monotonic() < end:
        sink.write(Frame(flat(128, 96, sample=(4 * (index % 60), 100, 150), index=index)))
        index += 1
        time.sleep(0.01)
    sink.close()
    thread.join(PATIENCE)
    assert len(received) >= 25
    assert received[0].key_frame
    levels = np.array([frame.to_ndarray(format="gray8").mean() for frame in received])
    assert np.allclose(np.diff(levels) % 240, 4, atol=2)


@pytest.mark.parametrize("challenge", ["basic", "digest"])
def test_a_password_is_given_when_the_server_asks(challenge: str) -> None:
    with RtspServer(challenge=challenge) as server:
        url = server.url.replace("://", "://ad%40min:se%3Acret@")
        push(url)
        (session,) = server.sessions
    method, uri, headers = session.requests[-2]
    assert method == "RECORD" and "cret" not in uri
    answer = headers["authorization"]
    if challenge == "basic":
        assert base64.b64decode(answer.removeprefix("Basic ")) == b"ad@min:se:cret"
        return
    found = unescaped(answer)

    def md5(text: str) -> str:
        return hashlib.md5(text.encode()).hexdigest()

    secret = md5("ad@min:cámąs:se:cret")
    assert found["response"] == md5(f"{secret}:{found['nonce']}:{md5(f'RECORD:{server.url}')}")


@pytest.mark.parametrize(
    ("status", "url", "says"),
    [
        ("401 Unauthorized", "rtsp://", "asks for a password"),
        ("401 Unauthorized", "rtsp://u:geheim@", "refuses the user name or the password"),
        ("403 Forbidden", "rtsp://u:geheim@", "may not publish there"),
        ("404 Not Found", "rtsp://u:geheim@", "no stream of this path"),
        ("461 Unsupported Transport", "rtsp://", "none over TCP"),
        ("x", "rtsp://", "no RTSP server"),
    ],
)
def test_what_no_attempt_can_help_is_an_error_at_once(status: str, url: str, says: str) -> None:
    with RtspServer(answers=[status] * 9) as server:
        sink = open_sink(server.url.replace("rtsp://", url), LIVE)
        with pytest.raises(SinkError, match=says) as caught:
            sink.write(Frame(flat()))
        sink.discard()
    assert "geheim" not in str(caught.value)


def test_a_server_that_is_busy_is_asked_again() -> None:
    with RtspServer(answers=["400 Bad Request"]) as server:
        sink = open_sink(server.url, LIVE)
        sink.write(Frame(flat(index=0)))
        assert sink.lost == 1
        index = 1
        while len(server.sessions) < 2 and index < 500:
            sink.write(Frame(flat(index=index)))
            index += 1
            time.sleep(0.01)
        sink.write(Frame(flat(index=index)))
        sink.close()
        until(lambda: server.sessions[1].ended)
        assert decoded(server.sessions[1])


def test_the_same_server_ends_a_recording() -> None:
    with RtspServer(answers=["503 Busy"]) as server:
        sink = open_sink(server.url)
        with pytest.raises(SinkError, match=r"cam: no connection \(the server answers 503 Busy\)"):
            sink.write(Frame(flat()))
        sink.discard()


def test_a_server_that_hangs_up_is_noticed_before_the_next_picture() -> None:
    with RtspServer(hang_up_after=3) as server:
        sink = open_sink(server.url, LIVE)
        index = 0
        while len(server.sessions) < 3 and index < 1000:
            sink.write(Frame(noise(128, 96, seed=index, index=index)))
            index += 1
            time.sleep(0.01)
        sink.discard()
    assert len(server.sessions) == 3 and sink.lost > 0


def test_a_server_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rtsp, "PATIENCE", 0.2)
    with RtspServer(deaf=True) as server:
        sink = open_sink(server.url)
        with pytest.raises(SinkError, match=r"no connection \(timed out\)"):
            sink.write(Frame(flat()))
        sink.discard()


@needs_openssl
def test_a_certificate_that_is_not_to_be_trusted_is_refused(tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    words = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-days", "1"]
    subprocess.run([*words, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with RtspServer(tls=context) as server:
        sink = open_sink(server.url.replace("rtsp:", "rtsps:"), LIVE)
        with pytest.raises(SinkError, match="the certificate is not to be trusted"):
            sink.write(Frame(flat()))
        sink.discard()


@needs_openssl
def test_a_certificate_that_is_trusted_is_accepted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    words = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=127.0.0.1", "-days", "1"]
    names = ["-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run([*words, *names, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with RtspServer(tls=context) as server:
        push(server.url.replace("rtsp:", "rtsps:"))
        (session,) = server.sessions
        until(lambda: session.ended)
        assert len(decoded(session)) == 5


def test_a_recording_is_sent_at_its_own_pace() -> None:
    with RtspServer() as server:
        sink = open_sink(server.url)
        begun = time.monotonic()
        for index in range(4):
            sink.write(Frame(flat(index=index, pts=index, time_base=Fraction(1, 10))))
        assert time.monotonic() - begun >= 0.299
        sink.close()
