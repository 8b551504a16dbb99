"""HLS: what a reader finds, while it is written and afterwards."""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import pytest

from mjpeg_restore.errors import OutputExists, SinkError
from mjpeg_restore.frames import Frame, Sampling
from mjpeg_restore.sinks import Hls, OutputSettings, open_sink
from tests.sinks.conftest import flat, read, sound_of, times
from tests.sinks.test_audio import record

LIVE = OutputSettings(live=True)
RATE = 5


def write(sink: Hls, count: int, begin: int = 0) -> None:
    for index in range(begin, begin + count):
        sink.write(Frame(flat(sampling=Sampling.YUV422, index=index, time_base=Fraction(1, RATE))))


def listed(playlist: Path) -> list[str]:
    return [line for line in playlist.read_text().splitlines() if not line.startswith("#")]


def header(playlist: Path, name: str) -> str:
    found = re.search(rf"^#EXT-X-{name}:?(.*)$", playlist.read_text(), re.MULTILINE)
    return found[1] if found else "none"


LATER = int(time.time()) + 100_000
"""The number of a segment, after which others follow."""
needs_dev_full = pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no device that is a full disk")


def test_a_recording_becomes_a_playlist_of_all_its_segments(output: Path) -> None:
    sink = open_sink(output / "a.m3u8")
    assert isinstance(sink, Hls)
    write(sink, 35)
    assert not (output / "a.m3u8").exists()
    sink.close()
    segments = listed(output / "a.m3u8")
    assert sorted(path.name for path in output.iterdir()) == sorted(["a.m3u8", *segments])
    assert len(segments) == 4
    assert header(output / "a.m3u8", "PLAYLIST-TYPE") == "VOD"
    assert header(output / "a.m3u8", "ENDLIST") == ""
    frames = read(output / "a.m3u8")
    stamps = times(frames)
    assert [stamp - stamps[0] for stamp in stamps] == [Fraction(index, RATE) for index in range(35)]
    assert {frame.format.name for frame in frames} == {"yuvj420p"}
    for name in segments:  # each can be played by itself
        with av.open(str(output / name), format="mpegts") as container:
            assert next(container.decode(video=0)).key_frame


def test_a_camera_has_the_latest_segments_at_any_time(output: Path) -> None:
    sink = Hls(output / "cam.m3u8", LIVE)
    sequences: list[int] = []
    for begin in range(0, 400, 20):
        write(sink, 20, begin)
        if not (output / "cam.m3u8").exists():
            continue
        segments = listed(output / "cam.m3u8")
        assert all((output / name).exists() for name in segments)
        assert len(segments) <= 10
        assert header(output / "cam.m3u8", "ENDLIST") == "none"
        sequences.append(int(header(output / "cam.m3u8", "MEDIA-SEQUENCE")))
    assert sequences == sorted(sequences) and sequences[-1] > sequences[0]
    assert len(list(output.iterdir())) < 20
    sink.close()
    assert header(output / "cam.m3u8", "ENDLIST") == ""
    assert read(output / "cam.m3u8")


@pytest.mark.parametrize("live", [False, True])
@pytest.mark.parametrize("end", [Hls.close, Hls.discard])
def test_a_playlist_that_is_being_written_is_refused(output: Path, end: Callable[[Hls], None], live: bool) -> None:
    settings = OutputSettings(live=live, overwrite=True)
    sink = Hls(output / "cam.m3u8", settings)
    for begin in range(0, 40, 20):  # before the first picture, and once there is a playlist
        with pytest.raises(SinkError, match=r"cam\.m3u8 is being written already: wait, or choose another name"):
            Hls(output / "cam.m3u8", settings)
        write(sink, 20, begin)
    end(sink)
    assert not [path for path in output.iterdir() if path.name.startswith(".")]
    Hls(output / "cam.m3u8", settings).discard()


def test_numbers_go_on_rising_and_old_segments_are_removed(output: Path) -> None:
    sink = Hls(output / "cam.m3u8", LIVE)
    write(sink, 60)
    sink.discard()  # killed, or failed: what is there stays
    before = listed(output / "cam.m3u8")
    assert before
    with pytest.raises(OutputExists, match=r"cam\.m3u8 exists"):
        Hls(output / "cam.m3u8", LIVE)
    sink = Hls(output / "cam.m3u8", OutputSettings(live=True, overwrite=True))
    assert listed(output / "cam.m3u8") == before
    write(sink, 60)
    sink.close()
    after = listed(output / "cam.m3u8")
    assert min(after) > max(before)
    assert sorted(path.name for path in output.iterdir()) == sorted(["cam.m3u8", *after])


def test_segments_that_had_left_the_playlist_are_removed_with_it(output: Path) -> None:
    sink = Hls(output / "cam.m3u8", LIVE)
    write(sink, 200)
    sink.close()
    before = listed(output / "cam.m3u8")
    assert len([*output.glob("*.ts")]) > len(before)
    (output / f"cam-{LATER - 200_000}.ts").write_text("mine")
    sink = Hls(output / "cam.m3u8", OutputSettings(live=True, overwrite=True))
    write(sink, 20)
    sink.close()
    segments = {path.name for path in output.glob("*.ts")}
    assert segments == {f"cam-{LATER - 200_000}.ts", *listed(output / "cam.m3u8")}


def test_the_segments_of_a_recording_that_was_renamed_stay(output: Path) -> None:
    (output / f"a-{LATER}.ts").touch()  # so that the numbers of the second recording follow those of the first
    for _ in range(2):
        sink = Hls(output / "a.m3u8")
        write(sink, 3)
        sink.close()
        (output / "a.m3u8").rename(output / "renamed.m3u8")
    (output / "renamed.m3u8").rename(output / "a.m3u8")
    sink = Hls(output / "a.m3u8", OutputSettings(overwrite=True))
    write(sink, 3)
    sink.close()
    assert sorted(path.name for path in output.glob("*.ts")) == [f"a-{LATER + number}.ts" for number in (0, 1, 3)]


def test_a_playlist_that_is_replaced_stays_until_the_end(output: Path) -> None:
    sink = Hls(output / "a.m3u8")
    write(sink, 12)
    sink.close()
    before = (output / "a.m3u8").read_text()
    sink = Hls(output / "a.m3u8", OutputSettings(overwrite=True))
    write(sink, 30)
    assert (output / "a.m3u8").read_text() == before
    assert len(read(output / "a.m3u8")) == 12
    sink.discard()
    assert (output / "a.m3u8").read_text() == before
    assert sorted(path.name for path in output.iterdir()) == sorted(["a.m3u8", *listed(output / "a.m3u8")])


def test_a_recording_that_fails_leaves_nothing(output: Path) -> None:
    sink = Hls(output / "a.m3u8")
    write(sink, 30)
    sink.discard()
    Hls(output / "b.m3u8").close()  # without a picture
    assert list(output.iterdir()) == []


@needs_dev_full
@pytest.mark.parametrize("what", ["segment", "playlist"])
def test_a_full_disk_is_a_sink_error_and_leaves_the_old_recording(output: Path, what: str) -> None:
    (output / f"a-{LATER}.ts").touch()
    sink = Hls(output / "a.m3u8")
    write(sink, 3)
    sink.close()
    before = {path.name: path.read_bytes() for path in output.iterdir()}
    sink = Hls(output / "a.m3u8", OutputSettings(overwrite=True))
    full = f"a-{LATER + 4}.ts.tmp" if what == "segment" else ".a.part.m3u8.tmp"
    (output / full).symlink_to("/dev/full")
    with pytest.raises(SinkError, match=r"no room on the disk \(No space left"):
        write(sink, 60)
        assert what == "playlist", "the segment was written long ago"
        sink.close()
    sink.discard()
    assert {path.name: path.read_bytes() for path in output.iterdir()} == before


@needs_dev_full
def test_a_camera_keeps_what_was_finished_before_the_disk_was_full(output: Path) -> None:
    (output / f"cam-{LATER}.ts").touch()
    sink = Hls(output / "cam.m3u8", LIVE)
    (output / f"cam-{LATER + 4}.ts.tmp").symlink_to("/dev/full")
    with pytest.raises(SinkError, match=r"no room on the disk \(No space left"):
        write(sink, 60)
    sink.discard()
    assert header(output / "cam.m3u8", "ENDLIST") == ""  # or players would wait for more
    segments = listed(output / "cam.m3u8")
    assert segments == [f"cam-{LATER + number}.ts" for number in (1, 2, 3)]
    assert sorted(path.name for path in output.iterdir()) == [f"cam-{LATER}.ts", *segments, "cam.m3u8"]
    assert read(output / "cam.m3u8")


@needs_dev_full
@pytest.mark.parametrize("what", ["segment", "playlist"])
def test_a_camera_keeps_the_playlist_before_until_there_is_another(output: Path, what: str) -> None:
    (output / f"cam-{LATER}.ts").touch()
    sink = Hls(output / "cam.m3u8", LIVE)
    write(sink, 30)
    sink.close()
    before = {path.name: path.read_bytes() for path in output.iterdir()}
    sink = Hls(output / "cam.m3u8", OutputSettings(live=True, overwrite=True))
    full = f"cam-{LATER + len(listed(output / 'cam.m3u8')) + 1}.ts.tmp" if what == "segment" else "cam.m3u8.tmp"
    (output / full).symlink_to("/dev/full")
    with pytest.raises(SinkError, match=r"no room on the disk \(No space left"):
        write(sink, 60)
    sink.discard()
    assert {path.name: path.read_bytes() for path in output.iterdir()} == before


def test_only_segments_of_its_own_are_removed(output: Path) -> None:
    (output / "keep.ts").write_text("mine")
    (output / "a-1.mp4").write_text("mine")
    (output / "a.m3u8").write_text("#EXTM3U\nkeep.ts\n../a-1.ts\na-1.mp4\nb-1.ts\n")
    (output.parent / "a-1.ts").write_text("mine")
    (output / "b-1.ts").write_text("mine")
    sink = Hls(output / "a.m3u8", OutputSettings(overwrite=True))
    write(sink, 3)
    sink.close()
    assert {"keep.ts", "a-1.mp4", "b-1.ts"} < {path.name for path in output.iterdir()}
    assert (output.parent / "a-1.ts").exists()


def test_names_of_segments_are_safe_in_a_url(output: Path) -> None:
    folder = output / "50% of#it%%"
    folder.mkdir()
    sink = Hls(folder / "a b#c.m3u8")
    write(sink, 12)
    sink.close()
    assert all(re.fullmatch(r"a_b_c-[0-9a-f]{8}-[0-9]+\.ts", name) for name in listed(folder / "a b#c.m3u8"))
    plain = folder.rename(output / "plain")  # FFmpeg takes # for the end of a URL
    assert len(read((plain / "a b#c.m3u8").rename(plain / "a.m3u8"))) == 12


def test_cameras_whose_names_are_alike_in_a_url_keep_segments_of_their_own(output: Path) -> None:
    playlists = [output / f"{name}.m3u8" for name in ("前门", "后门", "__")]
    sinks = [Hls(playlist, LIVE) for playlist in playlists]
    for sink in sinks:
        write(sink, 15)
    for sink in sinks:
        sink.close()
    segments = [name for playlist in playlists for name in listed(playlist)]
    assert len({*segments}) == len(segments) == len([*output.glob("*.ts")])
    assert not any(re.search("[^A-Za-z0-9._-]", name) for name in segments)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
@pytest.mark.parametrize("live", [True, False])
def test_a_name_need_not_be_utf8(output: Path, live: bool) -> None:
    playlist = output / os.fsdecode(b"caf\xe9.m3u8")
    sink = Hls(playlist, OutputSettings(live=live))
    write(sink, 12)
    sink.close()
    assert {*listed(playlist)} == {path.name for path in output.iterdir() if path.suffix == ".ts"} != set()


def test_a_folder_that_looks_like_a_pattern_is_refused(output: Path) -> None:
    (output / "%03d").mkdir()
    with pytest.raises(SinkError, match="the number of a segment"):
        Hls(output / "%03d" / "a.m3u8")


def test_numbers_are_new_even_where_the_clock_was_set_back(output: Path) -> None:
    later = int(time.time()) + 1000
    (output / f"a-{later}.ts").touch()
    sink = Hls(output / "a.m3u8")
    write(sink, 3)
    sink.close()
    assert listed(output / "a.m3u8") == [f"a-{later + 1}.ts"]


def write_with_sound(recording: Path, playlist: Path) -> int:
    """Write twelve pictures with the sound of a recording; the number of its packets."""
    with av.open(str(recording)) as container:
        track, packets = sound_of(container)
        sink = Hls(playlist, sound=[track])
        for packet in packets:
            sink.write_sound(packet)
        write(sink, 12)
        sink.close()
    return len(packets)


def test_sound_is_in_the_segments(tmp_path: Path, output: Path) -> None:
    write_with_sound(record(tmp_path / "a.wav", "pcm_s16le"), output / "a.m3u8")
    with av.open(str(output / "a.m3u8")) as container:
        assert container.streams.audio[0].codec_context.name == "aac"
        assert sum(frame.samples for frame in container.decode(audio=0)) > 16_000


def test_sound_that_is_copied_leaves_the_null_device_alone(
    tmp_path: Path, output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "null").touch()  # FFmpeg's HLS would replace it by a playlist
    monkeypatch.setattr(os, "devnull", str(tmp_path / "null"))
    before = os.stat(tmp_path / "null").st_ino
    count = write_with_sound(record(tmp_path / "a.mkv", "aac"), output / "a.m3u8")
    assert os.stat(tmp_path / "null").st_ino == before
    assert sorted(path.name for path in tmp_path.glob("null*")) == ["null"]
    with av.open(str(output / "a.m3u8")) as container:
        assert sum(1 for packet in container.demux(audio=0) if packet.size) >= count - 1  # but the priming


def test_codecs_that_players_do_not_take_are_refused(output: Path) -> None:
    for codec in ("libvpx-vp9", "libsvtav1"):
        with pytest.raises(SinkError, match=f"HLS takes h264 or hevc, not {codec}: leave codec out"):
            Hls(output / "a.m3u8", OutputSettings(codec=codec))
    with pytest.raises(SinkError, match="no effect on HLS"):
        open_sink(output / "a.m3u8", OutputSettings(image_format="jpeg"))


def test_a_folder_that_is_gone_is_a_sink_error(output: Path) -> None:
    with pytest.raises(SinkError, match="create it or choose another"):
        Hls(output / "none" / "a.m3u8")
    sink = Hls(output / "a.m3u8", LIVE)
    write(sink, 3)
    for path in output.iterdir():
        path.unlink()
    os.rmdir(output)
    with pytest.raises(SinkError, match="writing failed"):
        write(sink, 60, 3)
    sink.discard()
