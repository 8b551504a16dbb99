"""Errors: one line each, their advice as data, and whole on the way between processes."""

from __future__ import annotations

import inspect
import pickle

import pytest

import mjpeg_restore
from mjpeg_restore import errors
from mjpeg_restore.errors import (
    BadJpeg,
    Hint,
    MissingExtra,
    MjpegRestoreError,
    OutputExists,
    SettingsError,
    SourceError,
)

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
        SettingsError(["a.toml:1: x: unknown key", "a.toml:2: y: unknown key"]),
    ],
)
def test_errors_pass_between_processes(error: MjpegRestoreError) -> None:
    other = pickle.loads(pickle.dumps(error))
    assert type(other) is type(error)
    assert str(other) == str(error)
    assert vars(other).get("reason") == vars(error).get("reason")
    assert vars(other).get("offset") == vars(error).get("offset")
    assert str(other.hint) == str(error.hint)


def test_every_error_has_one_root() -> None:
    found = [item for item in vars(errors).values() if inspect.isclass(item) and issubclass(item, Exception)]
    assert len(found) > 12
    assert all(issubclass(item, mjpeg_restore.MjpegRestoreError) for item in found)
    assert all(item.__name__ in (errors.__doc__ or "") for item in found)  # the tree in the docstring is whole
    assert {item.__name__ for item in found} <= set(mjpeg_restore.__all__)


def test_missing_extra_names_the_package_and_the_extra() -> None:
    assert str(MissingExtra("OpenVINO", "openvino", "This")) == (
        "This needs OpenVINO: pip install openvino (the extra mjpeg-restore[openvino])"
    )
    assert str(MissingExtra("jpeglib", "", "That")) == "That needs jpeglib: pip install jpeglib"
    assert str(MissingExtra("a b", "", "That")) == "That needs a and b: pip install a b"


def test_mistakes_in_settings_are_listed_and_counted() -> None:
    error = SettingsError(mistakes := ["a.toml:1: x: unknown key", "a.toml:2: y: unknown key"])
    assert [*error.mistakes] == mistakes
    assert str(error) == "a.toml:1: x: unknown key (and 1 more mistake)"
    assert str(SettingsError(mistakes[:1])) == mistakes[0]
