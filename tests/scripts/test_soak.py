"""The soak: what it finds in a file that lacks pictures, and a short one with everything in it."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import av
import pytest
from cameras.pictures import NumberedPictures
from measuring.endurance import Soak, check

from tests.lacking import needs_proc
from tests.scripts.running import run

REPORT = {"packets": 5, "frames": 5, "held": 0, "dropped": 0, "late": 0, "unreadable": 0}


def recorded(path: Path, numbers: list[int], stamps: list[int]) -> Path:
    """A file with these pictures at these times, in milliseconds."""
    pictures = NumberedPictures()
    with av.open(str(path), "w") as container:
        stream = container.add_mux_stream("mjpeg", rate=25, width=160, height=112)
        stream.time_base = Fraction(1, 1000)
        for number, pts in zip(numbers, stamps, strict=True):
            packet = av.Packet(pictures.jpeg(number))
            packet.stream, packet.pts, packet.dts, packet.time_base = stream, pts, pts, Fraction(1, 1000)
            container.mux(packet)
    return path


def soak_of(report: dict[str, int], memory: list[float] | None = None) -> Soak:
    samples = [(float(at), mb) for at, mb in enumerate(memory or [100.0] * 50)]
    return Soak(60.0, 130, report, {}, {}, memory=samples)


def test_a_file_with_everything(tmp_path: Path) -> None:
    result = soak_of(REPORT)
    check(result, recorded(tmp_path / "out.mkv", [0, 1, 2, 4, 5], [0, 40, 80, 160, 200]), [0, 1, 2, 4, 5])
    assert (result.frames, result.shown, result.missing, result.lost) == (5, 5, [], 0)
    assert result.failures() == []


def test_a_picture_that_is_nowhere(tmp_path: Path) -> None:
    result = soak_of(REPORT)
    check(result, recorded(tmp_path / "out.mkv", [0, 1, 1, 4, 5], [0, 40, 80, 160, 200]), [0, 1, 2, 4, 5])
    assert (result.missing, result.lost) == ([2], 1)
    assert result.failures() == ["1 pictures were sent whole, and are neither shown nor counted as late"]


def test_a_picture_that_was_late(tmp_path: Path) -> None:
    result = soak_of(REPORT | {"packets": 6, "dropped": 1, "late": 1})
    check(result, recorded(tmp_path / "out.mkv", [0, 1, 1, 4, 5], [0, 40, 80, 160, 200]), [0, 1, 2, 4, 5])
    assert (result.missing, result.lost, result.failures()) == ([2], 0, [])


def test_disorder_and_counts(tmp_path: Path) -> None:
    result = soak_of(REPORT | {"packets": 7, "frames": 6}, memory=[100.0] * 25 + [200.0] * 25)
    check(result, recorded(tmp_path / "out.mkv", [0, 2, 1, 4, 5], [0, 40, 80, 160, 200]), [])
    assert result.failures() == [
        "the report's counts do not add up",
        "1 frames are out of order",
        "the file has 5 frames, not 6",
        "memory grows",
    ]
    result.seconds = 59.0
    assert "memory grows" not in result.failures()  # maybe only the network was loaded


@pytest.mark.slow
@pytest.mark.network
@needs_proc
def test_a_short_soak() -> None:
    done = run("soak", "--minutes", "0.3", "--every", "1.5", "--size", "320x240", "--stall-timeout", "20", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    result = json.loads(done.stdout)
    assert len(result["faults"]) >= 4
    assert result["lost"] == 0
    assert result["shown"] > 20  # how many depends on the machine
