from __future__ import annotations

import sys
from dataclasses import fields
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from mjpeg_restore.errors import SinkError
from mjpeg_restore.frames import Frame
from mjpeg_restore.sinks import (
    OutputSettings,
    SegmentLimit,
    Still,
    Stills,
    VideoFile,
    Y4mStream,
    effective_settings,
    open_sink,
    within,
)
from tests.sinks.conftest import flat, read


@pytest.mark.parametrize(
    ("target", "kind"),
    [
        ("a.mp4", VideoFile),
        ("a.MKV", VideoFile),
        ("a.y4m", Y4mStream),
        ("a.png", Still),
        ("a.JPG", Still),
        ("pictures", Stills),
        ("v1.2/", Stills),
        ("pictures/%04d.jpg", Stills),
    ],
)
def test_the_target_decides_the_sink(output: Path, target: str, kind: type) -> None:
    sink = open_sink(f"{output}/{target}")
    assert isinstance(sink, kind)
    sink.discard()


def test_an_existing_folder_with_a_dot_is_a_folder(output: Path) -> None:
    (output / "v1.2").mkdir()
    assert isinstance(open_sink(str(output / "v1.2")), Stills)


def test_dash_is_y4m_on_standard_output(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    sink = open_sink("-", OutputSettings(fps=Fraction(10)))
    sink.write(Frame(flat()))
    sink.close()
    assert capfdbinary.readouterr().out.startswith(b"YUV4MPEG2 W128 H96 F10:1 ")


def test_settings_reach_the_sink(output: Path) -> None:
    settings = OutputSettings(codec="ffv1", range="limited", overwrite=True)
    (output / "a.mkv").touch()
    sink = open_sink(str(output / "a.mkv"), settings)
    sink.write(Frame(flat()))
    sink.close()
    (frame,) = read(output / "a.mkv")
    assert frame.color_range == 1
    jpegs = open_sink(str(output / "f"), OutputSettings(image_format="jpeg"))
    jpegs.write(Frame(flat()))
    assert (output / "f" / "000000.jpg").exists()


def test_the_error_for_an_unknown_extension_lists_the_known_ones(output: Path) -> None:
    with pytest.raises(SinkError, match=r"\.mp4 .*\.mkv"):
        open_sink(str(output / "a.wmv"))


@pytest.mark.parametrize(
    ("target", "settings", "message"),
    [
        ("a.y4m", OutputSettings(codec="hevc", crf=3), "no effect on y4m: leave codec out"),
        ("-", OutputSettings(crf=3), "no effect on y4m: leave crf out"),
        ("a.png", OutputSettings(crf=3), "no effect on .png: leave crf out"),
        ("a.jpg", OutputSettings(range="limited"), "no effect on .jpg: leave range out"),
        ("f", OutputSettings(preset="fast"), "no effect on a folder of png: leave preset out"),
        ("f", OutputSettings(crf=3), "no effect on a folder of png: leave crf out"),
        ("%d.jpg", OutputSettings(image_format="jpeg"), "no effect on .jpg: leave image_format out"),
        ("a.mp4", OutputSettings(image_format="jpeg"), "no effect on a video file: leave image_format out"),
        ("a.mkv", OutputSettings(codec="mjpeg", range="limited"), "no effect on mjpeg, .*: leave range out"),
        ("a.y4m", OutputSettings(options={"g": "1"}), "no effect on y4m: leave options out"),
    ],
)
def test_settings_without_effect_are_refused(output: Path, target: str, settings: OutputSettings, message: str) -> None:
    with pytest.raises(SinkError, match=message):
        open_sink(target if target == "-" else f"{output}/{target}", settings)
    assert list(output.iterdir()) == []


@pytest.mark.parametrize(
    ("target", "settings"),
    [
        ("a.jpg", OutputSettings(crf=3)),
        ("f", OutputSettings(image_format="jpeg", crf=3)),
        ("%d.jpg", OutputSettings(crf=3)),
        ("a.y4m", OutputSettings(range="limited", fps=Fraction(10))),
    ],
)
def test_settings_with_effect_are_accepted(output: Path, target: str, settings: OutputSettings) -> None:
    open_sink(f"{output}/{target}", settings).discard()


DIFFERENT = OutputSettings(
    codec="ffv1",
    crf=3,
    preset="fast",
    range="limited",
    options={"g": "1"},
    threads=1,
    overwrite=True,
    fps=Fraction(10),
    sample_aspect=Fraction(2),
    image_format="jpeg",
    pixel_format="gray",
    live=True,
    segment=SegmentLimit(seconds=1),
    new_file_on_resize=True,
)


@pytest.mark.parametrize("name", [field.name for field in fields(OutputSettings)])
@pytest.mark.parametrize(
    "target",
    ["a.mkv", "a.y4m", "a.m3u8", "a.png", "a.jpg", "%d.png", "%d.jpg", "f", "v1.2/", "-", "raw:-", "udp://h:1"],
)
def test_effective_settings_are_those_that_are_not_refused(target: str, name: str, output: Path) -> None:
    changed = {name: getattr(DIFFERENT, name)}
    accepted = True
    try:
        open_sink(within(output, target), OutputSettings(**changed)).discard()
    except SinkError as error:
        accepted = "no effect on" not in str(error)
    assert (name in effective_settings(target)) is accepted


def test_a_quality_has_an_effect_on_a_folder_of_jpegs() -> None:
    assert "crf" in effective_settings("f", "jpeg")
    assert "crf" not in effective_settings("f", "png")


@pytest.mark.parametrize("name", ["a.mp4", "a.y4m", "a.png", "%d.png", "folder"])
@pytest.mark.parametrize(("before", "after"), [("\0", ""), ("x" * 300, ""), ("x" * 300 + "/", "")])
def test_invalid_file_names_are_sink_errors(output: Path, name: str, before: str, after: str) -> None:
    with pytest.raises(SinkError):
        open_sink(f"{output}/{before}{name}{after}").write(Frame(flat()))


def test_closed_standard_output_is_a_sink_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    with pytest.raises(SinkError, match="standard output is closed"):
        open_sink("-")


@pytest.mark.parametrize(("name", "kind"), [("x100%.mp4", VideoFile), ("x%s.png", Still), ("%.y4m", Y4mStream)])
def test_a_percent_sign_alone_is_not_a_pattern(output: Path, name: str, kind: type) -> None:
    sink = open_sink(f"{output}/{name}")
    assert isinstance(sink, kind)
    sink.write(Frame(flat()))
    sink.close()
    assert [path.name for path in output.iterdir()] == [name]


def test_two_numbers_in_a_pattern_are_refused(output: Path) -> None:
    with pytest.raises(SinkError, match="holds one number"):
        open_sink(f"{output}/%d-%d.png")


def test_a_target_is_a_path_or_its_name(output: Path) -> None:
    sink = open_sink(output / "a.png")
    sink.write(Frame(flat()))
    sink.close()
    assert (output / "a.png").exists()
    with pytest.raises(SinkError, match="has an empty name"):
        open_sink("")


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"range": "half"}, "range 'half': there are full, limited"),
        ({"image_format": "gif"}, "image_format 'gif': there are png, jpeg"),
        ({"fps": 0}, "fps 0: more than 0"),
        ({"fps": float("nan")}, "fps nan: a number"),
        ({"fps": [25]}, r"fps \[25\]: a number"),
        ({"sample_aspect": -1}, "sample_aspect -1: more than 0"),
        ({"sample_aspect": None}, "sample_aspect None: a number"),
        ({"threads": 0}, "threads 0: one or more"),
    ],
)
def test_settings_without_meaning_are_refused(settings: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        OutputSettings(**settings)


@pytest.mark.parametrize(("number", "fraction"), [(25, Fraction(25)), (12.5, Fraction(25, 2)), (4 / 3, Fraction(4, 3))])
@pytest.mark.parametrize("name", ["a.avi", "a.mp4", "a.y4m"])
def test_a_rate_or_an_aspect_may_be_any_number(output: Path, name: str, number: Any, fraction: Fraction) -> None:
    settings = OutputSettings(fps=number, sample_aspect=number)
    assert (settings.fps, settings.sample_aspect) == (fraction, fraction)
    sink = open_sink(output / name, settings)
    for index in range(3):
        sink.write(Frame(flat(index=index)))
    sink.close()
    assert (output / name).exists()
