from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from fractions import Fraction
from pathlib import Path

import av
import pytest

from mjpeg_restore.errors import SourceError
from mjpeg_restore.frames import Packet
from mjpeg_restore.jpeg.segments import DQT
from mjpeg_restore.sources import Source, open_source
from tests.jpeg.pictures import without
from tests.sources.clips import TICK, MuxClip, make_jpeg, pipe, tables_of, time_of
from tests.sources.edits import with_edits
from tests.sources.matroska import loud, write_mkv

STEP = 100
TENTH = Fraction(1, 10)


def even(first: int, count: int) -> list[int]:
    return [first + STEP * number for number in range(count)]


def blocks(jpegs: list[bytes], times: Iterable[int]) -> list[tuple[int, int, bytes]]:
    return [(1, time, jpegs[number % len(jpegs)]) for number, time in enumerate(times)]


def milliseconds(packets: Iterable[Packet]) -> list[Fraction]:
    return [1000 * packet.time for packet in packets]


STAMPS = {
    "one ahead": ([*even(0, 8), 37_600_800, *even(900, 8)], even(0, 17), "1 time stamp changed"),
    "the first is ahead": ([37_600_000, *even(100, 8)], even(0, 9), "1 time stamp changed"),
    "one behind": ([*even(370_000, 8), 0, *even(370_900, 8)], even(370_000, 17), "1 time stamp changed"),
    "zeros": ([*even(0, 8), 0, 0, 0, *even(1100, 6)], even(0, 17), "3 time stamps changed"),
    "restarts": ([*even(0, 12), *even(0, 12)], even(0, 24), "12 time stamps changed"),
    "steps back": ([*even(0, 12), *even(700, 12)], even(0, 24), "12 time stamps changed"),
}


@pytest.mark.parametrize("piped", [False, True])
@pytest.mark.parametrize("name", STAMPS)
def test_impossible_stamps_are_corrected(tmp_path: Path, jpegs: list[bytes], name: str, piped: bool) -> None:
    stamps, right, remark = STAMPS[name]
    path = write_mkv(tmp_path / "a.mkv", blocks(jpegs, stamps), duration=max(stamps) + STEP)
    with open_source(pipe(path.read_bytes()) if piped else path) as source:
        packets = list(source)
    assert milliseconds(packets) == right
    assert [packet.data for packet in packets] == [jpegs[number % 10] for number in range(len(right))]
    assert not any(packet.discontinuity for packet in packets)
    assert len(source.remarks) == 1
    assert source.remarks[0].startswith(remark)
    assert source.truncated is None


@pytest.mark.parametrize("times", [[*even(0, 8), *even(3_600_800, 8)], [0, 40, 100, 2000, 2033, 9000, 9001, 9500]])
def test_pauses_and_irregular_rates_are_kept(tmp_path: Path, jpegs: list[bytes], times: list[int]) -> None:
    with open_source(write_mkv(tmp_path / "a.mkv", blocks(jpegs, times))) as source:
        assert milliseconds(source) == times
    assert not source.remarks


@pytest.mark.parametrize("lead", [-5, 0, 5])
@pytest.mark.parametrize(
    "clock",
    [
        lambda n: STEP * (n % 12),
        lambda n: STEP * (n % 8),
        lambda n: 370_000 + STEP * n if n < 12 else STEP * (n - 12),
        lambda n: STEP * n if n < 12 else STEP * n - 700,
        lambda n: STEP * n if n != 8 else 37_600_800,
        lambda n: 370_000 + STEP * n,
    ],
)
def test_sound_stays_in_sync_with_the_pictures(
    tmp_path: Path, jpegs: list[bytes], clock: Callable[[int], int], lead: int
) -> None:
    """The level of each tenth of a second of sound identifies its picture; it is stored `lead` pictures earlier."""
    pictures = blocks(jpegs, map(clock, range(24)))
    sound = [(2, clock(n), loud(TENTH, 100 + n)) for n in range(24)]
    mixed = sorted(((n, block) for n, block in enumerate(pictures)), key=lambda entry: entry[0])
    mixed += [(n - lead, block) for n, block in enumerate(sound)]
    mixed.sort(key=lambda entry: entry[0])
    path = write_mkv(tmp_path / "a.mkv", [block for _, block in mixed], sound=True)
    with open_source(path) as source:
        packets = list(source)
    times = milliseconds(packets)
    assert times == even(int(times[0]), 24)
    sounds = [sound for packet in packets for sound in packet.sound]
    heard = {int.from_bytes(sound.data[:2], "little") - 100: sound.pts for sound in sounds}
    assert heard == dict(enumerate(times))
    assert source.truncated is None  # FFmpeg estimates a duration by the bit rate of the sound


def test_sound_without_time_stamps_is_timed_by_its_length(tmp_path: Path, jpegs: list[bytes]) -> None:
    both = [block for n in range(12) for block in (*blocks(jpegs, [STEP * n]), (2, 0, loud(TENTH)))]
    with open_source(write_mkv(tmp_path / "a.mkv", both, sound=True)) as source:
        assert [sound.pts for packet in source for sound in packet.sound] == even(0, 12)


@pytest.mark.parametrize(("start", "duration"), [("1.5", "0.5"), ("0.3", "2")])
def test_a_cut_uses_corrected_times(tmp_path: Path, jpegs: list[bytes], start: str, duration: str) -> None:
    path = write_mkv(tmp_path / "a.mkv", blocks(jpegs, [9_000_000, *even(100, 11), *even(0, 12)]))
    with open_source(path, start=Fraction(start), duration=Fraction(duration)) as source:
        packets = list(source)
    first, count = int(Fraction(start) * 10), int(Fraction(duration) * 10)
    assert milliseconds(packets) == even(0, count)
    assert [packet.data for packet in packets] == [jpegs[number % 10] for number in range(first, first + count)]


LATE = [370, 36_000, 1_760_000_000]


@pytest.mark.parametrize("suffix", ["mkv", "nut", "mov", "mp4"])
@pytest.mark.parametrize("seconds", LATE)
def test_a_recording_that_begins_late_is_not_truncated(mux: MuxClip, seconds: int, suffix: str) -> None:
    times = even(1000 * seconds, 10)
    with open_source(mux(f"a.{suffix}", times=times, time_base=TICK)) as source:
        assert milliseconds(source) == times
        assert source.info.duration is not None
        assert source.info.duration < 2
    assert source.truncated is None
    assert not source.remarks


def test_asf_states_its_end_as_duration(mux: MuxClip) -> None:
    times = even(370_000, 10)
    with open_source(mux("a.asf", times=times, time_base=TICK)) as source:
        assert milliseconds(source) == times
        assert source.info.duration is not None
        assert source.info.duration < 2
    assert source.truncated is None


@pytest.mark.parametrize("begin", LATE)
@pytest.mark.parametrize("from_zero", [True, False])
def test_a_late_recording_that_breaks_off_is_truncated(
    tmp_path: Path, jpegs: list[bytes], begin: int, from_zero: bool
) -> None:
    stated = 1000.0 * (begin * from_zero + 5)
    path = write_mkv(tmp_path / "a.mkv", blocks(jpegs, even(1000 * begin, 20)), duration=stated)
    with open_source(path) as source:
        assert len(list(source)) == 20
    assert source.truncated == f"{path} ends after 2.00 s of 5.00 s"


def test_a_late_recording_is_cut_from_its_beginning(mux: MuxClip, jpegs: list[bytes]) -> None:
    path = mux("a.mkv", times=even(370_000, 10), time_base=TICK)
    with open_source(path, start=Fraction("0.5"), duration=Fraction("0.3")) as source:
        packets = list(source)
    assert milliseconds(packets) == even(0, 3)
    assert [packet.data for packet in packets] == jpegs[5:8]


@pytest.mark.parametrize("suffix", ["mkv", "mov"])
def test_a_pause_does_not_change_the_nominal_rate(mux: MuxClip, jpegs: list[bytes], suffix: str) -> None:
    times = [*range(0, 400, 40), *range(3_600_000, 3_600_400, 40)]
    with open_source(mux(f"a.{suffix}", jpegs * 2, times=times, time_base=TICK)) as source:
        assert source.info.fps == 25
        assert milliseconds(source) == times


EDITS = {
    "in the middle of a picture": [(400, 8.5)],
    "on whole pictures": [(400, 8)],
    "late": [(500, -1), (400, 8.5)],
    "two": [(200, 3.5), (200, 12)],
    "a pause": [(200, 3), (300, -1), (200, 12.5)],
    "a part twice": [(200, 3), (200, 3)],
    "in another order": [(200, 10.5), (200, 2.5)],
    "the end": [(100, 18.5)],
    "longer than what there is": [(800, 19)],
    "two pauses": [(500, -1), (40, -1), (200, 3)],
}


@pytest.mark.parametrize("name", EDITS)
def test_edits_are_shown_as_ffmpeg_shows_them(mux: MuxClip, name: str) -> None:
    pictures = [make_jpeg(number) for number in range(20)]
    path = mux("a.mov", pictures, options={"movie_timescale": "1000"})
    with av.open(str(path)) as container:
        step = Fraction(1, 25) / Fraction(container.streams.video[0].time_base or 1)
    with_edits(path, [(length, -1 if start == -1 else int(start * step)) for length, start in EDITS[name]])
    with av.open(str(path)) as container:
        shown = [(time_of(frame), frame.to_ndarray().tobytes()) for frame in container.decode(video=0)]
    decoded = {decode(data): data for data in pictures}
    with open_source(path) as source:
        assert [(p.time, p.data) for p in source] == [(time, decoded[picture]) for time, picture in shown]
    assert source.truncated is None
    assert not source.remarks


def decode(jpeg: bytes) -> bytes:
    with av.open(io.BytesIO(jpeg), "r", format="mjpeg") as container:
        return next(container.decode(video=0)).to_ndarray().tobytes()


def test_q5_tables_before_an_edit_are_kept(mux: MuxClip) -> None:
    pictures = [make_jpeg(number, quality=30 if number == 8 else 60) for number in range(20)]
    pictures[9:] = [without(data, DQT) for data in pictures[9:]]
    path = mux("a.mov", pictures, options={"movie_timescale": "1000"})
    with av.open(str(path)) as container:
        step = Fraction(1, 25) / Fraction(container.streams.video[0].time_base or 1)
    with_edits(path, [(200, int(8.5 * step)), (200, int(8.5 * step))])
    with open_source(path) as source:
        packets = list(source)
    assert [packet.data for packet in packets] == pictures[9:14] * 2
    assert [bool(packet.tables) for packet in packets] == [True, False, False, False, False] * 2
    assert packets[0].tables == packets[5].tables == tables_of(pictures[8])


def repeated(mux: MuxClip, empty: int, pictures: list[bytes]) -> bytes:
    """An AVI whose last picture is repeated by empty chunks, which the header counts."""
    times = [*range(len(pictures)), len(pictures) + empty - 1]
    data = bytearray(mux("a.avi", [*pictures, pictures[0]], times=times).read_bytes())
    last = data.rindex(b"00dc", 0, data.index(b"idx1"))
    size = int.from_bytes(data[last + 4 : last + 8], "little")
    data[last + 4 : last + 8] = bytes(4)  # the very last chunk becomes empty, its bytes become padding
    data[last + 8 : last + 16] = b"JUNK" + (size + size % 2 - 8).to_bytes(4, "little")
    index = data.rindex(b"00dc")
    data[index + 12 : index + 16] = bytes(4)
    return bytes(data)


def read_through(data: bytes, how: str, tmp_path: Path) -> tuple[list[Packet], Source]:
    path = tmp_path / "b.avi"
    path.write_bytes(data)
    with open_source({"file": path, "pipe": pipe(data), "buffer": data}[how]) as source:
        return list(source), source


@pytest.mark.parametrize("how", ["file", "pipe", "buffer"])
def test_an_avi_that_ends_in_empty_chunks_is_whole(mux: MuxClip, jpegs: list[bytes], tmp_path: Path, how: str) -> None:
    packets, source = read_through(repeated(mux, 25, jpegs), how, tmp_path)
    assert [packet.data for packet in packets] == jpegs
    assert [packet.pts for packet in packets] == list(range(10))
    assert source.truncated is None
    # Without an index the empty chunks are only known after the last picture has been yielded.
    assert packets[-1].duration == (1 if how == "pipe" else 26)


@pytest.mark.parametrize("how", ["file", "pipe", "buffer"])
@pytest.mark.parametrize("damage", ["cut off", "count"])
def test_an_avi_shorter_than_its_header_states_is_truncated(
    mux: MuxClip, jpegs: list[bytes], tmp_path: Path, damage: str, how: str
) -> None:
    data = bytearray(repeated(mux, 25, jpegs))
    if damage == "cut off":
        del data[data.index(jpegs[5]) - 8 :]
    else:
        place = data.index(b"strh") + 8 + 32  # dwLength
        data[place : place + 4] = (500).to_bytes(4, "little")
    packets, source = read_through(bytes(data), how, tmp_path)
    assert len(packets) == (5 if damage == "cut off" else 10)
    assert source.truncated is not None
    assert source.truncated.endswith("ends after 0.20 s of 1.40 s" if damage == "cut off" else "1.40 s of 20.00 s")


@pytest.mark.parametrize("zeros", [b"\0" * 1000, b""])
def test_an_avi_that_continues_with_zeros_is_truncated(
    mux: MuxClip, jpegs: list[bytes], tmp_path: Path, zeros: bytes
) -> None:
    data = mux("a.avi", [*jpegs, *jpegs, *jpegs]).read_bytes()
    packets, source = read_through(data[: data.index(jpegs[5])][:-8] + zeros, "file", tmp_path)
    assert len(packets) == 5
    assert source.truncated is not None


def test_packets_have_the_stated_display_duration(mux: MuxClip, jpegs: list[bytes], tmp_path: Path) -> None:
    with open_source(mux("a.mov")) as source:
        assert {packet.duration * packet.time_base for packet in source} == {Fraction(1, 25)}
    path = tmp_path / "b.avi"
    path.write_bytes(repeated(mux, 25, jpegs))
    with open_source(path, duration=Fraction("0.5")) as source:
        assert [packet.duration for packet in source][-1] == 4  # no longer than the cut


def test_a_start_after_a_restarted_clock_is_an_error(tmp_path: Path, jpegs: list[bytes]) -> None:
    path = write_mkv(tmp_path / "a.mkv", blocks(jpegs, [*even(0, 12), *even(0, 12)]))
    with open_source(path, start=Fraction(9)) as source, pytest.raises(SourceError, match="after the last picture"):
        list(source)
