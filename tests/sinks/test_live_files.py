"""Recordings of live sources: what is left when the program is killed, the disk is full or the file removed."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from multiprocessing import get_context
from pathlib import Path

import av
import pytest
from av.error import FFmpegError

from mjpeg_restore.errors import OutputExists, SinkError
from mjpeg_restore.frames import Frame, Picture
from mjpeg_restore.sinks import OutputSettings, VideoFile, Y4mStream, base
from mjpeg_restore.sinks.writer import VideoWriter
from tests.lacking import needs, needs_proc
from tests.patience import PATIENCE
from tests.sinks.conftest import ORANGE, PAIRS, flat, noise, planes_of, read, shown, times

LIVE_PAIRS = [pair for pair in PAIRS if pair[0] != "avi" and pair[1] != "av1"] + [("webm", "vp9"), ("mp4", "vp9")]

CLOCK = Fraction(1, 90000)
"""The time base of live sources."""

RATE = 30


def live(codec: str | None = None, *, overwrite: bool = False) -> OutputSettings:
    return OutputSettings(codec=codec, live=True, fps=Fraction(RATE), overwrite=overwrite)


def arriving(count: int, start: int = 0) -> Iterator[Picture]:
    """Pictures of a camera of 30 pictures a second whose packets come a little late or early."""
    for index in range(count):
        jitter = (index * 7919) % 1500 - 750 if index else 0
        yield flat(64, 48, index=index, pts=start + index * 3000 + jitter, time_base=CLOCK)


def kept(sink: VideoFile, path: Path) -> int:
    """Pictures that can be played while the file is open, as after a kill."""
    copy = path.with_name(f"copy{path.suffix}")
    copy.write_bytes(path.read_bytes())
    return len(read(copy))


@pytest.mark.parametrize(("extension", "codec"), LIVE_PAIRS)
def test_at_most_half_a_second_is_not_yet_in_the_file(output: Path, extension: str, codec: str) -> None:
    path = output / f"a.{extension}"
    sink = VideoFile(path, live(codec))
    for index, picture in enumerate(arriving(2 * RATE)):
        sink.write(Frame(picture))
        if index > 17 and index % 7 == 0:
            assert kept(sink, path) >= index - 16
    sink.close()
    assert len(read(path)) == 2 * RATE


def test_advice_for_live_video_is_a_codec_that_the_container_holds(output: Path) -> None:
    for extension, words in (("ts", "MPEG-TS takes h264 or hevc"), ("mov", "mov does not hold libsvtav1")):
        with pytest.raises(SinkError, match=words):
            VideoFile(output / f"a.{extension}", live("av1"))


@pytest.mark.parametrize("extension", ["mkv", "webm"])
def test_an_encoder_that_may_stop_for_ever_is_refused(output: Path, extension: str) -> None:
    words = "libsvtav1 is not for live video, .*: it may stop for ever: try codec='vp9'"
    with pytest.raises(SinkError, match=words):
        VideoFile(output / f"a.{extension}", live("av1"))
    assert not list(output.iterdir())


@pytest.mark.parametrize("start", [0, 1234567, 10 * 86_400 * 90_000])
@pytest.mark.parametrize(("extension", "codec"), LIVE_PAIRS)
def test_live_times_are_exact(output: Path, extension: str, codec: str, start: int) -> None:
    path = output / f"a.{extension}"
    pictures = list(arriving(RATE, start))
    sink = VideoFile(path, live(codec))
    for picture in pictures:
        sink.write(Frame(picture))
    sink.close()
    found, expected = times(read(path)), [picture.time for picture in pictures]
    if extension in ("mp4", "mov"):
        assert found == expected
    else:
        assert all(abs(one - other) <= Fraction(1, 2000) for one, other in zip(found, expected, strict=True))


@pytest.mark.parametrize("extension", ["mp4", "mov", "mkv", "webm"])
def test_a_slow_camera_loses_one_picture(output: Path, extension: str) -> None:
    path = output / f"a.{extension}"
    sink = VideoFile(path, live())
    for index in range(5):
        sink.write(Frame(flat(64, 48, index=index, pts=index * 5 * 90000, time_base=CLOCK)))
        assert not index or kept(sink, path) >= index
    sink.discard()


@pytest.mark.parametrize(
    ("extension", "codec"),
    [("mp4", "h264"), ("mp4", "hevc"), ("mov", "h264"), ("mkv", "vp9"), ("mkv", "mjpeg"), ("webm", "vp9")],
)
def test_there_is_a_key_frame_every_two_seconds(output: Path, extension: str, codec: str) -> None:
    path = output / f"a.{extension}"
    sink = VideoFile(path, live(codec))
    for index in range(60):  # the camera keeps a third of its nominal rate
        sink.write(Frame(flat(64, 48, index=index, pts=index * 9000, time_base=CLOCK)))
    sink.close()
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.is_keyframe]
    keys = [packet.pts * packet.time_base for packet in packets if packet.pts is not None]
    assert keys[0] == 0
    assert max(after - before for before, after in zip(keys, [*keys[1:], 6], strict=True)) <= 2


@pytest.mark.parametrize("extension", ["mp4", "mov", "mkv"])
def test_a_gap_of_twelve_hours(output: Path, extension: str) -> None:
    path = output / f"a.{extension}"
    sink = VideoFile(path, live())
    seconds = [0, 1, 2, 43_202, 43_203, 43_204]
    for index, second in enumerate(seconds):
        sink.write(Frame(flat(64, 48, index=index, pts=second * 90000, time_base=CLOCK)))
    sink.close()
    assert [time for time in shown(path) if time in seconds] == seconds


def test_a_camera_that_is_away_for_a_month_comes_back(output: Path) -> None:
    sink = VideoFile(output / "a.mp4", live())
    for index, second in enumerate([0, 1, 2_592_000]):
        sink.write(Frame(flat(64, 48, index=index, pts=second * 90000, time_base=CLOCK)))
    sink.close()
    assert shown(output / "a.mp4")[-1] == 2_592_000


@pytest.mark.parametrize("extension", ["mp4", "mkv"])
def test_colour_is_tagged_in_a_live_file(output: Path, extension: str) -> None:
    path = output / f"a.{extension}"
    sink = VideoFile(path, live())
    sink.write(Frame(flat()))
    sink.close()
    with av.open(str(path)) as container:
        context = container.streams.video[0].codec_context
        assert (context.color_range, context.color_primaries, context.color_trc) == (2, 1, 13)
    found = [int(plane[20, 20]) for plane in planes_of(read(path)[0])]
    assert found == pytest.approx(ORANGE, abs=2)


@pytest.mark.parametrize("extension", ["mp4", "mkv"])
def test_creation_time_is_that_of_the_first_picture(output: Path, extension: str) -> None:
    path = output / f"a.{extension}"
    before = datetime.now(UTC)
    sink = VideoFile(path, live())
    sink.write(Frame(flat()))
    sink.close()
    with av.open(str(path)) as container:
        created = datetime.fromisoformat(container.metadata["creation_time"].replace("Z", "+00:00"))
    assert before - timedelta(seconds=1) <= created <= datetime.now(UTC)


WRITER = """
import sys
from mjpeg_restore.frames import Frame
from tests.sinks.test_live_files import arriving, live
from mjpeg_restore.sinks import VideoFile
sink = VideoFile(sys.argv[1], live(sys.argv[2] or None))
for picture in arriving(100_000):
    sink.write(Frame(picture))
    print(picture.index, flush=True)
"""


def started(program: str, *arguments: str) -> subprocess.Popen[str]:
    root = Path(__file__).parents[2]
    paths = os.pathsep.join([str(root), str(root / "scripts")])  # as pytest has them
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": paths})


@pytest.mark.parametrize(("extension", "codec"), [("mp4", ""), ("mov", ""), ("mkv", ""), ("webm", "vp9")])
def test_a_killed_recording_is_playable(output: Path, extension: str, codec: str) -> None:
    path = output / f"a.{extension}"
    with started(WRITER, str(path), codec) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if int(line) == 100:
                process.kill()
                break
        written = 1 + max([100, *(int(line) for line in process.stdout if line.endswith("\n"))])
    assert [entry.name for entry in output.iterdir()] == [path.name]
    found = times(read(path))
    assert len(found) > written - RATE
    assert found == sorted(found)


FULL_DISK = """
import resource, signal, sys
from mjpeg_restore.frames import Frame
from tests.sinks.test_live_files import detailed, live
from mjpeg_restore.errors import SinkError
from mjpeg_restore.sinks import VideoFile
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
_, most = resource.getrlimit(resource.RLIMIT_FSIZE)
for path, size in zip(sys.argv[1::2], sys.argv[2::2]):
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(size), most))
    sink = VideoFile(path, live("mjpeg"))
    try:
        for picture in detailed(10_000):
            sink.write(Frame(picture))
    except SinkError as error:
        sink.discard()
        print(picture.index, error)
"""


def detailed(count: int) -> Iterator[Picture]:
    picture = noise()
    for index in range(count):
        yield replace(picture, index=index, pts=index * 3000, time_base=CLOCK)


def fragment_end(path: Path) -> int:
    """Bytes up to the end of the fourth fragment or cluster."""
    sink = VideoFile(path, live("mjpeg"))
    sizes: list[int] = []
    for picture in detailed(75):
        sink.write(Frame(picture))
        sizes.append(sink.size)
    sink.close()
    path.unlink()
    return sorted(set(sizes))[4]


@pytest.mark.parametrize("extension", ["mp4", "mov", "mkv"])
def test_what_was_written_before_the_disk_was_full_is_kept(output: Path, extension: str) -> None:
    needs("resource")
    whole = fragment_end(output / f"a.{extension}")
    room = {output / f"{torn}.{extension}": whole + torn for torn in (0, 5, 60, 130, 200, 2_000)}
    with started(FULL_DISK, *(str(word) for pair in room.items() for word in pair)) as process:
        said, _ = process.communicate(timeout=PATIENCE)
    for path, line in zip(room, said.splitlines(), strict=True):
        index, _, message = line.partition(" ")
        assert message == (
            f"{path}: writing mjpeg failed (File too large): no file there may be larger: raise the limit (ulimit -f), "
            "or write elsewhere"
        )
        assert path.stat().st_size == whole
        assert len(read(path)) >= int(index) - RATE / 2 - 1
    assert {*output.iterdir()} == {*room}


def test_a_full_disk_is_told_of_alike_whatever_the_file_is_called(
    output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: VideoWriter, picture: Picture) -> None:
        raise FFmpegError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(VideoWriter, "write", fail)
    for name in ("a.mkv", "b.mp4"):
        sink = VideoFile(output / name, live("mjpeg"))
        with pytest.raises(SinkError) as caught:
            sink.write(Frame(noise()))
        sink.discard()
        reason = os.strerror(errno.ENOSPC)
        assert str(caught.value) == f"{output}: no room on the disk ({reason}): make some, or write elsewhere"


def test_an_error_elsewhere_finishes_the_recording(output: Path) -> None:
    for name, count in (("long", 40), ("short", 3)):
        sink = VideoFile(output / f"{name}.mp4", live())
        for picture in arriving(count):
            sink.write(Frame(picture))
        sink.discard()
        sink.discard()
        assert len(read(output / f"{name}.mp4")) == count
    assert sorted(entry.name for entry in output.iterdir()) == ["long.mp4", "short.mp4"]


def test_the_file_has_its_name_from_the_first_fragment_on(output: Path) -> None:
    path = output / "a.mp4"
    path.write_bytes(b"old")
    with pytest.raises(OutputExists):
        VideoFile(path, live())
    sink = VideoFile(path, live(overwrite=True))
    pictures = arriving(30)
    sink.write(Frame(next(pictures)))
    assert path.read_bytes() == b"old"
    for picture in pictures:
        sink.write(Frame(picture))
    assert [entry.name for entry in output.iterdir()] == ["a.mp4"]
    assert kept(sink, path) >= 15
    sink.close()
    assert len(read(path)) == 30


@pytest.mark.parametrize("old", [None, b"old"])
def test_a_system_that_cannot_rename_open_files(
    output: Path, monkeypatch: pytest.MonkeyPatch, old: bytes | None
) -> None:
    monkeypatch.setattr(base, "_RENAMES_OPEN_FILES", False)
    path = output / "a.mp4"
    if old:
        path.write_bytes(old)
    VideoFile(path, live(overwrite=True)).discard()
    assert (path.read_bytes() if path.exists() else None) == old
    sink = VideoFile(path, live(overwrite=True))
    for picture in arriving(30):
        sink.write(Frame(picture))
    assert [entry.name for entry in output.iterdir()] == ["a.mp4"]
    sink.close()
    assert len(read(path)) == 30


def test_a_live_file_without_a_picture_is_none(output: Path) -> None:
    VideoFile(output / "a.mp4", live()).close()
    VideoFile(output / "b.mkv", live()).discard()
    assert list(output.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="Windows removes no open file")
@pytest.mark.parametrize("extension", ["mp4", "mkv"])
def test_a_file_that_is_removed_ends_the_run(output: Path, extension: str) -> None:
    path = output / f"a.{extension}"
    sink = VideoFile(path, live())
    pictures = arriving(60)
    for _ in range(30):
        sink.write(Frame(next(pictures)))
    path.unlink()
    with pytest.raises(SinkError, match=rf"a\.{extension} is gone while it is written \(No such file"):
        sink.write(Frame(next(pictures)))
    sink.discard()
    assert list(output.iterdir()) == []


def test_a_live_y4m_file_has_its_name_from_the_first_picture_on(output: Path) -> None:
    path = output / "a.y4m"
    sink = Y4mStream(path, live())
    pictures = arriving(3)
    sink.write(Frame(next(pictures)))
    assert len(read(path)) == 1
    sink.write(Frame(next(pictures)))
    sink.discard()
    assert [entry.name for entry in output.iterdir()] == ["a.y4m"]
    assert len(read(path)) == 2


def test_avi_is_refused_for_live_video(output: Path) -> None:
    with pytest.raises(SinkError, match=r"a\.avi: an AVI that is not finished cannot be played; record .*\.mkv"):
        VideoFile(output / "a.avi", live())
    assert list(output.iterdir()) == []


@needs_proc
@pytest.mark.slow
@pytest.mark.parametrize(("extension", "codec"), [("mp4", "mjpeg"), ("mkv", "h264")])
def test_memory_does_not_grow_with_the_recording(output: Path, extension: str, codec: str) -> None:
    # In a process of its own: what other tests have left is returned to the system, or taken again, at any time.
    with ProcessPoolExecutor(1, get_context("spawn")) as process:
        grown = process.submit(growth_of_a_recording, output / f"a.{extension}", codec).result()
    assert grown < 1_000_000  # an index of all pictures takes 3,000,000


def growth_of_a_recording(path: Path, codec: str) -> int:
    """Bytes of memory that the last two thirds of a long recording take."""
    sink = VideoFile(path, live(codec))
    resident: list[int] = []
    picture = flat(16, 16, time_base=CLOCK)
    for index in range(60_000):
        sink.write(Frame(replace(picture, index=index, pts=index * 3000)))
        if index in (20_000, 59_999):
            resident.append(int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE"))
    sink.close()
    return resident[1] - resident[0]
