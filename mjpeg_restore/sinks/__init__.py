"""Where pictures go: a video file, a y4m pipe, a folder of pictures, a window.

`open_sink` chooses by the target's name; each sink can also be made by itself.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

from mjpeg_restore.errors import Hint, SinkError
from mjpeg_restore.sinks.audio import AudioSource
from mjpeg_restore.sinks.base import OutputSettings, Sink
from mjpeg_restore.sinks.stills import EXTENSIONS, Still, Stills, is_pattern
from mjpeg_restore.sinks.target import kind_of, part_name, refuse_inputs
from mjpeg_restore.sinks.tee import Tee
from mjpeg_restore.sinks.video import VideoFile
from mjpeg_restore.sinks.window import Window
from mjpeg_restore.sinks.y4m import Y4mStream

__all__ = [
    "AudioSource",
    "OutputSettings",
    "Sink",
    "Still",
    "Stills",
    "Tee",
    "VideoFile",
    "Window",
    "Y4mStream",
    "open_sink",
]


_COMMON = frozenset({"overwrite", "fps", "sample_aspect"})
"""Settings that are never refused: every sink uses the ones that concern it."""


def open_sink(
    target: str,
    settings: OutputSettings | None = None,
    audio: Sequence[AudioSource] = (),
    inputs: Sequence[Path] = (),
) -> Sink:
    """The sink that a target names.

    Args:
        target: "-" for y4m on standard output; a name ending in .y4m; a pattern like `out/%06d.png`; a folder
            (it exists, ends in a slash, or has no extension); .png or .jpg for a single picture; else a video file,
            by its extension.
        settings: the user's choices; the defaults if None.
        audio: tracks of sound for a video file; other sinks take none.
        inputs: files that are read from, and never replaced.

    Raises:
        OutputExists: the output is there and may not be overwritten.
        SinkError: it cannot be made, is one of the inputs, or one of the settings means nothing to it.
    """
    settings = settings or OutputSettings()
    path = Path(target)
    if target == "-":
        _allow(settings, "y4m", "range")
        if sys.stdout is None:  # closed before the program began
            raise SinkError("standard output is closed: name a file")
        return Y4mStream(sys.stdout.buffer, settings)
    is_folder = kind_of(path) == "folder"
    if is_pattern(path.name) or not path.suffix or is_folder or target.endswith("/"):
        _check_stills(path, settings)
        return Stills(target, settings, inputs)
    for name in (path, part_name(path)):
        refuse_inputs(name, inputs)
    suffix = path.suffix.lower()
    if suffix == ".y4m":
        _allow(settings, "y4m", "range")
        return Y4mStream(path, settings)
    if suffix in EXTENSIONS:
        _allow(settings, suffix, *(["crf"] if EXTENSIONS[suffix] == "jpeg" else []))
        return Still(path, settings)
    _allow(settings, "a video file", "codec", "crf", "preset", "range", "options")
    return VideoFile(path, settings, audio)


def _check_stills(path: Path, settings: OutputSettings) -> None:
    """Refuse settings without effect on numbered pictures: a quality of PNG, a format beside a pattern's extension."""
    by_name = is_pattern(path.name)
    format = EXTENSIONS.get(path.suffix.lower()) if by_name else settings.image_format
    effective = [*(["crf"] if format == "jpeg" else []), *([] if by_name else ["image_format"])]
    _allow(settings, f"a folder of {format}" if format and not by_name else path.suffix, *effective)


def _allow(settings: OutputSettings, what: str, *effective: str) -> None:
    """Refuse settings that differ from the default and have no effect on `what`.

    Raises:
        SinkError: there is one.
    """
    usual = OutputSettings()
    for name in (field.name for field in fields(settings)):
        if name not in _COMMON and name not in effective and getattr(settings, name) != getattr(usual, name):
            hint = Hint(f"leave {{{name}}} out, or choose another output", **{name: None})
            raise SinkError(f"a setting has no effect on {what}", hint)
