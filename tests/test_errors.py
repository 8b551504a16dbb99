"""Errors: one line each, their advice as data, and whole on the way between processes."""

from __future__ import annotations

import pickle

import pytest

from mjpeg_restore.errors import BadJpeg, Hint, MissingExtra, MjpegRestoreError, OutputExists, SourceError

HINT = Hint("{on_corrupt} may help, or {crf}, or {overwrite}", on_corrupt="pass", crf=None, overwrite=True)


def test_a_hint_names_keyword_arguments() -> None:
    assert str(HINT) == "on_corrupt='pass' may help, or crf, or overwrite=True"


def test_a_hint_is_worded_by_others() -> None:
    assert HINT.worded(lambda name, value: f"<{name} {value}>") == (
        "<on_corrupt pass> may help, or <crf None>, or <overwrite True>"
    )


def test_an_error_ends_with_its_hint() -> None:
    error = OutputExists("a.mp4 exists", Hint("{overwrite} replaces it", overwrite=True))
    assert str(error) == "a.mp4 exists: overwrite=True replaces it"
    assert error.message == "a.mp4 exists"
    assert str(SourceError("a.mp4 is empty")) == "a.mp4 is empty"


@pytest.mark.parametrize(
    "error",
    [
        SourceError("no picture", HINT),
        SourceError("no picture"),
        BadJpeg("two SOIs", 17),
        MissingExtra("Pillow", "demo", "Drawing"),
    ],
)
def test_errors_pass_between_processes(error: MjpegRestoreError) -> None:
    other = pickle.loads(pickle.dumps(error))
    assert type(other) is type(error)
    assert str(other) == str(error)
    assert vars(other).get("reason") == vars(error).get("reason")
    assert vars(other).get("offset") == vars(error).get("offset")
    assert str(other.hint) == str(error.hint)


def test_what_a_missing_package_needs_is_named() -> None:
    assert str(MissingExtra("Pillow", "demo", "Drawing")) == (
        "Drawing needs Pillow: pip install pillow (the extra mjpeg-restore[demo])"
    )
