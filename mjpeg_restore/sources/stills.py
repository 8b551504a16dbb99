"""One file a picture: a JPEG, a folder of JPEGs, or a pattern that names them."""

from __future__ import annotations

import glob
import re
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path

from mjpeg_restore.errors import NotMjpeg, SourceError, SourceNotFound
from mjpeg_restore.frames import Packet
from mjpeg_restore.sources.base import BaseSource, SourceInfo
from mjpeg_restore.sources.timing import Window, nothing_left

SUFFIXES = frozenset({".jpg", ".jpeg", ".jpe", ".jfif"})
"""Names that mean one JPEG picture, in lower case."""


class StillsSource(BaseSource):
    """Pictures in files of their own, read one at a time, in the order given, at `fps`."""

    def __init__(
        self,
        paths: Sequence[Path],
        name: str,
        format: str,
        fps: Fraction,
        start: Fraction | None = None,
        duration: Fraction | None = None,
    ) -> None:
        """Name the files.

        Args:
            paths: the files, in order.
            name: how messages call them all.
            format: "folder", "pattern" or "JPEG picture".
            fps: frames per second.
            start: seconds to pass over.
            duration: seconds to keep.

        Raises:
            SourceError: the cut leaves nothing.
        """
        self.truncated: str | None = None
        self.paths = tuple(paths)
        window = Window.cut(1 / fps, start, duration)
        self._paths = paths[window.first or 0 : window.end]
        frames = len(self._paths)
        if not frames:
            raise nothing_left(name, len(paths) / fps)
        self.info = SourceInfo(
            name, "stills", format, "file order", 1 / fps, frames=frames, fps=fps, duration=frames / fps
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
                # A file that went away or may not be read is one damaged picture, not the end of all others.
                fault = f"cannot be read: {error.strerror or error}"
            name = "" if str(path) == self.info.name else str(path)
            yield Packet(data, index, index, self.info.time_base, name=name, fault=fault)

    def close(self) -> None:
        """Nothing is held between two pictures."""


def in_folder(folder: Path, name: str) -> list[Path]:
    """The JPEG files directly in a folder, in natural order.

    Raises:
        NotMjpeg: there is none.
        SourceError: the folder may not be read.
    """
    try:
        paths = _pictures(folder.iterdir())
    except OSError as error:
        raise SourceError(f"cannot read the folder {name}: {error.strerror}") from None
    if not paths:
        raise NotMjpeg(
            f"the folder {name} holds no JPEG files (.jpg, .jpeg, .jpe, .jfif); "
            "to restore a recording in it, give the recording's own name"
        )
    return paths


def matching(pattern: str) -> list[Path]:
    """The JPEG files that a pattern such as `cam1/*.jpg` or `**/*.jpg` names, in natural order.

    Raises:
        SourceNotFound: no file matches.
        NotMjpeg: files match, but not one has the name of a JPEG.
    """
    found = glob.glob(pattern, recursive=True)
    if not found:
        raise SourceNotFound(f"no file matches {pattern}; check the folder it starts from")
    paths = _pictures(map(Path, found))
    if not paths:
        raise NotMjpeg(
            f"{pattern} matches {len(found)} file(s) but no JPEG picture (.jpg, .jpeg, .jpe, .jfif); "
            "recordings are restored one at a time, by name"
        )
    return paths


def natural_key(path: Path) -> tuple[list[tuple[int, str]], str]:
    """Sorts img2 before img10, whatever the case of letters."""
    parts = re.split(r"(\d+)", str(path).casefold())
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts], str(path)


def _pictures(paths: Iterable[Path]) -> list[Path]:
    """Those that are JPEG files; hidden ones (`._img.jpg` of macOS) are not pictures."""
    chosen = (path for path in paths if path.suffix.lower() in SUFFIXES and not path.name.startswith("."))
    return sorted((path for path in chosen if path.is_file()), key=natural_key)
