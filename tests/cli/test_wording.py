"""Errors in the command's words: every setting that a hint names is an option of the command."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import mjpeg_restore
from mjpeg_restore.cli.wording import option, worded
from mjpeg_restore.errors import Hint, SinkError

SOURCES = Path(mjpeg_restore.__file__).parent


@pytest.mark.parametrize(
    ("setting", "value", "typed"),
    [
        ("on_corrupt", "pass", "--on-corrupt pass"),
        ("track", 2, "--track 2"),
        ("overwrite", True, "-y"),
        ("verify_tls", False, "--insecure"),
        ("codec", "h264", "-c h264"),
        ("options", None, "--encoder-option"),
        ("crf", None, "--crf"),
    ],
)
def test_a_setting_is_an_option(setting: str, value: str | int | None, typed: str) -> None:
    assert option(setting, value) == typed


def test_an_error_is_worded_in_options() -> None:
    error = SinkError("no quality of 60", Hint("{crf} is 0 to 51; try {codec}", crf=None, codec="h264"))
    assert worded(error) == "no quality of 60: --crf is 0 to 51; try -c h264"
    assert worded(SinkError("a.mp4 is a folder")) == "a.mp4 is a folder"


def test_the_command_has_each_option_that_a_hint_names(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        mjpeg_restore_help()
    known = set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", capsys.readouterr().out))
    rooms = [path for path in SOURCES.rglob("*.py") if "training" not in path.parts]
    hints = [hint for path in rooms for hint in re.findall(r"Hint\((.*?)\)(?:$|,|\n)", path.read_text(), re.DOTALL)]
    named = {name for hint in hints for name in re.findall(r"\b([a-z_]+)=", hint)} - {"resume"}
    assert {"on_corrupt", "overwrite", "device", "threads", "crf"} <= named
    assert {option(name) for name in named} <= known


def mjpeg_restore_help() -> None:
    from mjpeg_restore.cli import main

    main(["--help"])


def test_only_the_command_names_its_options() -> None:
    for path in SOURCES.rglob("*.py"):
        if "cli" in path.parts or "training" in path.parts:
            continue
        strings = re.findall(r'(?<!")"(?!"")([^"\n]*)"', path.read_text())
        # What pip and curl are told is theirs.
        named = [words for words in strings if re.search(r"(?<![\w-])--[a-z]", words) and "pip " not in words]
        assert not [words for words in named if "--compressed" not in words], path
