"""The versions of the package and of the libraries that it uses, for `--version`."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

import av

from mjpeg_restore import __version__
from mjpeg_restore.errors import MjpegRestoreError
from mjpeg_restore.jpeg import reader_name
from mjpeg_restore.runtime import NativeDecode
from mjpeg_restore.runtime.devices import RUNTIMES


def versions() -> list[str]:
    """The package's version, the coefficient reader, the runtimes and FFmpeg, a line each."""
    try:
        reader = reader_name()
    except MjpegRestoreError as error:
        reader = f"none: {error}"
    runtimes = [
        f"{one.title} {found}" for one in RUNTIMES if (found := next(filter(None, map(installed, one.packages)), None))
    ]
    return [
        f"mjpeg-restore {__version__}",
        f"coefficient reader: {reader}",
        f"decode and projection: {'native' if NativeDecode.available else 'by the runtimes'}",
        f"runtimes: {', '.join(runtimes) or 'none'}",
        f"video: PyAV {av.__version__}, FFmpeg {getattr(av, 'ffmpeg_version_info', 'unknown')}",
    ]


def installed(package: str) -> str | None:
    """The version of an installed package; None if it is missing."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None
