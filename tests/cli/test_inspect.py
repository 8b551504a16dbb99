"""`mjpeg-restore inspect`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mjpeg_restore.jpeg.tables import scaled_tables
from tests.cli.command import mux, pictures, run
from tests.jpeg.pictures import encode, scan_span


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
