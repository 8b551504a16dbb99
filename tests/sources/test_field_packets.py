"""S6: fields in packets of their own."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import av.error
import numpy as np
import pytest
from PIL import Image

from mjpeg_restore.frames import FieldLayout
from mjpeg_restore.jpeg import HeaderWalk
from mjpeg_restore.sources import open_source
from tests.jpeg.pictures import encode
from tests.sources.clips import add_sound, mux_packet, mux_sound, pipe
from tests.sources.matroska import write_mkv

Mux = Callable[..., Path]
WIDTH, HEIGHT = 160, 128
TICK = Fraction(1, 50)


def field(number: int, polarity: int | None = None, height: int = HEIGHT // 2) -> bytes:
    """A grey field whose brightness depends on its number."""
    buffer = io.BytesIO()
    pixels = np.full((height, WIDTH), 10 * number + 20, np.uint8)
    pixels[::8] += np.arange(WIDTH, dtype=np.uint8) % 5
    Image.fromarray(pixels).save(buffer, "JPEG", quality=90)
    data = buffer.getvalue()
    if polarity is None:
        return data
    return data[:2] + b"\xff\xe0\x00\x10AVI1" + bytes([polarity]) + bytes(9) + data[2:]


FIELDS = [field(number) for number in range(8)]


@pytest.fixture
def capture(tmp_path: Path) -> Mux:
    """`capture("clip.mkv", fields, times)` writes a clip of 50 packets a second."""

    def write(
        name: str,
        fields: Sequence[bytes] = FIELDS,
        times: Sequence[int] | None = None,
        *,
        height: int = HEIGHT,
        base: Fraction = TICK,
        sound: bool = False,
    ) -> Path:
        path = tmp_path / name
        with av.open(str(path), "w") as container:
            video = container.add_mux_stream("mjpeg", rate=round(1 / TICK), width=WIDTH, height=height)
            video.time_base = base
            audio = add_sound(container, "pcm_s16le") if sound else None
            for number, data in enumerate(fields):
                mux_packet(container, video, data, number if times is None else times[number], base)
                if audio is not None and number % 2:
                    mux_sound(container, audio, number // 2)
            if audio is not None:
                container.mux(audio.encode(None))
        return path

    return write


def pairs(*numbers: tuple[int, int]) -> list[bytes]:
    return [FIELDS[first] + FIELDS[second] for first, second in numbers]


WHOLE = pairs((0, 1), (2, 3), (4, 5), (6, 7))


@pytest.mark.parametrize("suffix", ["avi", "mov", "mkv", "mp4", "nut"])
def test_two_packets_are_one_picture(capture: Mux, suffix: str) -> None:
    with open_source(capture(f"clip.{suffix}")) as source:
        packets = list(source)
        info = source.info
    assert [packet.data for packet in packets] == WHOLE
    assert [packet.time for packet in packets] == [Fraction(number, 25) for number in range(4)]
    assert [packet.index for packet in packets] == [0, 1, 2, 3]
    assert (info.fps, info.frames, info.height) == (25, 4, HEIGHT)
    assert source.truncated is None
    assert not source.remarks
    walk = HeaderWalk(info.height, info.codec_tag)
    assert all(len(walk(packet.data).pictures) == 2 for packet in packets)


@pytest.mark.parametrize("suffix", ["avi", "mov", "mkv", "mp4", "nut"])
def test_the_default_field_order_is_ffmpegs(capture: Mux, suffix: str) -> None:
    path = capture(f"clip.{suffix}")
    with av.open(str(path)) as container:
        context = container.streams.video[0].codec_context
        frames: list[av.VideoFrame] = []
        for packet in container.demux(video=0):
            try:
                frames += context.decode(packet)
            except av.error.InvalidDataError:
                assert packet.size  # PyAV's error for a first field alone
    luma = frames[0].to_ndarray(format="gray")
    lower_first = bool(luma[0].mean() > luma[1].mean())  # the second field is brighter
    with open_source(path) as source:
        layout = source.info.fields or FieldLayout()
    assert layout == (FieldLayout("bottom", "bottom") if lower_first else FieldLayout())
    assert lower_first is (suffix in ("avi", "nut"))


@pytest.mark.parametrize("suffix", ["avi", "mkv", "nut"])
def test_through_a_pipe(capture: Mux, suffix: str) -> None:
    with open_source(pipe(capture(f"clip.{suffix}").read_bytes())) as source:
        assert [packet.data for packet in source] == WHOLE


@pytest.mark.parametrize("suffix", ["avi", "mov", "mkv"])
def test_sound_between_the_fields_is_kept(capture: Mux, suffix: str) -> None:
    with open_source(capture(f"clip.{suffix}", sound=True)) as source:
        packets = list(source)
        assert [packet.data for packet in packets] == WHOLE
        assert sum(len(sound.data) for packet in packets for sound in packet.sound) == 4 * 640


@pytest.mark.parametrize("suffix", ["avi", "mov", "mkv"])
@pytest.mark.parametrize("start", ["0.04", "0.05", "2.08"])
def test_a_start_keeps_the_pairs(capture: Mux, suffix: str, start: str) -> None:
    path = capture(f"clip.{suffix}", FIELDS * 20)
    with open_source(path, start=Fraction(start), duration=Fraction(2, 25)) as source:
        packets = list(source)
    numbers = {FIELDS[2 * number] + FIELDS[2 * number + 1]: number for number in range(4)}
    assert [numbers[packet.data] for packet in packets] == {"0.04": [1, 2], "0.05": [2, 3], "2.08": [0, 1]}[start]
    assert packets[1].time - packets[0].time == Fraction(1, 25)


@pytest.mark.parametrize("suffix", ["avi", "mov", "mkv"])
def test_a_single_field_at_the_end_is_used_for_both(capture: Mux, suffix: str) -> None:
    with open_source(capture(f"clip.{suffix}", FIELDS[:7])) as source:
        assert [packet.data for packet in source] == [*WHOLE[:3], FIELDS[6] + FIELDS[6]]
    assert list(source.remarks) == [f"1 field of {source.info.name} has no second field: its lines are used for both"]


@pytest.mark.parametrize("lost", range(2, 6))
@pytest.mark.parametrize("suffix", ["avi", "mov", "mkv"])
def test_a_lost_field_does_not_shift_later_pairs(capture: Mux, suffix: str, lost: int) -> None:
    numbers = [number for number in range(8) if number != lost]
    path = capture(f"clip.{suffix}", [FIELDS[number] for number in numbers], numbers)
    with open_source(path) as source:
        packets = list(source)
    other = lost ^ 1
    expected = list(WHOLE)
    expected[lost // 2] = FIELDS[other] * 2
    assert [packet.data for packet in packets] == expected, [len(packet.data) for packet in packets]
    assert packets[-1].time == Fraction(6, 50)
    assert len(source.remarks) == 1


def test_lost_fields_are_detected_by_polarity_if_not_by_time_stamps(capture: Mux) -> None:
    coded = [field(number, 2 - number % 2) for number in range(12)]  # lower lines first
    kept = [number for number in range(12) if number not in (3, 6)]
    with open_source(capture("clip.mkv", [coded[number] for number in kept])) as source:
        packets = list(source)
    assert [packet.data for packet in packets] == [
        coded[0] + coded[1],
        coded[2] * 2,
        coded[4] + coded[5],
        coded[7] * 2,
        coded[8] + coded[9],
        coded[10] + coded[11],
    ]
    assert source.remarks[0].startswith("2 fields of ")


def test_a_constant_polarity_is_ignored(capture: Mux) -> None:
    coded = [field(number, 1) for number in range(4)]
    with open_source(capture("clip.avi", coded)) as source:
        assert [packet.data for packet in source] == [coded[0] + coded[1], coded[2] + coded[3]]


@pytest.mark.parametrize("broken", [0, 1, 4, 5])
def test_an_unreadable_field_is_replaced_by_the_other(capture: Mux, broken: int) -> None:
    fields = [b"\xff\xd8" + b"garbage!" * 20 if number == broken else data for number, data in enumerate(FIELDS)]
    with open_source(capture("clip.mkv", fields)) as source:
        packets = list(source)
    expected = list(WHOLE)
    expected[broken // 2] = FIELDS[broken ^ 1] * 2
    assert [packet.data for packet in packets] == expected
    assert len(source.remarks) == 1


def test_a_pause_begins_a_new_frame(capture: Mux) -> None:
    times = [0, 20, 40, 60, 80, 3_600_013, 3_600_033, 3_600_053]
    with open_source(capture("clip.mkv", times=times, base=Fraction(1, 1000))) as source:
        packets = list(source)
    assert [packet.data for packet in packets] == [*WHOLE[:2], FIELDS[4] * 2, *pairs((5, 6)), FIELDS[7] * 2]


def test_unsteady_time_stamps_lose_no_field(capture: Mux) -> None:
    times = [0, 21, 39, 62, 80, 110, 118, 142]
    with open_source(capture("clip.mkv", times=times, base=Fraction(1, 1000))) as source:
        assert [packet.data for packet in source] == WHOLE
    times = [0, 1, 40, 41, 80, 81, 120, 121]  # both fields of a frame at nearly the same time
    with open_source(capture("clip.mkv", times=times, base=Fraction(1, 1000))) as source:
        assert [packet.data for packet in source] == WHOLE


def test_frames_between_fields_stay_whole(capture: Mux) -> None:
    frame = field(9, height=HEIGHT)
    fields = [FIELDS[0], FIELDS[1], frame, FIELDS[2] + FIELDS[3], FIELDS[4], frame, FIELDS[6], FIELDS[7]]
    with open_source(capture("clip.mkv", fields)) as source:
        packets = list(source)
    assert [packet.data for packet in packets] == [WHOLE[0], frame, WHOLE[1], FIELDS[4] * 2, frame, WHOLE[3]]


@pytest.mark.parametrize("height", [HEIGHT // 2, 90, 256])
def test_pictures_of_other_heights_are_not_joined(capture: Mux, height: int) -> None:
    with open_source(capture("clip.mkv", height=height)) as source:
        assert [packet.data for packet in source] == FIELDS


def test_486_lines_are_two_fields_padded_to_blocks(capture: Mux) -> None:
    fields = [field(number, height=248) for number in range(4)]
    with open_source(capture("clip.mkv", fields, height=486)) as source:
        assert [packet.data for packet in source] == [fields[0] + fields[1], fields[2] + fields[3]]


@pytest.mark.parametrize("kind", [Path, Path.read_bytes, lambda path: pipe(path.read_bytes())])
@pytest.mark.parametrize("suffix", ["avi", "mkv", "nut"])
def test_pictures_of_half_the_width_are_not_fields(capture: Mux, suffix: str, kind: Callable[[Path], Any]) -> None:
    buffer = io.BytesIO()
    Image.new("L", (WIDTH // 2, HEIGHT // 2), 99).save(buffer, "JPEG")
    path = capture(f"clip.{suffix}", [buffer.getvalue()] * 4)
    with av.open(str(path)) as container:
        assert container.streams.video[0].height == HEIGHT  # FFmpeg takes them for fields of another width
    with open_source(kind(path)) as source:
        assert [packet.data for packet in source] == [buffer.getvalue()] * 4


@pytest.mark.parametrize("wrong", range(1, 8))
@pytest.mark.parametrize("stamp", [37_600_000, 0])
def test_a_wrong_stamp_does_not_shift_later_pairs(tmp_path: Path, wrong: int, stamp: int) -> None:
    fields = [encode("gray", (64, 24), seed) for seed in range(16)]
    blocks = [(1, stamp if number == wrong else 1000 + 20 * number, data) for number, data in enumerate(fields)]
    with open_source(write_mkv(tmp_path / "clip.mkv", blocks, step=20)) as source:
        packets = list(source)
    assert [packet.data for packet in packets] == [fields[n] + fields[n + 1] for n in range(0, 16, 2)]
    steps = [after.time - before.time for before, after in pairwise(packets)]
    assert all(Fraction(1, 50) <= step <= Fraction(3, 50) for step in steps)


@pytest.mark.parametrize("height", [1, 8, 15, 16])
@pytest.mark.parametrize("suffix", ["avi", "mov", "mkv"])
def test_tiny_pictures_are_not_fields(capture: Mux, suffix: str, height: int) -> None:
    pictures = [field(number, height=height) for number in range(8)]
    with open_source(capture(f"clip.{suffix}", pictures, height=height)) as source:
        assert [packet.data for packet in source] == pictures
