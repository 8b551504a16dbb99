"""One file per picture: a JPEG, a folder of JPEGs, or a pattern."""

from __future__ import annotations

import glob
import re
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path

from mjpeg_restore.errors import NotMjpeg, SourceError, SourceNotFound, reason_of
from mjpeg_restore.frames import Packet
from mjpeg_restore.sources.base import BaseSource, SourceInfo
from mjpeg_restore.sources.timing import TimeWindow, start_after_end

SUFFIXES = frozenset({".jpg", ".jpeg", ".jpe", ".jfif"})
"""File name extensions of a JPEG picture, in lower case."""


class StillsSource(BaseSource):
    """A list of JPEG files, one picture each, at a constant frame rate. One file is read at a time."""

    def __init__(
        self,
        paths: Sequence[Path],
        name: str,
        format: str,
        fps: Fraction,
        start: Fraction | None = None,
        duration: Fraction | None = None,
    ) -> None:
        """Select the files; none is opened yet.

        Args:
            paths: the files, in order.
            name: the source's name in messages.
            format: "folder", "pattern" or "JPEG picture".
            fps: frames per second.
            start: seconds to skip.
            duration: seconds to keep.

        Raises:
            SourceError: the start lies after the last picture.
        """
        self.paths = tuple(paths)
        window = TimeWindow.from_seconds(1 / fps, start, duration)
        self._paths = paths[window.first or 0 : window.end]
        frames = len(self._paths)
        if not frames:
            raise start_after_end(name, len(paths) / fps)
        self.info = SourceInfo(
            name, format, "file order", 1 / fps, independent=True, frames=frames, fps=fps, duration=frames / fps
        )

    def __iter__(self) -> Iterator[Packet]:
        """Yield the pictures; see `Source`."""
        for index, path in enumerate(self._paths):
            if self.stopped:
                return
            data, fault = b"", ""
            try:
                data = path.read_bytes()
            except OSError as error:
                # A file that was deleted or lacks read permission is one damaged picture; the others are still read.
                fault = f"cannot be read: {reason_of(error)}"
            name = "" if str(path) == self.info.name else str(path)
            yield Packet(data, index, index, self.info.time_base, name=name, fault=fault)


def files_in_folder(folder: Path, name: str) -> list[Path]:
    """The JPEG files of a folder, without its subfolders, in natural order.

    Raises:
        NotMjpeg: there are none.
        SourceError: the folder cannot be read.
    """
    try:
        paths = _jpeg_files(folder.iterdir())
    except OSError as error:
        raise SourceError(f"cannot read the folder {name}: {reason_of(error)}") from None
    if not paths:
        raise NotMjpeg(
            f"the folder {name} holds no JPEG files (.jpg, .jpeg, .jpe, .jfif); "
            "to restore a recording in it, give the recording's own name"
        )
    return paths


def files_matching(pattern: str) -> list[Path]:
    """The JPEG files that match a pattern such as `cam1/*.jpg` or `**/*.jpg`, in natural order.

    Raises:
        SourceNotFound: no file matches.
        NotMjpeg: files match, but none has the extension of a JPEG.
    """
    found = glob.glob(pattern, recursive=True)
    if not found:
        raise SourceNotFound(f"no file matches {pattern}; check the folder it starts from")
    paths = _jpeg_files(map(Path, found))
    if not paths:
        raise NotMjpeg(
            f"{pattern} matches {len(found)} file(s) but no JPEG picture (.jpg, .jpeg, .jpe, .jfif); "
            "recordings are restored one at a time, by name"
        )
    return paths


def natural_key(path: Path) -> tuple[list[tuple[int, str]], str]:
    """Sort key that puts img2 before img10 and ignores case."""
    parts = re.split(r"(\d+)", str(path).casefold())
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts], str(path)


def _jpeg_files(paths: Iterable[Path]) -> list[Path]:
    """The JPEG files among `paths`, sorted; hidden files are none (macOS writes `._img.jpg` beside a picture)."""
    chosen = (path for path in paths if path.suffix.lower() in SUFFIXES and not path.name.startswith("."))
    return sorted((path for path in chosen if path.is_file()), key=natural_key)
