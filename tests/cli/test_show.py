"""`--show`: how the command opens the window, alone and beside a file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import pytest

from mjpeg_restore.cli import main
from mjpeg_restore.sinks.window import KEYS
from mjpeg_restore.testing import Collect, ListSource
from tests.cli.command import FAST, SIZE, pictures, run


class ShownTo(Collect):
    """A window that is not there."""

    interactive = True

    def __init__(self, title: str, **settings: Any) -> None:
        super().__init__(original=True)
        self.title, self.settings = title, settings


@pytest.fixture
def windows(monkeypatch: pytest.MonkeyPatch) -> list[ShownTo]:
    """Those that were opened."""
    opened: list[ShownTo] = []

    def open_window(title: str, **settings: Any) -> ShownTo:
        opened.append(ShownTo(title, **settings))
        return opened[-1]

    monkeypatch.setattr("mjpeg_restore.cli.restore.Window", open_window)
    return opened


def test_a_window_alone_plays_a_recording_by_its_time_stamps(
    clip: Path, windows: list[ShownTo], capfd: pytest.CaptureFixture[str]
) -> None:
    assert run([clip, "--show", "--compare", "side", *FAST], capfd)[0] == 0
    (window,) = windows
    assert window.title == f"mjpeg-restore {clip}"
    assert (window.settings["paced"], window.settings["compare"]) == (True, "side")
    assert not window.settings["stop"].is_set()
    assert [picture.index for picture in window.pictures] == list(range(6))
    assert all(original is not None for original in window.originals)


def test_a_camera_is_shown_as_it_comes(
    windows: list[ShownTo], capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    source = ListSource(pictures(2))
    source.info = replace(source.info, live=True)
    monkeypatch.setattr("mjpeg_restore.cli.restore.open_source", lambda *_, **__: source)
    assert run(["http://cam/video", "--show", *FAST], capfd)[0] == 0
    assert windows[0].settings["paced"] is False


def test_beside_a_file_the_window_sets_no_pace_and_the_comparison_is_made_in_the_file_alone(
    clip: Path, output: Path, windows: list[ShownTo], capfd: pytest.CaptureFixture[str]
) -> None:
    out = output / "out.mkv"
    assert run([clip, "--show", "-o", out, "--compare", "side", "-c", "ffv1", *FAST], capfd)[0] == 0
    (window,) = windows
    assert (window.settings["paced"], window.settings["compare"]) == (False, "side")
    assert {(picture.width, picture.height) for picture in window.pictures} == {SIZE}
    with av.open(str(out)) as container:
        assert (container.streams.video[0].width, container.streams.video[0].height) == (2 * SIZE[0], SIZE[1])


def test_help_and_readme_list_the_keys(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    said = capfd.readouterr().out
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    for key, effect in KEYS:
        assert f"  {key:8}{effect}\n" in said
        cell = key if key == "mouse" else ", ".join(f"`{name}`" for name in key.split(", "))
        assert f"\n| {cell} | {effect}" in readme
