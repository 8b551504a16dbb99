"""What is said after a run."""

from __future__ import annotations

import json
from fractions import Fraction
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import av
import pytest

from mjpeg_restore.cli.summary import summary
from mjpeg_restore.report import OutputReport, Report
from tests.cli.command import FAST, SIZE, mux, pictures, run, times
from tests.jpeg.pictures import encode, scan_span
from tests.sources.clips import mux_packet, mux_sound


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


def test_an_output_that_failed_is_not_where_the_pictures_went() -> None:
    outputs = OutputReport("a.mp4"), OutputReport("rtsp://server/cam", error="no connection")
    first, *_ = summary(Report(frames=5, model="decode", outputs=outputs), [one.name for one in outputs], "auto")
    assert first.startswith("5 frames to a.mp4, ")


def test_late_pictures_are_among_the_dropped_ones() -> None:
    report = Report(frames=5, packets=8, dropped=3, late=2, model="decode")
    assert "3 dropped, 2 of them late" in summary(report, [], "auto")


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
            mux_sound(container, audio, number)
    for words, told in (
        (["-o", tmp_path / "pictures"], True),
        (["-o", tmp_path / "out.y4m"], True),
        (["-o", tmp_path / "out.mkv"], False),
        (["-o", tmp_path / "quiet", "--no-audio"], False),
    ):
        code, _, err = run([path, *words, *FAST], capfd)
        assert code == 0
        assert (f"the sound is left out: {words[1]} takes pictures only" in err) == told
    _, out, _ = run(["inspect", path], capfd)
    assert "  sound        yes\n" in out


def test_a_truncated_recording_is_told_of(tmp_path: Path, output: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = mux(tmp_path / "in.avi", range(0, 4000, 40))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    code, _, err = run([path, "-o", output / "out.mp4", *FAST], capfd)
    assert code == 0
    assert str(path) in err.splitlines()[-1]
    assert 30 < len(times(output / "out.mp4")) < 90


@pytest.mark.parametrize(
    ("model", "device", "runtime", "suggested"),
    [
        ("stream", "auto", "ONNX Runtime 1.32.0, CPU", True),
        ("stream", "onnxruntime", "ONNX Runtime 1.32.0, CPU", False),
        ("stream", "auto", "OpenVINO 2026.4.1, CPU, f32", False),
        ("decode", "auto", "ONNX Runtime 1.32.0, CPU", False),
    ],
)
def test_a_run_without_openvino_suggests_openvino(
    model: str, device: str, runtime: str, suggested: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(package: str) -> str:
        raise PackageNotFoundError(package)

    monkeypatch.setattr("mjpeg_restore.cli.versions.version", missing)
    report = Report(model=model, runtime=runtime)
    assert ("pip install openvino" in "".join(summary(report, [], device))) is suggested
    monkeypatch.setattr("mjpeg_restore.cli.versions.version", lambda _: "2026.4.1")
    assert "pip install openvino" not in "".join(summary(report, [], device))


def test_an_output_whose_reader_has_gone_is_not_where_the_pictures_went() -> None:
    outputs = OutputReport("-", 2, missed=48, left=True), OutputReport("a.mp4", 50)
    first, second, *_ = summary(Report(frames=50, model="decode", outputs=outputs), ["-", "a.mp4"], "auto")
    assert first.startswith("50 frames to a.mp4, ")
    assert second == "-: its reader left after 2 frames, 48 missed"


def test_a_run_that_ended_with_its_only_reader_says_so() -> None:
    report = Report(frames=3, model="decode", outputs=(OutputReport("-", 3, left=True),))
    first, second, *_ = summary(report, ["-"], "auto")
    assert first.startswith("3 frames, ")
    assert second == "-: its reader left after 3 frames"
