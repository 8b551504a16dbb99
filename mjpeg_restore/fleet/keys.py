"""The keys of a settings file, and what each of them takes.

A key is called like the command's option. Where that takes a number, a time, a rate or a size, a number or a text will
do: `max-latency = 0.2` is `"200ms"`.
"""

from __future__ import annotations

import difflib
import json
import sys
from collections.abc import Callable, Iterable, Mapping
from datetime import date, time
from typing import Any, get_args

from mjpeg_restore import catalogue, values
from mjpeg_restore.damage import OnCorrupt
from mjpeg_restore.errors import MjpegRestoreError
from mjpeg_restore.pipeline import Drop, OnStall
from mjpeg_restore.runtime.devices import candidates
from mjpeg_restore.sinks.base import ImageFormat, PixelFormat, Range
from mjpeg_restore.sources import RtspTransport

Parse = Callable[[Any], Any]
"""Makes a setting of a value of TOML; raises `ValueError` or `MjpegRestoreError` with a sentence that shows no secret.
"""


def text(value: object) -> str:
    """Text that is not empty. The message does not show the value, which may be a secret."""
    if not isinstance(value, str):
        raise ValueError("put it in quotes")
    if not value:
        raise ValueError("is empty")
    if "\0" in value:
        raise ValueError("has a character NUL")
    return value


def flag(value: object) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise ValueError(f"{shown(value)} is not true or false")
    return value


def number(value: object) -> float:
    """A number from 0."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= sys.float_info.max:
        raise ValueError(f"{shown(value)} is not a number from 0")
    return float(value)


def word(parse: Callable[[str], object]) -> Parse:
    """A text or a number, parsed as on the command line."""

    def parsed(value: object) -> object:
        return parse(value if isinstance(value, str) else shown(value))

    return parsed


def one_of(*known: str) -> Parse:
    """One of some words."""

    def chosen(value: object) -> object:
        if value not in known:
            raise ValueError(f"{shown(value)} is not one of {', '.join(known)}{guess(str(value), known)}")
        return value

    return chosen


def pairs(value: object) -> Mapping[str, str]:
    """A table of options for an encoder, whose values are texts or numbers."""
    if not isinstance(value, dict):
        raise ValueError('is not a table such as { tune = "film" }')
    options: dict[str, str] = {}
    for name, option in value.items():  # pyright: ignore[reportUnknownVariableType]
        if isinstance(option, bool) or not isinstance(option, str | int | float):
            raise ValueError(f"{name} is neither text nor a number")
        options[str(name)] = str(option)  # pyright: ignore[reportUnknownArgumentType]
    return options


def model(value: object) -> str:
    """The name of a network."""
    return catalogue.find(text(value)).name


def device(value: object) -> str:
    """A device that there could be; whether it is there is found out with the first picture."""
    candidates(name := text(value))
    return name


def untouched(value: object) -> object:
    """What is looked at later."""
    return value


_MOST_LISTED = 12
"""Names that are listed in a message."""

OF_OUTPUTS: Mapping[str, Parse] = {
    "codec": text,
    "crf": number,
    "preset": text,
    "range": one_of(*get_args(Range)),
    "encoder-options": pairs,
    "image-format": one_of(*get_args(ImageFormat)),
    "pixel-format": one_of(*get_args(PixelFormat)),
    "segment": word(values.segment),
    "overwrite": flag,
}
"""Keys of an output; in a camera, or in `[defaults]`, they are for the outputs that use them."""

FIELDS = {name: name.replace("-", "_") for name in OF_OUTPUTS} | {"encoder-options": "options"}
"""The fields of `OutputSettings` that they set."""

OF_CAMERAS: Mapping[str, Parse] = {
    "output": untouched,
    "outputs": untouched,
    "model": model,
    "device": device,
    "fps": word(values.rate),
    "live": flag,
    "stall-timeout": word(values.period),
    "give-up": word(values.period),
    "size": word(values.size),
    "rtsp-transport": one_of(*get_args(RtspTransport)),
    "insecure": flag,
    "on-corrupt": one_of(*get_args(OnCorrupt)),
    "drop": one_of(*get_args(Drop)),
    "max-latency": word(values.period),
    "on-stall": one_of(*get_args(OnStall)),
    "on-resize": one_of("scale", "letterbox", "new-file"),
    **OF_OUTPUTS,
}
"""Keys of `[defaults]`, and of a camera."""

OF_ONE_CAMERA: Mapping[str, Parse] = {"source": text, "enabled": flag, **OF_CAMERAS}
"""Keys of `[cameras.NAME]`."""

OF_ONE_OUTPUT: Mapping[str, Parse] = {"to": text, **OF_OUTPUTS}
"""Keys of an output that is a table."""

OF_THE_RUN: Mapping[str, Parse] = {
    "threads": word(values.threads),
    "engine-cache": text,
    "log-format": one_of("text", "json"),
    "serve": text,
    "token": text,
    "user": text,
    "password": text,
}
"""Keys of `[run]`."""

OF_THE_FILE = ("run", "defaults", "cameras")
"""Tables of a file."""


def shown(value: object) -> str:
    """A value as it stands in the file, or nearly so."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, date | time):
        return value.isoformat()
    return str(value) if isinstance(value, int | float) else repr(value)


def worded(error: MjpegRestoreError) -> str:
    """An error in one line, the settings of its hint as the file's keys; without a hint that no key can follow."""
    hint = error.hint
    if hint is None or not {_key(setting) for setting in hint.settings} <= {*OF_ONE_CAMERA, *OF_THE_RUN}:
        return error.message
    return f"{error.message}: {hint.worded(_assigned)}"


def _assigned(setting: str, value: str | int | None) -> str:
    """A setting of a hint by its key, and a value as it is written in the file."""
    if value is None:
        return _key(setting)
    return f"{_key(setting)} = {json.dumps(not value if setting == 'verify_tls' else value)}"


def _key(setting: str) -> str:
    """The key of a setting."""
    if setting == "verify_tls":
        return "insecure"
    return next((key for key, field in FIELDS.items() if field == setting), setting.replace("_", "-"))


def unknown(key: str, known: Iterable[str]) -> str:
    """What to say of a key that there is not."""
    names = [*known]
    others = f"there are {', '.join(names)}" if len(names) <= _MOST_LISTED else "docs/cameras.md lists them"
    return "unknown key" + (guess(key, names) or f"; {others}")


def guess(name: str, known: Iterable[str]) -> str:
    """The name that was meant, as the end of a sentence; empty if none is near."""
    near = difflib.get_close_matches(name.replace("_", "-").lower(), [*known], 1, 0.7)
    return f"; did you mean {near[0]}?" if near else ""
