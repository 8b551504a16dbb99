"""Where pictures go: a video file, a y4m pipe, a folder of pictures, a window.

`open_sink` chooses by the target's name; each sink can also be made by itself.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import BinaryIO

from mjpeg_restore.errors import SinkError
from mjpeg_restore.sinks.audio import AudioSource
from mjpeg_restore.sinks.base import OutputSettings, Sink
from mjpeg_restore.sinks.stills import BEST_JPEG, EXTENSIONS, Still, Stills, is_pattern
from mjpeg_restore.sinks.target import look, part_name, spare
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


_HINTS = frozenset({"overwrite", "fps", "sample_aspect"})
"""Settings that every sink takes, as far as they mean anything to it."""


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
        settings: what the user asked for; None: the defaults.
        audio: tracks of sound to go along; only a video file takes them.
        inputs: files that are read from, and never replaced.

    Raises:
        OutputExists: the output is there and may not be overwritten.
        SinkError: it cannot be made, is one of the inputs, or one of the settings means nothing to it.
    """
    settings = settings or OutputSettings()
    path = Path(target)
    if target == "-":
        _take(settings, "y4m", "range")
        if sys.stdout is None:  # closed before the program began
            raise SinkError("standard output is closed: give -o FILE")
        return _y4m(sys.stdout.buffer, settings)
    is_folder = look(path) == "folder"
    quality = BEST_JPEG if settings.crf is None else settings.crf
    if is_pattern(path.name) or not path.suffix or is_folder or target.endswith("/"):
        _check_stills(path, settings)
        return Stills(
            target, format=settings.image_format, quality=quality, overwrite=settings.overwrite, inputs=inputs
        )
    for name in (path, part_name(path)):
        spare(name, inputs)
    suffix = path.suffix.lower()
    if suffix == ".y4m":
        _take(settings, "y4m", "range")
        return _y4m(path, settings)
    if suffix in EXTENSIONS:
        _take(settings, suffix, *(["crf"] if EXTENSIONS[suffix] == "jpeg" else []))
        return Still(path, quality=quality, overwrite=settings.overwrite)
    _take(settings, "a video file", "codec", "crf", "preset", "range", "options")
    return VideoFile(
        path,
        codec=settings.codec,
        crf=settings.crf,
        preset=settings.preset,
        range=settings.range,
        options=settings.options,
        overwrite=settings.overwrite,
        fps=settings.fps,
        sample_aspect=settings.sample_aspect,
        audio=audio,
    )


def _y4m(target: Path | BinaryIO, settings: OutputSettings) -> Y4mStream:
    return Y4mStream(
        target,
        fps=settings.fps,
        range=settings.range,
        sample_aspect=settings.sample_aspect,
        overwrite=settings.overwrite,
    )


def _check_stills(path: Path, settings: OutputSettings) -> None:
    """Refuse what says nothing to numbered pictures: the quality is JPEG's, a pattern says its format itself."""
    by_name = is_pattern(path.name)
    format = EXTENSIONS.get(path.suffix.lower()) if by_name else settings.image_format
    effective = [*(["crf"] if format == "jpeg" else []), *([] if by_name else ["image_format"])]
    _take(settings, f"a folder of {format}" if format and not by_name else path.suffix, *effective)


def _take(settings: OutputSettings, what: str, *effective: str) -> None:
    """Refuse settings that were given, differ from the default and have no effect on `what`.

    Raises:
        SinkError: there is one.
    """
    usual = OutputSettings()
    for name in (field.name for field in fields(settings)):
        if name not in _HINTS and name not in effective and getattr(settings, name) != getattr(usual, name):
            option = {"options": "encoder-option"}.get(name, name.replace("_", "-"))
            raise SinkError(f"--{option} has no effect on {what}: leave it out, or choose another output")
