"""The command, end to end: in this process where that is enough, in one of its own where it has to be."""

from __future__ import annotations

import array
import io
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import mjpeg_restore
from mjpeg_restore.cli import main
from mjpeg_restore.cli.arguments import restore_parser
from mjpeg_restore.cli.progress import Progress
from mjpeg_restore.cli.versions import faster
from mjpeg_restore.jpeg.tables import scaled_tables
from mjpeg_restore.report import Report
from mjpeg_restore.sources import SourceInfo
from tests.in_memory import ListSource
from tests.jpeg.pictures import encode, scan_span, scene
from tests.sources.clips import mux_packet, mux_sound

SIZE = (64, 48)
FAST = ["-m", "decode", "--device", "onnxruntime"]
"""What has nothing to do with the network is tested without one."""
COMMAND = [sys.executable, "-m", "mjpeg_restore"]
LINUX = pytest.mark.skipif(not Path("/dev/full").exists(), reason="other systems have no /dev/full")


def pictures(count: int = 6) -> list[bytes]:
    return [encode("4:2:0", SIZE, seed) for seed in range(count)]


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Six pictures, one after the other."""
    path = tmp_path / "cam.mjpeg"
    path.write_bytes(b"".join(pictures()))
    return path


@pytest.fixture
def output(tmp_path: Path) -> Path:
    """A folder of its own, so that whatever is left behind can be listed."""
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


def mux(path: Path, times: Sequence[int], codec: str = "mjpeg") -> Path:
    """A container with a picture at each time, in milliseconds."""
    with av.open(str(path), "w") as container:
        stream = container.add_mux_stream(codec, rate=25, width=SIZE[0], height=SIZE[1])
        stream.time_base = Fraction(1, 1000)
        for data, time in zip(pictures(len(times)), times, strict=True):
            mux_packet(container, stream, data, time, Fraction(1, 1000))
    return path


def times(path: Path) -> list[Fraction]:
    with av.open(str(path)) as container:
        return [Fraction(frame.pts * frame.time_base) for frame in container.decode(video=0)]


def picture_of(path: Path) -> tuple[str | None, NDArray[np.int16]]:
    """Format and RGB samples."""
    with Image.open(path) as image:
        return image.format, np.asarray(image.convert("RGB")).astype(np.int16)


def run(words: Sequence[object], capfd: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    """Exit code, standard output, standard error."""
    capfd.readouterr()
    code = main([str(word) for word in words])
    found = capfd.readouterr()
    return code, found.out, found.err


def assert_one_line(text: str) -> None:
    assert text.startswith("mjpeg-restore: ")
    assert text.count("\n") == 1
    assert text.endswith("\n")


# ---- outputs ----


def test_mjpeg_to_mp4(clip: Path, output: Path, capfd: pytest.CaptureFixture[str]) -> None:
    code, out, err = run([clip, "-o", output / "out.mp4", "--fps", "10", "--device", "onnxruntime"], capfd)
    assert (code, out) == (0, "")
    assert times(output / "out.mp4") == [Fraction(n, 10) for n in range(6)]
    assert_one_line(err)
    assert err.startswith(f"mjpeg-restore: 6 frames to {output / 'out.mp4'}, ")
    assert [path.name for path in output.iterdir()] == ["out.mp4"]


def test_variable_time_stamps_reach_the_mp4(tmp_path: Path, output: Path, capfd: pytest.CaptureFixture[str]) -> None:
    stamps = [0, 33, 40, 500, 533, 1700]
    code, _, _ = run([mux(tmp_path / "in.mkv", stamps), "-o", output / "out.mp4", *FAST], capfd)
    assert code == 0
    assert times(output / "out.mp4") == [Fraction(stamp, 1000) for stamp in stamps]


@pytest.mark.parametrize("name", ["out.mp4", "out.mov", "out.mkv", "out.y4m"])
def test_samples_that_are_not_square_stay_so(
    tmp_path: Path, output: Path, name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with av.open(str(tmp_path / "pal.mkv"), "w") as container:
        stream = container.add_stream("mjpeg", rate=25, width=SIZE[0], height=SIZE[1])
        stream.pix_fmt = "yuvj420p"
        stream.sample_aspect_ratio = stream.codec_context.sample_aspect_ratio = Fraction(16, 15)
        frame = av.VideoFrame(*SIZE, "yuvj420p")
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)
    assert run([tmp_path / "pal.mkv", "-o", output / name, *FAST], capfd)[0] == 0
    with av.open(str(output / name)) as container:
        assert container.streams.video[0].sample_aspect_ratio == Fraction(16, 15)
    assert ", samples 16/15 as wide as high\n" in run(["inspect", tmp_path / "pal.mkv"], capfd)[1]


@pytest.mark.parametrize("rotation", [90, 180])
@pytest.mark.parametrize("name", ["out.mp4", "out.mkv", "out.avi", "out.y4m", "out.png"])
def test_pictures_stand_upright_with_the_aspect_of_their_samples(
    output: Path, name: str, rotation: int, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    source = ListSource(pictures(1))
    source.info = replace(source.info, rotation=rotation, sample_aspect=Fraction(16, 15))
    monkeypatch.setattr("mjpeg_restore.cli.open_source", lambda *_, **__: source)
    assert run(["rotated.mov", "-o", output / name, *FAST], capfd)[0] == 0
    with av.open(str(output / name)) as container:
        (frame,) = container.decode(video=0)
        assert (frame.width, frame.height) == (SIZE[::-1] if rotation == 90 else SIZE)
        if name != "out.png":
            expected = Fraction(15, 16) if rotation == 90 else Fraction(16, 15)
            assert container.streams.video[0].sample_aspect_ratio == expected


@pytest.mark.parametrize("name", ["out.mkv", "out.mov", "out.avi", "out.y4m"])
def test_other_containers(clip: Path, output: Path, name: str, capfd: pytest.CaptureFixture[str]) -> None:
    code, _, _ = run([clip, "-o", output / name, *FAST], capfd)
    assert code == 0
    assert len(times(output / name)) == 6


def test_codec_crf_preset_and_options(clip: Path, output: Path, capfd: pytest.CaptureFixture[str]) -> None:
    words = [clip, "-o", output / "out.mkv", *FAST, "-c", "hevc", "--crf", "30", "--preset", "ultrafast", "-e", "g=1"]
    code, _, _ = run(words, capfd)
    assert code == 0
    with av.open(str(output / "out.mkv")) as container:
        assert container.streams.video[0].codec_context.name == "hevc"
        assert all(packet.is_keyframe for packet in container.demux(video=0) if packet.size)


def test_a_folder_of_pngs(clip: Path, output: Path, capfd: pytest.CaptureFixture[str]) -> None:
    code, _, _ = run([clip, "-o", f"{output}/frames/", *FAST], capfd)
    assert code == 0
    assert sorted(path.name for path in (output / "frames").iterdir()) == [f"{n:06}.png" for n in range(6)]
    assert picture_of(output / "frames" / "000003.png")[1].shape == (48, 64, 3)


@pytest.mark.parametrize(("name", "kind"), [("out.png", "PNG"), ("out.jpg", "JPEG"), ("out.JPEG", "JPEG")])
def test_one_picture_to_one_picture(
    tmp_path: Path, output: Path, name: str, kind: str, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in.jpg").write_bytes(encode("4:2:0", (163, 117)))
    code, _, err = run([tmp_path / "in.jpg", "-o", output / name, *FAST], capfd)
    assert code == 0
    assert err.startswith(f"mjpeg-restore: 1 frame to {output / name}, ")
    assert [path.name for path in output.iterdir()] == [name]
    found, pixels = picture_of(output / name)
    assert (found, pixels.shape) == (kind, (117, 163, 3))
    assert np.abs(pixels - picture_of(tmp_path / "in.jpg")[1]).mean() < 3


def test_many_pictures_into_one_name_a_folder_instead(
    clip: Path, output: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    code, _, err = run([clip, "-o", output / "out.png", *FAST], capfd)
    assert code == 5
    assert_one_line(err)
    assert "holds one picture" in err
    assert "out-%06d.png" in err
    assert list(output.iterdir()) == []
    code, _, _ = run([clip, "-o", output / "out.png", "--frames", 1, *FAST], capfd)
    assert code == 0
    assert [path.name for path in output.iterdir()] == ["out.png"]


def test_one_picture_does_not_replace_another_unasked(
    tmp_path: Path, output: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in.jpg").write_bytes(encode())
    (output / "out.png").write_text("mine")
    assert run([tmp_path / "in.jpg", "-o", output / "out.png", *FAST], capfd)[0] == 5
    assert (output / "out.png").read_text() == "mine"
    assert run([tmp_path / "in.jpg", "-o", output / "out.png", "-y", *FAST], capfd)[0] == 0
    assert picture_of(output / "out.png")[0] == "PNG"


def test_a_folder_of_jpegs_to_a_video(tmp_path: Path, output: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "in").mkdir()
    for number, data in enumerate(pictures(3)):
        (tmp_path / "in" / f"img{number}.jpg").write_bytes(data)
    assert run([tmp_path / "in", "-o", output / "out.mp4", *FAST], capfd)[0] == 0
    assert len(times(output / "out.mp4")) == 3
    assert run([tmp_path / "in" / "*.jpg", "-o", output / "%d.png", *FAST], capfd)[0] == 0
    assert sorted(path.name for path in output.glob("*.png")) == ["0.png", "1.png", "2.png"]


@pytest.mark.parametrize(("how", "size"), [("side", (128, 48)), ("split", (64, 48))])
def test_compare(clip: Path, output: Path, how: str, size: tuple[int, int], capfd: pytest.CaptureFixture[str]) -> None:
    code, _, _ = run([clip, "-o", output / "out.mp4", "--compare", how, "-m", "stream-lite"], capfd)
    assert code == 0
    with av.open(str(output / "out.mp4")) as container:
        assert (container.streams.video[0].width, container.streams.video[0].height) == size


def test_frames_start_and_duration(clip: Path, output: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for words, count in [
        (["--frames", 2], 2),
        (["--start", "0.08"], 4),
        (["--duration", "0.12"], 3),
        (["--start", "0:00:00.04", "--duration", "0.08"], 2),
    ]:
        assert run([clip, "-o", output / "out.mkv", "-y", *FAST, *words], capfd)[0] == 0
        found = times(output / "out.mkv")
        assert len(found) == count
        assert found[0] == 0


# ---- what is said ----


def test_json_is_the_report(clip: Path, output: Path, capfd: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run([clip, "-o", output / "out.mp4", "--json", "--device", "onnxruntime"], capfd)
    report = json.loads(out, parse_constant=pytest.fail)
    assert code == 0
    assert report["frames"] == 6
    assert report["size"] == list(SIZE)
    assert report["quality"] == {"min": 60, "median": 60, "max": 60}
    assert set(report["latency_ms"]) == {"p50", "p95", "p99"}
    assert (report["model"], report["sampling"], report["interrupted"]) == ("stream", "4:2:0", False)
    assert report.keys() >= {"fps", "speed", "damaged", "repaired", "unreadable", "held", "dropped", "truncated"}
    assert report["runtime"]
    assert report["reader"]


def test_json_of_one_picture_has_no_speed(tmp_path: Path, output: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "in.jpg").write_bytes(encode())
    _, out, _ = run([tmp_path / "in.jpg", "-o", output / "out.png", "--json", "-q", *FAST], capfd)
    assert json.loads(out, parse_constant=pytest.fail)["speed"] is None


def test_quiet_says_nothing(clip: Path, output: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run([clip, "-o", output / "out.mp4", "-q", *FAST], capfd) == (0, "", "")


def test_damage_is_summed_up(tmp_path: Path, output: Path, capfd: pytest.CaptureFixture[str]) -> None:
    parts = pictures(5)
    start, end = scan_span(parts[2])
    parts[2] = parts[2][: (start + end) // 2]
    (tmp_path / "cam.mjpeg").write_bytes(b"".join(parts))
    code, _, err = run([tmp_path / "cam.mjpeg", "-o", output / "out.mp4", *FAST], capfd)
    assert code == 0
    assert "mjpeg-restore: 1 damaged, 1 repaired (first: packet 2, byte " in err
    code, _, err = run([tmp_path / "cam.mjpeg", "-o", output / "b.mp4", "--on-corrupt", "drop", *FAST], capfd)
    assert "1 damaged, 1 dropped" in err
    assert len(times(output / "b.mp4")) == 4


def test_verify_counts_what_quantises_back(clip: Path, capfd: pytest.CaptureFixture[str]) -> None:
    code, out, err = run([clip, "--verify", "--json", *FAST], capfd)
    found = json.loads(out)["verified"]
    assert code == 0
    assert found["coefficients"] == 6 * 64 * (8 * 6 + 2 * 4 * 3)
    assert found["inside"] > 0.99 * found["coefficients"]
    assert "verified 27,648 coefficients: 100.000% quantise back" in err
    assert f"; of the others, {found['rounded']} miss by no more than rounding to eight bits, " in err
    assert err.endswith(f"{found['clipped']} stand beside samples cut off at black or white, 0 miss by more\n")


def test_verify_of_a_picture_without_a_whole_block(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "tiny.jpg").write_bytes(encode("4:2:0", (6, 5)))
    code, _, err = run([tmp_path / "tiny.jpg", "--verify", *FAST], capfd)
    assert code == 0
    assert err.endswith("mjpeg-restore: nothing to verify: no picture holds a whole block\n")


def test_sound_that_the_output_cannot_hold_is_told_of(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "in.avi"
    with av.open(str(path), "w") as container:
        video = container.add_mux_stream("mjpeg", rate=25, width=SIZE[0], height=SIZE[1])
        audio = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        for number, data in enumerate(pictures(3)):
            mux_packet(container, video, data, number + number // 2, Fraction(1, 25))  # a rate that y4m cannot hold
            mux_sound(container, audio, number, Fraction(1, 25))
    for words, told in (
        (["-o", tmp_path / "pictures"], True),
        (["-o", tmp_path / "out.y4m"], True),
        (["-o", tmp_path / "out.mkv"], False),
        (["-o", tmp_path / "quiet", "--no-audio"], False),
    ):
        code, _, err = run([path, *words, *FAST], capfd)
        assert code == 0
        assert (f"the sound is left out: {words[1]} holds pictures only" in err) == told
    _, out, _ = run(["inspect", path], capfd)
    assert "  sound        yes\n" in out


def test_a_truncated_recording_is_told_of(tmp_path: Path, output: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = mux(tmp_path / "in.avi", range(0, 4000, 40))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    code, _, err = run([path, "-o", output / "out.mp4", *FAST], capfd)
    assert code == 0
    assert str(path) in err.splitlines()[-1]
    assert 30 < len(times(output / "out.mp4")) < 90


def test_version_names_the_reader_and_the_runtimes(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert caught.value.code == 0
    out = capfd.readouterr().out
    assert f"mjpeg-restore {mjpeg_restore.__version__}" in out
    assert "coefficient reader: " in out
    assert "(native)" in out or "(fallback)" in out
    assert "decode and projection: " in out
    assert "ONNX Runtime" in out


def test_help_shows_examples_and_exit_codes(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    out = capfd.readouterr().out
    assert caught.value.code == 0
    assert "mjpeg-restore cam.mjpeg -o out.mp4" in out
    assert "exit codes: 0 done, 2 wrong arguments" in out


def test_progress_is_a_plain_line_now_and_then(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("mjpeg_restore.cli.progress.EVERY", 0.0)
    info = SourceInfo("cam", "stream", "JPEG stream", "assumed", Fraction(1, 25), frames=100)
    with Progress(info, None, quiet=False) as progress:
        progress.update(Report(frames=7))
    assert capsys.readouterr().err.startswith("mjpeg-restore: frame 7 of about 100, ")
    with Progress(info, None, quiet=True) as progress:
        progress.update(Report(frames=7))
    assert capsys.readouterr().err == ""


def test_progress_is_a_bar_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    info = SourceInfo("cam", "stream", "JPEG stream", "assumed", Fraction(1, 25), frames=100)
    with Progress(info, 50, quiet=False) as progress:
        progress.update(Report(frames=7))
    assert "7/50" in terminal.getvalue()
    assert "frames/s" in terminal.getvalue()


# ---- what is wrong ----


def h264(path: Path) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, width=64, height=48)
        for _ in range(3):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(scene(64, 48), "rgb24")))
        container.mux(stream.encode(None))
    return path


def wrong_input(kind: str, folder: Path) -> Path:
    path = folder / kind.replace(" ", "-")
    if kind == "empty":
        path.touch()
    elif kind == "text":
        path.write_text("this is no video\n" * 50)
    elif kind == "png.mjpeg":
        Image.fromarray(scene(32, 32)).save(path, "PNG")
    elif kind == "folder":
        path.mkdir()
        (path / "notes.txt").touch()
    elif kind == "truncated.avi":
        path.write_bytes(mux(folder / "whole.avi", range(0, 400, 40)).read_bytes()[:300])
    elif kind == "h264.mp4":
        h264(path)
    elif kind == "noise":
        path.write_bytes(np.random.default_rng(0).bytes(5000))
    elif kind == "broken.mjpeg":
        path.write_bytes(b"".join(data[:250] + b"\xff\xd9" for data in pictures()))
    elif kind == "two\nlines":
        path.write_text("no video")
    return path


def test_an_empty_name_is_no_folder(output: Path, capfd: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(["", "-o", output / "out.mp4"], capfd)
    assert (code, out) == (3, "")
    assert "empty name" in err


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("missing.mjpeg", "no such file or folder"),
        ("empty", "is empty"),
        ("text", "is text, not video"),
        ("png.mjpeg", "is a PNG picture"),
        ("folder", "holds no JPEG files"),
        ("truncated.avi", ""),
        ("h264.mp4", "H.264"),
        ("noise", "holds no JPEG picture"),
        ("broken.mjpeg", ""),
        ("none-*.jpg", "no file matches"),
        ("two\nlines", "is text, not video"),
    ],
)
@pytest.mark.parametrize("command", ["restore", "inspect"])
def test_wrong_input_is_one_line(
    tmp_path: Path, output: Path, kind: str, words: str, command: str, capfd: pytest.CaptureFixture[str]
) -> None:
    path = wrong_input(kind, tmp_path)
    arguments = [path, "-o", output / "out.mp4"] if command == "restore" else ["inspect", path]
    code, out, err = run(arguments, capfd)
    assert (code, out) == (3, "")
    assert_one_line(err)
    assert words in err
    assert list(output.iterdir()) == []


def test_the_input_is_not_overwritten(clip: Path, capfd: pytest.CaptureFixture[str]) -> None:
    before = clip.read_bytes()
    code, _, err = run([clip, "-o", clip, "-y"], capfd)
    assert code == 5
    assert_one_line(err)
    assert "is the input itself" in err
    assert clip.read_bytes() == before


@pytest.mark.parametrize("form", ["file://{}", "-"])
def test_the_input_is_not_overwritten_by_another_name(clip: Path, form: str) -> None:
    before = clip.read_bytes()
    with clip.open("rb") as file:
        done = subprocess.run([*COMMAND, form.format(clip), "-o", clip, "-y", *FAST], stdin=file, capture_output=True)
    assert done.returncode == 5
    assert_one_line(done.stderr.decode())
    assert clip.read_bytes() == before


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("", ["-o", "{}/%d.jpg"]),
        ("/*.jpg", ["-o", "{}", "--image-format", "jpeg"]),
        ("/000000.jpg", ["-o", "{}/000000.jpg"]),
    ],
)
def test_input_pictures_are_not_overwritten(
    tmp_path: Path, spec: str, words: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    for number, data in enumerate(pictures(2)):
        (tmp_path / f"{number:06}.jpg").write_bytes(data)
    code, _, err = run([f"{tmp_path}{spec}", *(word.format(tmp_path) for word in words), "-y", *FAST], capfd)
    assert code == 5
    assert_one_line(err)
    assert [path.read_bytes() for path in sorted(tmp_path.iterdir())] == pictures(2)


@pytest.mark.parametrize("command", ["inspect {clip}", "inspect {clip} --json", "models", "--help", "--version"])
@pytest.mark.parametrize(("where", "code"), [("| true", 0), pytest.param("> /dev/full", 5, marks=LINUX), (">&-", 5)])
def test_a_result_that_nobody_takes(clip: Path, command: str, where: str, code: int) -> None:
    words = f"set -o pipefail; {' '.join(COMMAND)} {command.format(clip=clip)} {where}"
    done = subprocess.run(["bash", "-c", words], capture_output=True, text=True)
    assert done.returncode == code, done.stderr
    if code:
        assert_one_line(done.stderr)
    else:
        assert done.stderr == ""


@pytest.mark.parametrize(
    ("words", "where", "code", "lines"),
    [
        ("- -o {output}/a.y4m", "<&-", 3, 1),
        ("{clip} -o -", ">&-", 5, 1),
        pytest.param("{clip} -o -", "> /dev/full", 5, 1, marks=LINUX),
        ("{clip} -o {output}/a.y4m", "2>&-", 0, 0),
        pytest.param("{clip} -o {output}/a.y4m", "2> /dev/full", 0, 0, marks=LINUX),
    ],
)
def test_standard_streams_that_are_closed_or_full(
    clip: Path, output: Path, words: str, where: str, code: int, lines: int
) -> None:
    command = " ".join([*COMMAND, words.format(clip=clip, output=output), *FAST, where])
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert done.returncode == code, done.stderr
    assert done.stderr.count("\n") == lines
    assert [path.name for path in output.iterdir()] == ([] if code else ["a.y4m"])


def test_nohup_stays_in_force(clip: Path, output: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    monkeypatch.setattr(Progress, "update", lambda *_: os.kill(os.getpid(), signal.SIGHUP))
    try:
        assert main([str(clip), "-o", str(output / "out.y4m"), *FAST]) == 0
    finally:
        signal.signal(signal.SIGHUP, before)


def test_versions_are_found_out_only_when_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mjpeg_restore.cli.arguments.versions", pytest.fail)
    restore_parser().parse_args(["in.mjpeg"])


@pytest.mark.parametrize(
    ("model", "device", "runtime", "told"),
    [
        ("stream", "auto", "ONNX Runtime 1.32.0, CPU", True),
        ("stream", "onnxruntime", "ONNX Runtime 1.32.0, CPU", False),
        ("stream", "auto", "OpenVINO 2026.4.1, CPU, f32", False),
        ("decode", "auto", "ONNX Runtime 1.32.0, CPU", False),
    ],
)
def test_a_run_without_openvino_is_told_what_would_be_faster(
    model: str, device: str, runtime: str, told: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mjpeg_restore.cli.versions._installed", lambda _: None)
    assert ("pip install openvino" in (faster(model, device, runtime) or "")) is told
    monkeypatch.setattr("mjpeg_restore.cli.versions._installed", lambda _: "2026.4.1")
    assert faster(model, device, runtime) is None


def test_an_output_that_exists_stays_untouched(clip: Path, output: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (output / "out.mp4").write_text("mine")
    code, _, err = run([clip, "-o", output / "out.mp4", *FAST], capfd)
    assert code == 5
    assert_one_line(err)
    assert "give -y" in err
    assert (output / "out.mp4").read_text() == "mine"
    assert run([clip, "-o", output / "out.mp4", "-y", *FAST], capfd)[0] == 0
    assert len(times(output / "out.mp4")) == 6


def test_an_output_that_is_replaced_stays_until_the_end(
    tmp_path: Path, output: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (output / "out.mp4").write_text("mine")
    code, _, _ = run([wrong_input("broken.mjpeg", tmp_path), "-o", output / "out.mp4", "-y", *FAST], capfd)
    assert code == 3
    assert (output / "out.mp4").read_text() == "mine"
    assert [path.name for path in output.iterdir()] == ["out.mp4"]


@pytest.mark.parametrize(
    ("words", "code", "say"),
    [
        (["-m", "strem"], 4, "no model 'strem'"),
        (["--device", "tpu"], 4, "no device 'tpu'"),
        (["-c", "h265000"], 5, "no video encoder"),
        (["-e", "nonsense=1"], 5, "no option 'nonsense'"),
    ],
)
def test_wrong_choices_have_their_exit_code(
    clip: Path, output: Path, words: list[str], code: int, say: str, capfd: pytest.CaptureFixture[str]
) -> None:
    found, out, err = run([clip, "-o", output / "out.mp4", *words], capfd)
    assert (found, out) == (code, "")
    assert_one_line(err)
    assert say in err
    assert list(output.iterdir()) == []


@pytest.mark.parametrize("name", ["out.wmv", "no/such/folder/out.mp4", "no/such/folder/out.png"])
def test_wrong_outputs_are_one_line(clip: Path, output: Path, name: str, capfd: pytest.CaptureFixture[str]) -> None:
    code, _, err = run([clip, "-o", output / name, *FAST], capfd)
    assert code == 5
    assert_one_line(err)
    assert list(output.iterdir()) == []


def test_a_window_that_cannot_be_had_begins_no_output(
    clip: Path, output: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    code, _, err = run([clip, "-o", output / "out.mp4", "--show", *FAST], capfd)
    assert code == 4
    assert_one_line(err)
    assert "pip install opencv-python (the extra mjpeg-restore[show])" in err
    assert list(output.iterdir()) == []


def test_a_pattern_that_the_shell_has_spelt_out_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["a.jpg", "b.jpg", "c.jpg", "-o", "out"])
    assert stopped.value.code == 2
    assert "one INPUT is taken, here are 3: quote a pattern, or name the folder" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["in.mjpeg"],
        ["in.mjpeg", "-o"],
        ["in.mjpeg", "-o", "out.mp4", "--frames", "0"],
        ["in.mjpeg", "-o", "out.mp4", "--frames", "few"],
        ["in.mjpeg", "-o", "out.mp4", "--frames", "9" * 23],
        ["inspect", "in.mjpeg", "--frames", "9" * 23],
        ["in.mjpeg", "-o", "out.mp4", "--threads", "9999"],
        ["in.mjpeg", "-o", "out.mp4", "--fps", "fast"],
        ["in.mjpeg", "-o", "out.mp4", "--fps", "1/0"],
        ["in.mjpeg", "-o", "out.mp4", "--start", "1:2:3:4"],
        ["in.mjpeg", "-o", "out.mp4", "--start=-1"],
        ["in.mjpeg", "-o", "out.mp4", "--duration", "nan"],
        ["in.mjpeg", "-o", "out.mp4", "--duration", "0"],
        ["in.mjpeg", "-o", "out.mp4", "--start", "1e999999999"],
        ["in.mjpeg", "-o", "out.mp4", "--fps", "1e999999999"],
        ["in.mjpeg", "-o", "out.mp4", "--compare", "both"],
        ["in.mjpeg", "-o", "out.mp4", "-e", "novalue"],
        ["in.mjpeg", "-o", "out.mp4", "--nonsense"],
        ["inspect"],
        ["models", "extra"],
        ["inspect", "in.mjpeg", "-o", "out.mp4"],
        ["models", "in.mjpeg", "--verify"],
        ["inspect", "a.mjpeg", "b.mjpeg"],
    ],
)
def test_wrong_arguments_exit_with_2(words: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(words)
    assert caught.value.code == 2
    err = capfd.readouterr().err
    assert_one_line(err)
    assert "; see mjpeg-restore" in err
    assert err.endswith(" --help\n")


# ---- inspect and models ----


@pytest.mark.parametrize("name", ["models", "inspect"])
def test_a_recording_may_be_called_like_a_command(
    clip: Path, name: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Restoring says what for: with -o, --show or --verify the name is a file's."""
    monkeypatch.chdir(clip.parent)
    clip.rename(name)
    for words in ([name, "-o", "out.mp4"], ["-o", "out.mp4", name], [f"./{name}", "--json", "-oout.mp4"]):
        assert run([*words, "-y", *FAST], capfd)[0] == 0
        assert len(times(Path("out.mp4"))) == 6
    assert run([name, "--verify", *FAST], capfd)[0] == 0
    assert run(["inspect", name], capfd)[1].startswith(f"{name}: JPEG stream, 6 pictures")
    assert run(["models"], capfd)[1].startswith("decode: ")


def test_a_folder_may_be_called_like_a_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models").mkdir()
    for number, data in enumerate(pictures(3)):
        (tmp_path / "models" / f"{number}.jpg").write_bytes(data)
    assert run(["models", "-o", "out.mp4", *FAST], capfd)[0] == 0
    assert len(times(tmp_path / "out.mp4")) == 3
    assert run(["models"], capfd)[1].startswith("decode: ")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--help"], "mjpeg-restore inspect INPUT "),
        (["--help"], "mjpeg-restore models "),
        (["inspect", "--help"], "usage: mjpeg-restore inspect "),
        (["models", "--help"], "usage: mjpeg-restore models "),
    ],
)
def test_help_names_the_commands(words: list[str], told: str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(words)
    assert caught.value.code == 0
    assert told in capfd.readouterr().out


def test_inspect_for_people(clip: Path, capfd: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(["inspect", clip], capfd)
    assert (code, err) == (0, "")
    assert f"{clip}: JPEG stream, 6 pictures" in out
    for words in ("64x48", "4:2:0", "luma 60, chroma 60", "1 different set", "none: assumed", "25.000 frames/s"):
        assert words in out
    luma, chroma = scaled_tables(60)
    for title, table in (("luma table", luma), ("chroma table", chroma)):
        first = " ".join(f"{step:3}" for step in table.reshape(64)[:8])
        assert f"  {title:12} {first}\n" in out
    assert "  sound        none\n" in out


def test_inspect_as_json(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    parts = [*pictures(4), encode("4:2:2", (32, 32), quality=20, restart_marker_blocks=2)[:-2]]
    start, end = scan_span(parts[1])
    parts[1] = parts[1][: (start + end) // 2]
    parts[2] = b"--boundary\r\n" + parts[2]
    (tmp_path / "cam.mjpeg").write_bytes(b"".join(parts))
    code, out, _ = run(["inspect", tmp_path / "cam.mjpeg", "--json"], capfd)
    found = json.loads(out, parse_constant=pytest.fail)
    assert code == 0
    assert found["pictures"] == 5
    assert found["sizes"] == {"64x48": 4, "32x32": 1}
    assert found["samplings"] == {"4:2:0": 4, "4:2:2": 1}
    assert found["quality_luma"] == {"20": 1, "60": 4}
    assert found["table_sets"] == 2
    assert [len(table) for table in found["first_tables"]] == [64, 64]
    assert found["restart_intervals"] == {"0": 4, "2": 1}
    assert sum(found["damage"].values()) == 1
    assert found["properties"]["no end marker"] == 2
    assert found["intervals"] == {"1/25": 4}
    assert found["audio"] is False


def test_inspect_looks_at_some_pictures_only(clip: Path, capfd: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(["inspect", clip, "--frames", 2, "--json"], capfd)
    assert json.loads(out)["pictures"] == 2


def test_inspect_of_variable_time_stamps(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(["inspect", mux(tmp_path / "in.mkv", [0, 40, 80, 1000])], capfd)
    assert "the container's, 0.000 s to 1.000 s, variable, mostly 25.000 frames/s" in out


@pytest.mark.parametrize(("model", "quality", "told"), [("l8", 20, False), ("l8", 30, False), ("l8", 31, True)])
def test_a_network_for_other_qualities_is_named(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], model: str, quality: int, told: bool
) -> None:
    (tmp_path / "a.jpg").write_bytes(encode("4:2:0", (32, 32), quality=quality))
    code, _, err = run([str(tmp_path / "a.jpg"), "-o", str(tmp_path / "a.png"), "-m", model], capfd)
    assert code == 0
    words = f"l8 was trained for Q20, these pictures are of about Q{quality}: stream is for all qualities"
    assert (words in err) is told


def test_models_for_people_and_as_json(capfd: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(["models"], capfd)
    assert (code, err) == (0, "")
    assert out.startswith("decode: ")
    assert "\nstream: " in out
    assert "kMAC per pixel" in out
    assert re.search(r"\nhr-cnn: .*\n.*\n +live1 +Q10 +Q30 +Q50\n +luma gain, dB +\+1\.\d\d ", out)
    _, out, _ = run(["models", "--json"], capfd)
    found = json.loads(out, parse_constant=pytest.fail)
    assert list(found)[:3] == ["decode", "stream", "stream-lite"]
    assert found["stream"]["parameters"] > 100_000
    assert found["qgac"]["texture"]["training"]["hours"] > 0


# ---- pipes and signals ----


def test_a_y4m_pipe(clip: Path) -> None:
    done = subprocess.run(
        [*COMMAND, "-", "-o", "-", "--json", *FAST], input=clip.read_bytes(), capture_output=True, check=True
    )
    assert done.stdout.startswith(b"YUV4MPEG2 W64 H48 F25:1 ")
    assert done.stdout.count(b"FRAME\n") == 6
    assert len(done.stdout.partition(b"\n")[2]) == 6 * (6 + 64 * 48 * 3 // 2)
    summary, _ = done.stderr.decode().splitlines()
    assert json.loads(summary)["frames"] == 6


def test_a_reader_that_goes_away_is_no_error(clip: Path) -> None:
    with subprocess.Popen(
        [*COMMAND, str(clip), "-o", "-", "-q", *FAST], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0


def until(condition: Callable[[], bool]) -> None:
    """Wait for another process, for as long as a slow machine may need."""
    for _ in range(3000):
        if condition():
            return
        time.sleep(0.01)
    raise TimeoutError


IGNORED = pytest.mark.skipif(signal.getsignal(signal.SIGHUP) == signal.SIG_IGN, reason="these tests run under nohup")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, pytest.param(signal.SIGHUP, marks=IGNORED)])
def test_a_signal_finishes_the_output_while_a_pipe_is_waited_for(output: Path, number: signal.Signals) -> None:
    words = ["-", "-o", f"{output}/frames/", "--json", *FAST]
    with subprocess.Popen(
        [*COMMAND, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdin.write(b"".join(pictures(5)) + pictures(1)[0][:200])  # the sixth has only begun
        process.stdin.flush()
        until(lambda: (output / "frames" / "000004.png").exists())
        process.send_signal(number)
        report, errors = process.stdout.read().decode(), process.stderr.read().decode()
    assert process.returncode == 130, errors
    assert_one_line(errors)
    assert json.loads(report)["interrupted"] is True
    assert sorted(path.name for path in (output / "frames").iterdir()) == [f"{n:06}.png" for n in range(5)]


def unread(pipe: object) -> int:
    """Bytes in a pipe that nobody has taken yet."""
    termios = pytest.importorskip("termios")
    count = array.array("i", [0])
    pytest.importorskip("fcntl").ioctl(pipe, termios.FIONREAD, count)
    return count[0]


@pytest.mark.parametrize("share", [0.01, 0.75], ids=["within its head", "within its pictures"])
@pytest.mark.parametrize("words", [["-", "-o", "out.mp4", *FAST], ["inspect", "-"]], ids=["restore", "inspect"])
def test_ctrl_c_while_a_container_is_silent(tmp_path: Path, share: float, words: list[str]) -> None:
    clip = mux(tmp_path / "clip.avi", range(0, 12000, 40)).read_bytes()
    with subprocess.Popen([*COMMAND, *words], stdin=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        process.stdin.write(clip[: int(len(clip) * share)])
        process.stdin.flush()
        until(lambda: unread(process.stdin) == 0)
        process.send_signal(signal.SIGINT)
        try:
            assert process.wait(15) == 130
        finally:
            process.kill()
        assert_one_line(process.stderr.read().decode())
    finished = tmp_path / "out.mp4"
    assert finished.exists() == ("-o" in words and share > 0.5)
    if finished.exists():
        assert len(times(finished)) > 100


def test_ctrl_c_leaves_a_whole_mp4(
    output: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def interrupt(progress: Progress, report: Report) -> None:
        if report.frames == 5:
            # Sent to the thread that waits, as the system does with a signal to the process.
            threading.Timer(0.05, signal.pthread_kill, [threading.main_thread().ident, signal.SIGINT]).start()

    monkeypatch.setattr(Progress, "update", interrupt)
    reading, writing = os.pipe()
    with open(reading) as stdin, open(writing, "wb") as pipe:
        monkeypatch.setattr(sys, "stdin", stdin)
        pipe.write(b"".join(pictures(5)) + pictures(1)[0][:200])
        pipe.flush()
        code, _, err = run(["-", "-o", output / "out.mp4", *FAST], capfd)
    assert code == 130
    assert_one_line(err)
    assert len(times(output / "out.mp4")) == 5
    assert [path.name for path in output.iterdir()] == ["out.mp4"]


def test_ctrl_c_before_the_first_picture_leaves_nothing(output: Path) -> None:
    with subprocess.Popen(
        [*COMMAND, "-", "-o", str(output / "out.mp4"), *FAST], stdin=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        process.stdin.write(pictures(1)[0][:300])  # enough to see what it is
        process.stdin.flush()
        until(lambda: any(output.iterdir()))
        process.send_signal(signal.SIGINT)
        errors = process.stderr.read().decode()
    assert process.returncode == 130
    assert errors == "mjpeg-restore: stopped\n"
    assert list(output.iterdir()) == []


# ---- one of many pictures, and texture ----


def still(folder: Path) -> Path:
    path = folder / "still.jpg"
    path.write_bytes(encode("4:2:0", SIZE, 1))
    return path


def test_candidates_are_different_pictures_and_seeds_repeat(
    tmp_path: Path, output: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    words = [still(tmp_path), "-m", "one-to-many", "--device", "onnxruntime"]
    assert run([*words, "-o", output / "a.png", "--candidates", 2, "--seed", 7], capfd)[0] == 0
    assert run([*words, "-o", output / "b.png", "--seed", 8], capfd)[0] == 0
    assert sorted(path.name for path in output.iterdir()) == ["a-1.png", "a-2.png", "b.png"]
    first, second, again = (picture_of(output / name)[1] for name in ("a-1.png", "a-2.png", "b.png"))
    assert np.abs(first.astype(int) - second).mean() > 2
    np.testing.assert_array_equal(second, again)


def test_candidates_need_a_model_that_has_them(clip: Path, output: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([str(clip), "-o", str(output / "a.mp4"), "--candidates", "2"])
    assert stopped.value.code == 2
    assert "model 'stream' knows one answer only; one-to-many has many" in capfd.readouterr().err


def test_candidates_need_an_input_that_can_be_read_again(output: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["-", "-o", str(output / "a.mp4"), "-m", "one-to-many", "--candidates", "2"])
    assert stopped.value.code == 2
    assert "INPUT is read once for each" in capfd.readouterr().err


@pytest.mark.parametrize("name", [".", "..", "/", "folder"])
def test_candidates_need_a_file_to_go_to(clip: Path, name: str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([str(clip), "-o", name, "-m", "one-to-many", "--candidates", "2"])
    assert "OUTPUT a file such as out.png" in capfd.readouterr().err


def test_candidates_replace_nothing_unasked(tmp_path: Path, output: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (output / "a-2.png").write_bytes(b"mine")
    with pytest.raises(SystemExit):
        main([str(still(tmp_path)), "-o", str(output / "a.png"), "-m", "one-to-many", "--candidates", "2"])
    assert "a-2.png exists" in capfd.readouterr().err
    assert [path.name for path in output.iterdir()] == ["a-2.png"]


@pytest.mark.parametrize("words", [["--seed", "3"], ["--texture", "0.5"]])
def test_what_has_no_effect_is_refused(clip: Path, words: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([str(clip), "-o", "out.mp4", *words])
    assert stopped.value.code == 2
    assert f"{words[0]}: model 'stream'" in capfd.readouterr().err


def test_texture_is_blended_in(tmp_path: Path, output: Path, capfd: pytest.CaptureFixture[str]) -> None:
    words = [still(tmp_path), "-m", "qgac", "--device", "onnxruntime"]
    found = []
    for share in ("0", "0.5", "1"):
        path = output / f"{share}.png"
        assert run([*words, "-o", path, "--texture", share], capfd)[0] == 0
        found.append(picture_of(path)[1])
    assert (found[0] != found[2]).any()
    assert np.abs(found[1] - found[0]).mean() < np.abs(found[2] - found[0]).mean()


@pytest.mark.parametrize("word", ["-0.1", "1.1", "much", "nan"])
def test_texture_is_a_share(clip: Path, word: str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([str(clip), "-o", "out.mp4", f"--texture={word}"])
    assert "--texture" in capfd.readouterr().err
