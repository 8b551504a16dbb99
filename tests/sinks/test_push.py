"""Streams to another program: what is sent, at what pace, and what becomes of a connection that breaks."""

from __future__ import annotations

import itertools
import logging
import socket
import threading
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import pytest

from mjpeg_restore import retries
from mjpeg_restore.address import Address
from mjpeg_restore.errors import SinkError
from mjpeg_restore.frames import Frame, Sampling
from mjpeg_restore.sinks import OutputSettings, Push, links, open_sink, pace
from mjpeg_restore.sinks.links import Link, TcpLink, UdpLink
from mjpeg_restore.sinks.pace import Pace
from mjpeg_restore.sinks.rtsp import RtspLink
from tests.patience import PATIENCE
from tests.sinks.conftest import flat, sound_of
from tests.sinks.test_audio import record

LIVE = OutputSettings(live=True)


class Clock:
    """In place of the module `time`: nobody waits."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(round(seconds, 3))
        self.now += seconds


class FakeLink(Link):
    """A peer in memory."""

    def __init__(self, connects: Callable[[int], None] = lambda number: None) -> None:
        self.name = "tcp://peer:1"
        self.streams: list[bytearray] = []
        self.broken: Exception | None = None
        self.closings = 0
        self._connects = connects

    def connect(self) -> None:
        self._connects(len(self.streams))
        self.broken = None
        self.streams.append(bytearray())

    def write(self, data: bytes) -> int:
        if self.broken:
            raise self.broken
        self.streams[-1] += data
        return len(data)

    def close(self) -> None:
        self.broken = ConnectionError("closed")
        self.closings += 1


class RtpLink(FakeLink):
    """A peer that takes RTP, by FFmpeg's muxer.

    Attributes:
        sent: RTP times in seconds: of the first packet of each connection, and of the report before it.
    """

    format = "rtp"
    options = RtspLink.options
    sound = False

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[tuple[float, float]] = []
        self._report: float | None = None

    def write(self, data: bytes) -> int:
        if data[1] == 200:  # a sender report
            self._report = int.from_bytes(data[16:20], "big") / 90_000
        elif self._report is not None and len(self.sent) < len(self.streams):
            self.sent.append((int.from_bytes(data[4:8], "big") / 90_000, self._report))
        return super().write(data)


def use_clock(monkeypatch: pytest.MonkeyPatch, *modules: object) -> Clock:
    clock = Clock()
    for module in modules:
        monkeypatch.setattr(module, "time", clock)
    return clock


def decoded(data: bytes | bytearray, path: Path) -> list[av.VideoFrame]:
    path.write_bytes(data)
    with av.open(str(path)) as container:
        return list(container.decode(video=0))


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def test_a_stream_is_420_without_delay(tmp_path: Path) -> None:
    link = FakeLink()
    sink = Push(link, LIVE)
    for index in range(5):
        sink.write(Frame(flat(128, 96, Sampling.YUV422, index=index)))
        before = len(link.streams[0])
        assert before % 188 == 0 and before > 188 * index  # each picture is sent at once
    sink.close()
    frames = decoded(link.streams[0], tmp_path / "a.ts")
    assert len(frames) == 5
    assert {frame.format.name for frame in frames} == {"yuvj420p"}
    assert sink.lost == 0 and sink.remark is None


def test_a_connection_that_breaks_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "mjpeg_restore")
    clock = use_clock(monkeypatch, retries)
    link = FakeLink()
    sink = Push(link, LIVE)
    for index in range(20):
        if index == 5:
            link.broken = BrokenPipeError(32, "Broken pipe")
        sink.write(Frame(flat(index=index)))
        clock.now += 0.04
    sink.close()
    first, second = (decoded(data, tmp_path / "a.ts") for data in link.streams)
    assert sink.lost == 20 - 5 - len(second)
    assert len(first) == 5 and second[0].key_frame
    # Times go on: those of the second connection are those of the recording.
    gap = Fraction((second[0].pts or 0) - (first[0].pts or 0), 90_000)
    assert gap == Fraction(20 - len(second), 25)
    assert [record.__dict__["event"] for record in caplog.records] == [
        "output_connected",
        "output_reconnecting",
        "output_connected",
    ]
    assert "the connection broke (Broken pipe); connecting again" in caplog.text
    assert f"connected again; {sink.lost} pictures are lost so far" in caplog.text


def test_reports_of_rtp_fit_the_pictures_of_each_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, link = use_clock(monkeypatch, retries), RtpLink()
    sink = Push(link, LIVE)
    for index in range(250):
        if index == 5:
            link.broken = BrokenPipeError(32, "Broken pipe")
        sink.write(Frame(flat(index=index, pts=25 * 3600 * (index + 1))))  # the first connection comes late, too
        clock.now += 0.04
    sink.close()
    assert len(link.sent) == len(link.streams) == 2
    for packet, report in link.sent:
        assert (packet - report + 2**31 / 90_000) % (2**32 / 90_000) - 2**31 / 90_000 == pytest.approx(0, abs=60)


def test_a_server_that_is_not_there_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = use_clock(monkeypatch, retries)
    tries: list[float] = []

    def refuse(number: int) -> None:
        tries.append(clock.now)
        if len(tries) < 5:
            raise ConnectionRefusedError(111, "Connection refused")

    link = FakeLink(refuse)
    sink = Push(link, LIVE)
    for index in range(200):
        sink.write(Frame(flat(index=index)))
        clock.now += 0.04
    sink.close()
    assert 0 < sink.lost < 100 and len(tries) == 5
    assert all(0.12 <= after - before <= 2 for before, after in itertools.pairwise(tries))


def test_a_server_that_never_came_is_an_error_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(number: int) -> None:
        raise ConnectionRefusedError(111, "Connection refused")

    sink = Push(FakeLink(refuse), LIVE)
    sink.write(Frame(flat()))
    with pytest.raises(SinkError, match=r"^tcp://peer:1: no connection \(Connection refused\)$"):
        sink.close()


def test_what_breaks_a_recordings_connection_is_an_error() -> None:
    link = FakeLink()
    sink = Push(link, paced=False)
    sink.write(Frame(flat()))
    link.broken = TimeoutError("timed out")
    with pytest.raises(SinkError, match=r"^tcp://peer:1: the connection broke \(timed out\)$"):
        sink.write(Frame(flat(index=1)))
    sink.discard()


def test_what_no_attempt_can_help_is_an_error_only_before_the_first_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = use_clock(monkeypatch, retries)

    def refuse(number: int) -> None:
        if number == refused:
            raise SinkError("the password is wrong")

    refused = 0
    with pytest.raises(SinkError, match="the password is wrong"):
        Push(FakeLink(refuse), LIVE).write(Frame(flat()))
    refused = 1
    link = FakeLink(refuse)
    sink = Push(link, LIVE)
    sink.write(Frame(flat()))
    link.broken = ConnectionError("gone")
    for index in range(1, 9):
        sink.write(Frame(flat(index=index)))
        clock.now += 1
    refused = -1
    clock.now += 10
    sink.write(Frame(flat(index=9)))
    assert len(link.streams) == 2
    sink.close()


def test_a_server_that_accepts_and_hangs_up_is_called_less_and_less(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    clock = use_clock(monkeypatch, retries)
    link = FakeLink()
    sink = Push(link, LIVE)
    while clock.now < 1600:
        sink.write(Frame(flat(index=round(clock.now * 25))))
        link.broken = BrokenPipeError(32, "Broken pipe")
        clock.now += 0.5
    sink.discard()
    assert 60 < len(link.streams) < 150
    assert len(caplog.records) <= 3


def test_codecs_that_a_peer_does_not_take_are_refused() -> None:
    for codec in ("libvpx-vp9", "libsvtav1"):
        with pytest.raises(SinkError, match=f"takes h264 or hevc, not {codec}: leave codec out"):
            Push(FakeLink(), OutputSettings(codec=codec))


def test_hevc_is_sent_where_it_is_taken(tmp_path: Path) -> None:
    link = FakeLink()
    sink = Push(link, OutputSettings(codec="hevc", live=True))
    for index in range(3):
        sink.write(Frame(flat(index=index)))
    sink.close()
    assert len(decoded(link.streams[0], tmp_path / "a.ts")) == 3


def test_sound_is_sent_from_its_beginning(tmp_path: Path) -> None:
    with av.open(str(record(tmp_path / "a.wav", "pcm_s16le"))) as container:
        track, packets = sound_of(container)
        link = FakeLink()
        sink = Push(link, LIVE, [track])
        for index in range(25):
            if index < len(packets):
                sink.write_sound(packets[index])
            sink.write(Frame(flat(index=index)))
        sink.close()
    (tmp_path / "a.ts").write_bytes(link.streams[0])
    with av.open(str(tmp_path / "a.ts")) as written:
        sound, video = written.streams.audio[0], written.streams.video[0]
        assert sound.codec_context.name == "aac"
        assert abs((sound.start_time or 0) - (video.start_time or 0)) < 90_000 / 20


def test_a_recording_keeps_its_pace_and_a_long_pause_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = use_clock(monkeypatch, pace)
    found = Pace()
    for moment in ("3", "3.5", "4", "3604", "3604.5"):
        found.wait(Fraction(moment))
    assert clock.slept == [0.5, 0.5, 5, 0.5]
    assert found.skipped == 3595
    clock.now += 20  # the machine slept: no rush follows
    found.wait(Fraction("3605"))
    found.wait(Fraction("3605.5"))
    assert clock.slept == [0.5, 0.5, 5, 0.5, 0.5]


def test_the_time_stamps_have_no_long_pause(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_clock(monkeypatch, pace)
    link = FakeLink()
    sink = Push(link)
    for index, pts in enumerate((0, 25, 250_000, 250_025)):
        sink.write(Frame(flat(index=index, pts=pts)))
    sink.close()
    stamps = [frame.pts or 0 for frame in decoded(link.streams[0], tmp_path / "a.ts")]
    assert [stamp - stamps[0] for stamp in stamps] == [0, 90_000, 6 * 90_000, 7 * 90_000]


@pytest.mark.network
def test_tcp_to_a_program_that_listens() -> None:
    port = free_port()
    received: list[int] = []

    def listen() -> None:
        with av.open(f"tcp://127.0.0.1:{port}?listen=1", format="mpegts", timeout=60) as container:
            received.extend(frame.width for frame in container.decode(video=0))

    thread = threading.Thread(target=listen)
    thread.start()
    sink = open_sink(f"tcp://127.0.0.1:{port}", LIVE)
    index, end = 0, time.monotonic() + PATIENCE
    while index - sink.lost < 40 and time.monotonic() < end:
        sink.write(Frame(flat(index=index)))
        index += 1
        time.sleep(0.01)
    sink.close()
    thread.join(PATIENCE)
    assert received == [128] * 40


@pytest.mark.network
def test_udp_comes_in_packets_of_mpegts() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(PATIENCE)
        sink = open_sink(f"udp://127.0.0.1:{receiver.getsockname()[1]}", LIVE)
        for index in range(3):
            sink.write(Frame(flat(index=index)))
        sink.close()
        first = receiver.recv(65536)
    assert len(first) <= 1316 and len(first) % 188 == 0 and first[0] == 0x47
    assert sink.lost == 0


@pytest.mark.network
def test_nobody_needs_to_hear_udp() -> None:
    sink = Push(UdpLink(Address.parse(f"udp://127.0.0.1:{free_port()}", {"udp": 0})), LIVE)
    for index in range(20):
        sink.write(Frame(flat(index=index)))
    sink.close()
    assert sink.lost == 0


@pytest.mark.network
def test_a_peer_that_never_reads_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(links, "PATIENCE", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        link = TcpLink(Address.parse(f"tcp://127.0.0.1:{deaf.getsockname()[1]}", {"tcp": 0}))
        link.connect()
        with pytest.raises(TimeoutError):
            for _ in range(1000):
                link.write(bytes(1 << 20))
        link.close()
        with pytest.raises(ConnectionError):
            link.write(b"x")


@pytest.mark.parametrize("url", ["tcp://h:1/x", "udp://h:1?pkt_size=1316"])
def test_what_has_no_effect_in_a_url_is_refused(url: str) -> None:
    with pytest.raises(SinkError, match="host and port are enough"):
        open_sink(url)


@pytest.mark.parametrize("url", ["tcp://h", "tcp://", "rtsp://h:x/", "udp://u:geheim@h:99999"])
def test_malformed_urls_are_sink_errors_without_passwords(url: str) -> None:
    with pytest.raises(SinkError) as caught:
        open_sink(url)
    assert "geheim" not in str(caught.value)


def test_other_urls_are_left_to_ffmpeg() -> None:
    with pytest.raises(SinkError, match=r"ffmpeg -i - -c copy -f FORMAT rtmp://") as caught:
        open_sink("rtmp://a.example/live2/secret-key")
    assert "secret" not in str(caught.value)
