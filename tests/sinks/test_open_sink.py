from __future__ import annotations

import io
import sys
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import pytest

from mjpeg_restore.errors import SinkError
from mjpeg_restore.sinks import OutputSettings, Still, Stills, VideoFile, Y4mStream, open_sink
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
def test_the_name_decides(output: Path, target: str, kind: type) -> None:
    sink = open_sink(f"{output}/{target}")
    assert isinstance(sink, kind)
    sink.discard()


def test_an_existing_folder_with_a_dot_is_a_folder(output: Path) -> None:
    (output / "v1.2").mkdir()
    assert isinstance(open_sink(str(output / "v1.2")), Stills)


def test_dash_is_y4m_on_standard_output(monkeypatch: pytest.MonkeyPatch) -> None:
    pipe = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", SimpleNamespace(buffer=pipe))
    sink = open_sink("-", OutputSettings(fps=Fraction(10)))
    sink.write(flat())
    sink.close()
    assert pipe.getvalue().startswith(b"YUV4MPEG2 W128 H96 F10:1 ")


def test_settings_reach_the_sink(output: Path) -> None:
    settings = OutputSettings(codec="ffv1", range="limited", overwrite=True)
    (output / "a.mkv").touch()
    sink = open_sink(str(output / "a.mkv"), settings)
    sink.write(flat())
    sink.close()
    (frame,) = read(output / "a.mkv")
    assert frame.color_range == 1
    jpegs = open_sink(str(output / "f"), OutputSettings(image_format="jpeg"))
    jpegs.write(flat())
    assert (output / "f" / "000000.jpg").exists()


def test_an_unknown_extension_names_those_that_work(output: Path) -> None:
    with pytest.raises(SinkError, match=r"\.mp4 .*\.mkv"):
        open_sink(str(output / "a.wmv"))
