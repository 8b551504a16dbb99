"""Where pictures go: a video file, a y4m pipe, a folder of pictures, a window.

`open_sink` chooses by the target's name; each sink can also be made by itself.
"""

from __future__ import annotations

import sys
from pathlib import Path

from mjpeg_restore.sinks.audio import AudioSource
from mjpeg_restore.sinks.base import OutputSettings, Sink
from mjpeg_restore.sinks.stills import BEST_JPEG, EXTENSIONS, Still, Stills
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


def open_sink(target: str, settings: OutputSettings | None = None, audio: AudioSource | None = None) -> Sink:
    """The sink that a target names.

    Args:
        target: "-" for y4m on standard output; a name ending in .y4m; a pattern like `out/%06d.png`; a folder
            (it exists, ends in a slash, or has no extension); .png or .jpg for a single picture; else a video file,
            by its extension.
        settings: what the user asked for; None: the defaults.
        audio: packets to go along; only a video file takes them.

    Raises:
        OutputExists: the output is there and may not be overwritten.
        SinkError: it cannot be made.
    """
    settings = settings or OutputSettings()
    path = Path(target)
    if target == "-":
        return Y4mStream(sys.stdout.buffer, fps=settings.fps, range=settings.range)
    if path.suffix.lower() == ".y4m":
        return Y4mStream(path, fps=settings.fps, range=settings.range, overwrite=settings.overwrite)
    quality = BEST_JPEG if settings.crf is None else settings.crf
    if "%" in path.name or not path.suffix or path.is_dir() or target.endswith("/"):
        return Stills(target, format=settings.image_format, quality=quality, overwrite=settings.overwrite)
    if path.suffix.lower() in EXTENSIONS:
        return Still(path, quality=quality, overwrite=settings.overwrite)
    return VideoFile(
        path,
        codec=settings.codec,
        crf=settings.crf,
        preset=settings.preset,
        range=settings.range,
        options=settings.options,
        overwrite=settings.overwrite,
        fps=settings.fps,
        audio=audio,
    )
