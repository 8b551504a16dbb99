from __future__ import annotations

import io
import struct
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO, cast

import av
import pytest

from mjpeg_restore.errors import NotMjpeg, SourceError
from mjpeg_restore.jpeg import HeaderWalk
from mjpeg_restore.jpeg.segments import DHT, DQT
from mjpeg_restore.sources import open_source
from tests.jpeg.pictures import encode, patch_frame, without
from tests.lacking import RECORDINGS, needs_recordings
from tests.sources.clips import TICK, MuxClip, add_encoder, add_sound, make_jpeg, pipe, tables_of

CONTAINERS = ("avi", "mov", "mkv", "mp4", "nut")
UNEVEN = [0, 40, 100, 120, 300, 333, 350, 400, 480, 500]


@pytest.mark.parametrize("suffix", CONTAINERS)
def test_packets_are_bit_for_bit_those_of_the_container(mux: MuxClip, jpegs: list[bytes], suffix: str) -> None:
    with open_source(mux(f"clip.{suffix}")) as source:
        packets = list(source)
    assert [packet.data for packet in packets] == jpegs  # H2: no bitstream filter in between
    assert [packet.index for packet in packets] == list(range(10))
    assert [packet.time for packet in packets] == [Fraction(number, 25) for number in range(10)]
    assert source.truncated is None
    assert source.info.origin == "container" and not source.info.live
    assert (source.info.width, source.info.height) == (64, 48)
    assert source.info.fps == 25


@pytest.mark.parametrize("suffix", CONTAINERS)
def test_a_variable_frame_rate_stays_variable(mux: MuxClip, suffix: str) -> None:
    with open_source(mux(f"clip.{suffix}", times=UNEVEN, time_base=TICK)) as source:
        assert [packet.time for packet in source] == [time * TICK for time in UNEVEN]


def test_uneven_avi_states_its_real_number_of_pictures(mux: MuxClip) -> None:
    with open_source(mux("clip.avi", times=UNEVEN, time_base=TICK)) as source:
        assert source.info.frames == 10
        assert source.info.fps == 18  # 9 intervals in half a second, not the 1000 of its time base


@pytest.mark.parametrize("suffix", CONTAINERS)
def test_a_container_through_a_pipe(mux: MuxClip, jpegs: list[bytes], suffix: str) -> None:
    options = {"movflags": "faststart"} if suffix in ("mov", "mp4") else None
    data = mux(f"clip.{suffix}", options=options).read_bytes()
    with open_source(pipe(data)) as source:
        assert [packet.data for packet in source] == jpegs


@pytest.mark.parametrize("suffix", CONTAINERS)
def test_a_container_in_memory(mux: MuxClip, jpegs: list[bytes], suffix: str) -> None:
    with open_source(mux(f"clip.{suffix}").read_bytes()) as source:
        assert [packet.data for packet in source] == jpegs


def test_index_at_the_end_of_a_pipe_is_explained(mux: MuxClip) -> None:
    big = [make_jpeg(number, 1280, 960) for number in range(4)] * 10
    with pytest.raises(SourceError, match="index at the end"):
        list(open_source(pipe(mux("clip.mov", big).read_bytes())))


class Slow:
    """A stream that gives few bytes at a time, and fails after so many of them."""

    def __init__(self, data: bytes, at_once: int, fails_after: int | None = None) -> None:
        self._data, self._at_once, self._fails_after = io.BytesIO(data), at_once, fails_after

    def read(self, size: int = -1, /) -> bytes:
        if self._fails_after is not None and self._data.tell() >= self._fails_after:
            raise OSError(5, "the disk is broken")
        return self._data.read(min(size, self._at_once))


@pytest.mark.parametrize("at_once", [7, 64, 500])
@pytest.mark.parametrize("suffix", ["mov", "mp4"])
def test_an_index_at_the_end_is_explained_however_little_is_read_at_once(
    mux: MuxClip, suffix: str, at_once: int
) -> None:
    pictures = [make_jpeg(number) for number in range(30)]
    with pytest.raises(SourceError, match="index at the end"):
        list(open_source(cast(BinaryIO, Slow(mux(f"clip.{suffix}", pictures).read_bytes(), at_once))))


@pytest.mark.parametrize("suffix", CONTAINERS)
def test_a_stream_that_fails_is_told_by_its_own_error(mux: MuxClip, suffix: str) -> None:
    with pytest.raises(SourceError, match=r"^cannot read the stream: the disk is broken$"):
        open_source(cast(BinaryIO, Slow(mux(f"clip.{suffix}").read_bytes(), 100, fails_after=200)))


@pytest.mark.parametrize("suffix", CONTAINERS)
def test_start_and_duration_cut_and_shift(mux: MuxClip, suffix: str) -> None:
    many = [make_jpeg(number) for number in range(100)]
    path = mux(f"clip.{suffix}", many)
    with open_source(path, start=Fraction(2), duration=Fraction(1)) as source:
        packets = list(source)
    assert [packet.data for packet in packets] == many[50:75]
    assert [packet.time for packet in packets] == [Fraction(number, 25) for number in range(25)]
    assert packets[0].index == 0
    assert source.info.duration == 1
    assert source.truncated is None


@pytest.mark.parametrize("start", [1, 3], ids=["read through", "sought"])
@pytest.mark.parametrize("suffix", CONTAINERS)
def test_q5_a_start_after_the_only_tables_uses_them(mux: MuxClip, suffix: str, start: int) -> None:
    first, *rest = (make_jpeg(number) for number in range(100))
    path = mux(f"clip.{suffix}", [first, *(without(data, DQT) for data in rest)])
    with open_source(path, start=Fraction(start)) as source:
        packets = list(source)
    assert [packet.data for packet in packets] == [without(data, DQT) for data in rest[25 * start - 1 :]]
    assert packets[0].tables == tables_of(first)
    assert not any(packet.tables for packet in packets[1:])


@pytest.mark.parametrize("start", [1, 3], ids=["read through", "sought"])
@pytest.mark.parametrize("suffix", CONTAINERS)
def test_q5_a_start_after_the_only_huffman_tables_uses_them(mux: MuxClip, suffix: str, start: int) -> None:
    pictures = [encode(size=(64, 48), seed=number % 3, optimize=True) for number in range(100)]
    bare = [pictures[0], *(without(data, DHT) for data in pictures[1:])]
    with open_source(mux(f"clip.{suffix}", bare), start=Fraction(start)) as source:
        packets = list(source)
    assert [packet.data for packet in packets] == bare[25 * start :]
    assert packets[0].tables == tables_of(pictures[0])


def test_h1_a_start_in_a_stream_without_huffman_tables_is_sought(mux: MuxClip, monkeypatch: pytest.MonkeyPatch) -> None:
    bare = [without(make_jpeg(number), DHT) for number in range(100)]
    passed: list[bytes] = []
    monkeypatch.setattr(HeaderWalk, "pass_over", lambda walk, data: passed.append(data))
    with open_source(mux("clip.avi", bare), start=Fraction(3)) as source:
        assert [packet.data for packet in source] == bare[75:]
    assert len(passed) < 40  # of 75


@pytest.mark.parametrize("start", [1, 3])
@pytest.mark.parametrize("suffix", CONTAINERS)
def test_q5_the_latest_tables_are_used(mux: MuxClip, suffix: str, start: int) -> None:
    pictures = [without(make_jpeg(number), DQT) for number in range(100)]
    pictures[0], pictures[10] = make_jpeg(0), make_jpeg(10, quality=20)
    with open_source(mux(f"clip.{suffix}", pictures), start=Fraction(start)) as source:
        packets = list(source)
    assert [packet.data for packet in packets] == pictures[25 * start :]
    assert packets[0].tables == tables_of(pictures[10])


def test_p4_tables_of_pictures_without_a_height_are_remembered(mux: MuxClip) -> None:
    pictures = [patch_frame(make_jpeg(number), 1, b"\0\0") for number in range(4)]
    pictures[1:] = [without(data, DQT) for data in pictures[1:]]
    with open_source(mux("clip.avi", pictures), start=Fraction(2, 25)) as source:
        assert [packet.tables for packet in source] == [tables_of(pictures[0]), b""]


def test_a_start_between_two_pictures_of_a_constant_rate_lands_on_zero(mux: MuxClip) -> None:
    with open_source(mux("clip.avi"), start=Fraction("0.13")) as source:
        assert [packet.pts for packet in source] == [0, 1, 2, 3, 4, 5]


def test_a_start_after_the_end_is_an_error(mux: MuxClip) -> None:
    with open_source(mux("clip.mkv"), start=Fraction(9)) as source, pytest.raises(SourceError, match="lasts"):
        list(source)


@pytest.mark.parametrize(
    ("suffix", "sound"), [("avi", "pcm_s16le"), ("mov", "pcm_s16le"), ("mkv", "flac"), ("mp4", "aac")]
)
def test_sound_comes_with_the_pictures(mux: MuxClip, suffix: str, sound: str) -> None:
    path = mux(f"clip.{suffix}", sound=sound)
    with av.open(str(path)) as container:
        expected = [(p.pts, bytes(p)) for p in container.demux(audio=0) if p.size]
    with open_source(path) as source:
        packets = list(source)
        assert len(packets) == 10
        assert [(sound.pts, sound.data) for packet in packets for sound in packet.sound] == expected
        assert source.sound[0].stream.codec_context.name.startswith(sound[:3])


@pytest.mark.parametrize("suffix", ["avi", "mov", "mkv"])
def test_sound_is_cut_and_shifted_like_the_pictures(mux: MuxClip, suffix: str) -> None:
    many = [make_jpeg(number) for number in range(100)]
    path = mux(f"clip.{suffix}", many, sound="pcm_s16le")
    with open_source(path, start=Fraction(2), duration=Fraction(1)) as source:
        packets = list(source)
    assert len(packets) == 25
    heard = [sound for packet in packets for sound in packet.sound]
    (value,) = struct.unpack_from("<h", heard[0].data)
    time, end = heard[0].time, heard[-1].time
    assert time is not None
    assert end is not None
    assert 0 <= time < Fraction(1, 25)
    assert value == 100 * int((2 + time) * 25)  # the sound of this picture
    assert end < 1


@needs_recordings
def test_a_declared_audio_track_without_packets_is_ignored() -> None:
    with open_source(RECORDINGS / "webcam-avi1-no-dht-422.avi") as source:
        assert not source.sound


def test_the_mjpeg_track_is_chosen_and_cover_art_is_not(mux: MuxClip, jpegs: list[bytes]) -> None:
    cover = make_jpeg(99)
    with open_source(mux("clip.mp4", cover=cover)) as source:
        assert [packet.data for packet in source] == jpegs
    other = mux("other.mp4", [b"\x00\x00\x01\xb0" * 50] * 3, codec="mpeg4", cover=cover)
    with pytest.raises(NotMjpeg, match=r"other\.mp4 holds MPEG-4, not Motion-JPEG"):
        open_source(other)


def test_h264_is_named(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    with av.open(str(path), "w") as container:
        stream = add_encoder(container, "libx264", {"preset": "ultrafast"})
        container.mux(stream.encode(av.VideoFrame(64, 48, "yuv420p")))
        container.mux(stream.encode(None))
    with pytest.raises(NotMjpeg, match=r"H\.264, not Motion-JPEG.*coefficients") as caught:
        open_source(path)
    assert "\n" not in str(caught.value)


def test_mjpeg_b_is_refused_with_advice(mux: MuxClip) -> None:
    data = mux("clip.mov").read_bytes()
    path = mux("b.mov")
    path.write_bytes(data.replace(b"jpeg\x00\x00\x00\x00", b"mjpb\x00\x00\x00\x00"))  # S7
    with pytest.raises(NotMjpeg, match="Motion-JPEG B"):
        open_source(path)


def test_avid_avrn_is_refused(mux: MuxClip) -> None:
    path = mux("clip.avi")
    path.write_bytes(path.read_bytes().replace(b"MJPG", b"AVRn"))  # S6
    with pytest.raises(NotMjpeg, match="AVRn"):
        open_source(path)


def test_a_file_with_only_sound_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "sound.wav"
    with av.open(str(path), "w") as container:
        stream = add_sound(container, "pcm_s16le")
        frame = av.AudioFrame(layout="mono", samples=800)
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
    with pytest.raises(NotMjpeg, match="no video track"):
        open_source(path)


def test_empty_and_tiny_packets_are_skipped(mux: MuxClip, jpegs: list[bytes]) -> None:
    remains = b"\xff\xd8\xff\xd9"  # S10
    packets = [jpegs[0], remains, jpegs[1], b"\x00" * 60, jpegs[2]]
    with open_source(mux("clip.mkv", packets)) as source:
        kept = list(source)
    assert [packet.data for packet in kept] == jpegs[:3]
    assert [packet.time for packet in kept] == [Fraction(0), Fraction(2, 25), Fraction(4, 25)]
    assert [packet.index for packet in kept] == [0, 1, 2]


def test_empty_avi_chunks_leave_their_time(mux: MuxClip, jpegs: list[bytes]) -> None:
    times = [0, 1, 5, 6, 7, 8, 9, 10, 11, 12]  # the muxer fills the gap with empty chunks
    with open_source(mux("clip.avi", times=times)) as source:
        assert [packet.pts for packet in source] == times


def test_foreign_bytes_and_two_pictures_in_a_packet_are_kept(mux: MuxClip, jpegs: list[bytes]) -> None:
    packets = [jpegs[0] + b"tail" * 20, b"front" * 20 + jpegs[1], jpegs[2] + jpegs[3]]  # S3, S4, S5
    with open_source(mux("clip.mkv", packets)) as source:
        assert [packet.data for packet in source] == packets


@pytest.mark.parametrize("suffix", ["avi", "mkv"])
def test_a_truncated_container_ends_with_what_was_read(mux: MuxClip, suffix: str) -> None:
    many = [make_jpeg(number) for number in range(100)]
    path = mux(f"clip.{suffix}", many)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 6 // 10])
    with open_source(path) as source:
        packets = list(source)
    assert 40 < len(packets) < 70
    assert [packet.data for packet in packets][:40] == many[:40]
    assert source.truncated is not None
    assert "ends" in source.truncated
    assert "\n" not in source.truncated


def test_an_avi_cut_between_two_pictures_is_truncated(mux: MuxClip) -> None:
    many = [make_jpeg(number) for number in range(100)]
    path = mux("clip.avi", many)
    data = path.read_bytes()
    path.write_bytes(data[: data.index(many[50]) - 8])
    with open_source(path) as source:
        assert len(list(source)) == 50
    assert source.truncated == f"{path} ends after 2.00 s of 4.00 s"


def test_a_container_without_its_index_is_an_error(mux: MuxClip) -> None:
    path = mux("clip.mov")
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(SourceError, match="cut off before its index") as caught:
        open_source(path)
    assert not isinstance(caught.value, NotMjpeg)


def test_a_track_without_a_picture_is_an_error(mux: MuxClip) -> None:
    with (
        open_source(mux("clip.mkv", [b"\x00" * 10])) as source,
        pytest.raises(SourceError, match="single picture"),
    ):
        list(source)


@needs_recordings
def test_the_real_webcam_recording() -> None:
    with open_source(RECORDINGS / "webcam-avi1-no-dht-422.avi") as source:
        packets = list(source)
        assert len(packets) == source.info.frames == 167
    assert all(packet.data.startswith(b"\xff\xd8\xff\xe0\x00\x21AVI1") for packet in packets)  # H2
    assert source.truncated is None
    assert source.info.codec_tag == "MJPG"
