from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from draw_screens import FAMILIES
from PIL import Image, ImageFont

from tests.lacking import needs
from tests.scripts.running import run

SMALL = ("--count", "12", "--size", "320", "200")


@pytest.fixture
def drawn(tmp_path: Path) -> list[Path]:
    needs("matplotlib")
    done = run("draw_screens", tmp_path / "screens", *SMALL)
    assert done.returncode == 0, done.stderr
    return sorted((tmp_path / "screens").iterdir())


def test_screens_are_mostly_flat_and_have_edges(drawn: list[Path]) -> None:
    assert len(drawn) == 12
    for path in drawn:
        with Image.open(path) as picture:
            pixels = np.asarray(picture.convert("RGB"), np.int16)
        steps = np.abs(np.diff(pixels, axis=1)).max(axis=2)
        assert (steps == 0).mean() > 0.3
        assert (steps > 60).any()


def test_the_same_arguments_draw_the_same_screens(drawn: list[Path], tmp_path: Path) -> None:
    run("draw_screens", tmp_path / "again", *SMALL)
    run("draw_screens", tmp_path / "others", *SMALL, "--seed", "1")
    for path in drawn:
        assert (tmp_path / "again" / path.name).read_bytes() == path.read_bytes()
        assert (tmp_path / "others" / path.name).read_bytes() != path.read_bytes()


def test_every_font_has_letters() -> None:
    matplotlib = needs("matplotlib")
    places = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    fonts = [path for family in FAMILIES for path in places.glob(family)]
    assert len(fonts) > 10
    drawn = {ImageFont.truetype(path, 40).getmask("a").getbbox() for path in fonts}
    assert None not in drawn
    assert not {path.stem for path in fonts} & {"cmsy10", "cmex10", "cmmi10"}  # which have other signs there


@pytest.mark.parametrize("words", [("--count", "0"), ("--size", "20", "200"), ("--size", "200", "3000000000")])
def test_what_cannot_be_drawn_is_refused(tmp_path: Path, words: tuple[str, ...]) -> None:
    done = run("draw_screens", tmp_path / "screens", *words)
    assert done.returncode == 2
    assert "a screen has 100x100 pixels or more" in done.stderr
    assert not (tmp_path / "screens").exists()
