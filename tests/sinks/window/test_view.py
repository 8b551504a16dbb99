from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mjpeg_restore.frames import Frame
from mjpeg_restore.sinks.window.view import KEYS, FramePixels, Mode, View, caption, compose
from tests.sinks.conftest import noise
from tests.sinks.window.frames import DARK, LIGHT, frame, greys, split


def shown(mode: Mode, share: float | None = None) -> list[int]:
    return greys(compose(FramePixels(frame()), View(mode, share)))


def test_each_mode_shows_its_pictures() -> None:
    assert shown("restored", 0.5) == shown("split") == [LIGHT] * 16
    assert shown("original", 0.5) == [DARK] * 16
    assert shown("side", 0.5) == [DARK] * 16 + [LIGHT] * 16
    assert shown("split", 0.5) == split(8)


@given(width=st.integers(1, 40), share=st.floats(0, 1))
def test_the_line_stands_between_before_and_after(width: int, share: float) -> None:
    before, after = noise(width, 4, seed=1), noise(width, 4, seed=2)
    found = compose(FramePixels(Frame(after, before)), View("split", share))
    column = round(share * width)
    assert np.array_equal(found[:, :column], before.to_ndarray("bgr")[:, :column])
    after_line = column + 2 if 0 < share < 1 else column
    assert np.array_equal(found[:, after_line:], after.to_ndarray("bgr")[:, after_line:])
    assert found.shape == (4, width, 3)


@pytest.mark.parametrize("mode", ["split", "side", "original", "restored"])
def test_what_is_drawn_into_it_does_not_change_the_pictures(mode: Mode) -> None:
    pixels = FramePixels(frame())
    compose(pixels, View(mode, 0.5))[:] = 7
    assert greys(compose(pixels, View("side"))) == [DARK] * 16 + [LIGHT] * 16


@pytest.mark.parametrize("mode", ["split", "side", "original", "restored"])
def test_a_frame_without_the_plain_decode_shows_the_restored_picture(mode: Mode) -> None:
    alone = FramePixels(replace(frame(), original=None))
    assert set(greys(compose(alone, View(mode, 0.0)))) == {LIGHT}


def test_only_what_is_seen_is_converted(monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = FramePixels(frame())
    compose(pixels, View("split"))
    assert "original" not in vars(pixels)
    compose(pixels, View("split", 0.5))
    assert "original" in vars(pixels)


@pytest.mark.parametrize(("key", "mode"), [("s", "side"), ("o", "original"), ("r", "restored")])
def test_a_key_chooses_a_mode_and_the_same_key_goes_back(key: str, mode: Mode) -> None:
    view = View("split", 0.3)
    assert view.pressed(key) == View(mode, 0.3)
    assert view.pressed("s").pressed("o").pressed(key) in (View(mode, 0.3), view)
    assert view.pressed(key).pressed(key) == view


def test_space_pauses_and_resumes_and_a_step_pauses() -> None:
    assert View().pressed(" ").paused
    assert not View().pressed(" ").pressed(" ").paused
    assert View().pressed(".").pressed(".").paused


def test_a_key_without_a_meaning_changes_nothing() -> None:
    known = {key for names, _ in KEYS for key in names.replace("space", " ").split(", ")}
    for key in set(map(chr, range(32, 128))) - known:
        assert View().pressed(key) == View()


def test_the_caption_names_what_cannot_be_told_apart() -> None:
    assert caption(View("original"), "25.0 fps") == "original  25.0 fps"
    assert caption(View("split", 0.5, paused=True), "25.0 fps") == "paused  25.0 fps"
    assert caption(View("side"), "") == ""
    assert caption(View("restored").pressed("i"), "25.0 fps") == ""
