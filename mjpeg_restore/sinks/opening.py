"""`open_sink`: the sink for a target, chosen by its name."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

from mjpeg_restore.errors import Hint, SinkError
from mjpeg_restore.sinks.base import ImageFormat, OutputSettings, Sink
from mjpeg_restore.sinks.segments import Segments
from mjpeg_restore.sinks.stills import EXTENSIONS, Still, Stills, is_pattern
from mjpeg_restore.sinks.target import kind_of, part_name, refuse_inputs
from mjpeg_restore.sinks.video import VideoFile
from mjpeg_restore.sinks.y4m import Y4mStream
from mjpeg_restore.sound import SoundTrack

_NEVER_REFUSED = frozenset({"overwrite", "fps", "sample_aspect", "live", "threads"})
"""Settings that each sink may ignore: they are set for every output."""
_OF_VIDEO = "codec", "crf", "preset", "range", "options", "segment", "new_file_on_resize"
"""Settings that a video file uses."""


def open_sink(
    target: str | os.PathLike[str],
    settings: OutputSettings | None = None,
    sound: Sequence[SoundTrack] = (),
    inputs: Sequence[Path] = (),
) -> Sink:
    """Open the sink for a target.

    Args:
        target: "-" for y4m on standard output; a name ending in .y4m; a pattern like `out/%06d.png`; an
            existing folder, or a name that ends in a slash or has no extension; .png or .jpg for a single picture; any
            other name is a video file, its container chosen by the extension, or with `segment` or
            `new_file_on_resize` the beginning of the names of several.
        settings: the user's choices; the defaults if None.
        sound: tracks of sound for a video file; other sinks ignore them.
        inputs: the source's files, which are never replaced.

    Raises:
        OutputExists: the output exists and `overwrite` is False.
        SinkError: the output cannot be made, is one of the inputs, or does not use one of the settings.
    """
    settings = settings or OutputSettings()
    target = os.fspath(target)
    if not target:  # Path makes the current folder of it
        raise SinkError("the output has an empty name: is a variable unset?")
    if target == "-":
        return _open_standard_output(settings)
    path = Path(target)
    is_folder = kind_of(path) == "folder"
    if is_pattern(path.name) or not path.suffix or is_folder or target.endswith("/"):
        _check_stills(path, settings)
        return Stills(target, settings, inputs)
    for name in (path, part_name(path)):
        refuse_inputs(name, inputs)
    return _open_file(path, settings, sound)


def effective_settings(target: str, image_format: ImageFormat = "png") -> frozenset[str]:
    """Names of the `OutputSettings` that `open_sink` does not refuse for a target; the file system is not looked at.

    Args:
        target: as for `open_sink`; a folder that exists and has a dot in its name ends in a slash.
        image_format: of a folder.
    """
    path = Path(target)
    suffix = path.suffix.lower()
    if target == "-" or suffix == ".y4m":
        effective = {"range"}
    elif is_pattern(path.name) or suffix in EXTENSIONS:
        effective = {"crf"} if EXTENSIONS.get(suffix) == "jpeg" else set[str]()
    elif not suffix or target.endswith("/"):
        effective = {"image_format", *({"crf"} if image_format == "jpeg" else ())}
    else:
        effective = {*_OF_VIDEO}
    return _NEVER_REFUSED | effective


def _open_standard_output(settings: OutputSettings) -> Sink:
    _check_settings(settings, "y4m", "range")
    if sys.stdout is None:  # closed before the program began
        raise SinkError("standard output is closed: name a file")
    return Y4mStream(sys.stdout.buffer, settings)


def _open_file(path: Path, settings: OutputSettings, sound: Sequence[SoundTrack]) -> Sink:
    suffix = path.suffix.lower()
    if suffix == ".y4m":
        _check_settings(settings, "y4m", "range")
        return Y4mStream(path, settings)
    if suffix in EXTENSIONS:
        _check_settings(settings, suffix, *(["crf"] if EXTENSIONS[suffix] == "jpeg" else []))
        return Still(path, settings)
    _check_settings(settings, "a video file", *_OF_VIDEO)
    if settings.segment or settings.new_file_on_resize:
        return Segments(path, settings, sound)
    return VideoFile(path, settings, sound)


def _check_stills(path: Path, settings: OutputSettings) -> None:
    """Refuse settings without effect on numbered pictures: a quality of PNG, a format beside a pattern's extension."""
    by_name = is_pattern(path.name)
    format = EXTENSIONS.get(path.suffix.lower()) if by_name else settings.image_format
    effective = [*(["crf"] if format == "jpeg" else []), *([] if by_name else ["image_format"])]
    _check_settings(settings, f"a folder of {format}" if format and not by_name else path.suffix, *effective)


def _check_settings(settings: OutputSettings, output: str, *effective: str) -> None:
    """Refuse settings that differ from the default and have no effect on an output.

    Args:
        settings: the user's choices.
        output: how the message names the output.
        effective: the settings that the output uses.

    Raises:
        SinkError: one of the settings has no effect.
    """
    default = OutputSettings()
    for name in (field.name for field in fields(settings)):
        if name not in _NEVER_REFUSED and name not in effective and getattr(settings, name) != getattr(default, name):
            hint = Hint(f"leave {{{name}}} out, or choose another output", **{name: None})
            raise SinkError(f"{name.replace('_', ' ')} has no effect on {output}", hint)
