"""What the names of outputs mean."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from mjpeg_restore.errors import SinkError
from mjpeg_restore.sinks import OutputSettings, SegmentLimit, Target, following, joined, within
from tests.lacking import needs_folders_that_vanish, needs_named_pipes

DEFAULT = OutputSettings()


@pytest.mark.parametrize(
    ("name", "format", "where"),
    [
        ("-", "y4m", "-"),
        ("raw:-", "raw", "-"),
        ("ts:-", "ts", "-"),
        ("y4m:out", "y4m", "out"),
        ("a.y4m", "y4m", "a.y4m"),
        ("a.M3U8", "hls", "a.M3U8"),
        ("a.ts", "video", "a.ts"),
        ("a.jpg", "picture", "a.jpg"),
        ("a", "pictures", "a"),
        ("a/", "pictures", "a/"),
        ("%d.jpg", "pictures", "%d.jpg"),
        ("v4l2:/dev/video3", "v4l2", "/dev/video3"),
        ("/dev/video3", "v4l2", "/dev/video3"),
        ("rtsp://h/x", "rtsp", "rtsp://h/x"),
        ("RTSPS://h/x", "rtsp", "RTSPS://h/x"),
        ("tcp://h:1", "tcp", "tcp://h:1"),
        ("udp://h:1", "udp", "udp://h:1"),
        ("tcp:x.mp4", "video", "tcp:x.mp4"),
        ("./raw:a.mp4", "video", "./raw:a.mp4"),
        ("./raw:", "pictures", "./raw:"),
        ("./u:p@h", "pictures", "./u:p@h"),
        ("raw:out/8:30@door", "raw", "out/8:30@door"),
        ("C:/me@work/a.mp4", "video", "C:/me@work/a.mp4"),
        ("cam 10:30 me@home.mp4", "video", "cam 10:30 me@home.mp4"),
        ("10:30/u@h.mp4", "video", "10:30/u@h.mp4"),
        ("/data/10:30/u@h", "pictures", "/data/10:30/u@h"),
        ("//data/out", "pictures", "//data/out"),
        ("rtsp/a.mp4", "video", "rtsp/a.mp4"),
    ],
)
def test_a_name_states_the_format(name: str, format: str, where: str) -> None:
    found = Target.parse(name, DEFAULT)
    assert (found.format, found.where) == (format, where)


@pytest.mark.parametrize("name", ["v4l2:", "y4m:", "raw:", "ts:"])
def test_a_format_without_a_name_is_no_folder(name: str) -> None:
    for interpret in (lambda: Target.parse(name, DEFAULT), lambda: within("folder", name)):
        with pytest.raises(SinkError, match=rf"^{name} names nothing to write to: write {name}[N/]"):
            interpret()


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("u:hu/s@h@cam/x", "cam/x is no address without rtsp://"),
        ("rtsp:u:hush@cam/x", "cam/x is no address without rtsp://"),
        ("rtsps:/u:hush@cam/x.mp4", "cam/x.mp4 is no address without rtsps://"),
        ("http:/u:hush@cam/x", "cam/x is no address without rtsp://"),
        ("rtsp//u:hush@cam/x", "cam/x is no address without rtsp://"),
        ("rtsp;//u:hush@cam/x", "cam/x is no address without rtsp://"),
        ("rtsp.//u:hush@cam/x", "cam/x is no address without rtsp://"),
        ("//u:hush@cam/x", "cam/x is no address without rtsp://"),
        ("://u:hush@cam/x", "cam/x is no address without rtsp://"),
        ("u:hush@cam", "cam is no address without rtsp://"),
        ("rtsp:cam/x", "cam/x is no address without rtsp://"),
        ("rtsp:/cam/x.mp4", "cam/x.mp4 is no address without rtsp://"),
        ("TCP:/cam:1", "cam:1 is no address without tcp://"),
        ("udp:/239.0.0.1:1234", "239.0.0.1:1234 is no address without udp://"),
    ],
)
def test_a_mistyped_address_is_no_folder_and_shows_no_password(name: str, shown: str) -> None:
    for interpret in (lambda: Target.parse(name, DEFAULT), lambda: within("folder", name)):
        with pytest.raises(SinkError, match=f"^{shown} in front"):
            interpret()


@pytest.mark.parametrize("width", ["0100", "099999999999", "09999999999999999999999", "0" * 9 + "300000000"])
def test_a_number_wider_than_a_name_is_refused(width: str) -> None:
    with pytest.raises(SinkError, match=r"^a/z%0[0-9]+d\.png: the width of its number has more than two digits"):
        Target.parse(f"a/z%{width}d.png", DEFAULT)


def test_only_ascii_digits_are_a_width() -> None:
    assert Target.parse("a/u%0\N{ARABIC-INDIC DIGIT THREE}d.png", DEFAULT).format == "picture"
    assert Target.parse("a/u%00006d.png", DEFAULT).format == "pictures"


def test_streams_are_kept_by_nobody() -> None:
    streams = {"-", "raw:-", "ts:-", "/dev/null", "v4l2:/dev/video3", "rtsp://h/x", "tcp://h:1", "udp://h:1"}
    files = {"a.mp4", "a.m3u8", "raw:a", "y4m:a", "a.y4m", "a", "a.png"}
    assert {name for name in streams | files if Target.parse(name, DEFAULT).is_stream} == streams


@needs_named_pipes
def test_a_named_pipe_is_one_by_its_kind(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a")
    os.mkfifo(tmp_path / "b.ts")
    assert Target.parse(tmp_path / "a", DEFAULT).format == "y4m"
    assert Target.parse(tmp_path / "b.ts", DEFAULT).format == "ts"
    assert all(Target.parse(tmp_path / name, DEFAULT).is_pipe for name in ("a", "b.ts"))


def test_two_names_of_a_place() -> None:
    def place(name: str) -> str:
        return Target.parse(name, DEFAULT).place

    assert place("a.mp4") == place("./a.mp4") == place(os.path.abspath("a.mp4")) == place("raw:a.mp4")
    assert place("-") == place("raw:-") == place("ts:-") == place("raw:/dev/stdout")
    assert place("a/") == place("a") == place("a/%06d.png") == place("./a/%d.png")
    assert len({place("a"), place("a/%d.jpg"), place("a/b%d.png"), place("a.png")}) == 4
    assert place("rtsp://h/x") != place("rtsp://h/y")
    assert place("RTSP://u:p@H:554/x") == place("rtsp://h/x")


def test_standard_output_has_two_names() -> None:
    names = {"-", "raw:-", "ts:-", "y4m:/dev/stdout", "a.mp4", "raw:a", "tcp://h:1", "./-"}
    found = {name for name in names if Target.parse(name, DEFAULT).is_standard_output}
    assert found == {"-", "raw:-", "ts:-", "y4m:/dev/stdout"}


@needs_folders_that_vanish
def test_the_place_of_a_relative_name_is_unknown_where_the_current_folder_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    for name in ("a.mp4", "a/", "y4m:a", "a.m3u8"):
        with pytest.raises(SinkError, match=f"^{name}: the current folder is gone .*: go to another$"):
            _ = Target.parse(name, DEFAULT).place
    assert Target.parse("/x/a.mp4", DEFAULT).place.endswith("/x/a.mp4")


def test_names_for_messages_have_no_passwords_and_files_keep_theirs() -> None:
    assert Target.parse("rtsp://u:geheim@h/x?token=abc", DEFAULT).name == "rtsp://h/x?token=***"
    assert Target.parse("a b#1.mp4", DEFAULT).name == "a b#1.mp4"


@pytest.mark.parametrize("name", ["a.y4m", "y4m:a.y4m", "raw:a.tar.bin", "a.mp4", ".hidden.mkv"])
def test_what_follows_a_recording_has_the_time_in_its_name(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert following(name, DEFAULT) == name  # nothing is there yet
    prefix, path = name.rpartition(":")[0], Path(name.rpartition(":")[2])
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk" / "file").touch()
    path.symlink_to("disk/file")
    found = Target.parse(following(name, DEFAULT), DEFAULT)
    assert found.format == Target.parse(name, DEFAULT).format
    assert found.name == f"{prefix}:{found.where}" if prefix else found.where
    assert Path(found.where).parent == tmp_path / "disk"
    assert re.fullmatch(re.escape(path.stem) + r"-[0-9]{8}T[0-9]{6}\.[0-9]{3}Z" + path.suffix, Path(found.where).name)


@pytest.mark.parametrize("name", ["a.m3u8", "a.png", "a/", "-", "rtsp://me:secret@host/a.mp4"])
def test_other_targets_stay_as_they_are(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for one in ("a.m3u8", "a.png"):
        Path(one).touch()
    assert following(name, DEFAULT) == name


def test_segments_keep_the_beginning_of_their_names(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.touch()
    assert following(str(path), OutputSettings(segment=SegmentLimit(seconds=60))) == str(path)
    assert following(str(path), OutputSettings(new_file_on_resize=True)) == str(path)


@pytest.mark.parametrize("url", ["srt://h:1", "rtmp://h/x", "http://h/x", "whip://h"])
def test_there_are_four_schemes(url: str) -> None:
    with pytest.raises(SinkError, match="no output goes to"):
        Target.parse(url, DEFAULT)


def test_a_path_from_a_folder_is_short_where_that_makes_no_difference(tmp_path: Path) -> None:
    settings, far = tmp_path / "settings", tmp_path / "far" / "away"
    settings.mkdir()
    far.mkdir(parents=True)
    (settings / "link").symlink_to(far)
    assert joined(settings, "../a.mp4") == f"{tmp_path}/a.mp4"
    assert joined(settings, "./b/../a/") == f"{settings}/a/"
    assert joined(settings, "link/../a.mp4") == f"{settings}/link/../a.mp4"  # which is far/a.mp4
    assert joined(settings, "/x/a.mp4") == "/x/a.mp4"
