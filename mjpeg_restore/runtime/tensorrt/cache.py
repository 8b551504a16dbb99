"""The cache of engines: files that are verified when they are read, and complete when they appear.

A file is a line of JSON, its header, and the content. The header has the content's SHA-256, and all that the content
depends on; the file's name has it for people, shortened.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from mjpeg_restore.errors import Hint, RuntimeUnavailable, reason_of
from mjpeg_restore.locks import file_lock

LOG = logging.getLogger(__name__)

MAGIC = "mjpeg-restore cache 1"
_LONGEST_HEADER = 1 << 16


@dataclass(frozen=True, slots=True)
class CacheKey:
    """Which file of the cache."""

    file: str
    """Its name."""
    about: dict[str, str]
    """All that the content depends on. A file of that name about something else is none of this key."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A file that is there."""

    path: Path
    size: int
    """In bytes."""
    about: dict[str, str]
    """As in its key; empty if the file is not the cache's, or is damaged."""


class EngineCache:
    """A folder of engines.

    Engines are executable code: whoever can put a file there decides what the GPU's driver and this process run. So the
    folder is made for its user alone. On POSIX a file is read only if it belongs to this user or to root, and nobody
    else may write it.

    A folder that is full or cannot be written is no error: one warning, and engines are built each time.
    """

    def __init__(self, folder: Path | None = None) -> None:
        """Use a folder, which is made when the first engine is kept; None for `default_folder()`."""
        self.folder = folder or default_folder()
        self._warned: set[str] = set()

    def get(self, key: CacheKey, build: Callable[[], bytes], waiting: Callable[[], None]) -> tuple[bytes, bool]:
        """The content of a file, which is built and kept if it is not there or is damaged.

        Args:
            key: which file.
            build: makes the content. Of several processes that ask at the same time, one builds, and the others wait.
            waiting: called several times a second while another process builds. Its exception ends the wait.

        Returns:
            The content, and whether it was built now.
        """
        if (found := self.read(key)) is not None:
            return found, False
        with suppress(OSError):  # a folder that cannot be made is told of when the engine is to be kept
            self._make_folder()
        with file_lock(self.folder / f"{key.file}.lock", waiting):
            if (found := self.read(key)) is not None:
                return found, False
            built = build()
            self.write(key, built)
        return built, True

    def read(self, key: CacheKey) -> bytes | None:
        """The content of a file; None if it is not there, is damaged, or may not be trusted."""
        path = self.folder / key.file
        try:
            if not path.is_file():  # a named pipe would keep us waiting
                return None
            with path.open("rb") as file:
                if not _trusted(os.fstat(file.fileno())):
                    self._warn(
                        f"{path} is not used, but made anew: it belongs to another user, or others may write it. What "
                        "is put there must be yours or root's (chown), and for nobody else to write (chmod go-w)"
                    )
                    return None
                header, content = _header(file), file.read()
        except OSError:
            return None
        if header.get("about") != key.about or header.get("sha256") != hashlib.sha256(content).hexdigest():
            LOG.info("%s is damaged, or of something else: it is made again", path)
            return None
        return content

    def write(self, key: CacheKey, content: bytes) -> None:
        """Keep the content of a file. One that cannot be written is a warning."""
        header = {"magic": MAGIC, "sha256": hashlib.sha256(content).hexdigest(), "about": key.about}
        part: Path | None = None
        try:
            self._make_folder()
            descriptor, name = tempfile.mkstemp(".part", f"{key.file}.", self.folder)  # for its user alone
            part = Path(name)
            with os.fdopen(descriptor, "wb") as file:
                file.write(json.dumps(header).encode() + b"\n")
                file.write(content)
            part.replace(self.folder / key.file)
        except OSError as error:
            self._warn(f"engines are built each time: cannot write to {self.folder} ({reason_of(error)})")
        finally:
            if part is not None:
                part.unlink(missing_ok=True)

    def remove(self, key: CacheKey) -> None:
        """Remove a file, such as one that TensorRT does not load. One that cannot be removed stays."""
        with suppress(OSError):
            (self.folder / key.file).unlink()

    def entries(self) -> Iterator[Entry]:
        """The files that are there, by name."""
        paths: list[Path] = []
        with suppress(OSError):  # the folder cannot be read
            paths = sorted(path for path in self.folder.glob("*.engine") if path.is_file())
        for path in paths:
            with suppress(OSError), path.open("rb") as file:
                yield Entry(path, os.fstat(file.fileno()).st_size, _header(file).get("about", {}))

    def _warn(self, words: str) -> None:
        """Warn once: a file is looked for before and after its lock is held."""
        if words not in self._warned:
            self._warned.add(words)
            LOG.warning(words)

    def _make_folder(self) -> None:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def _header(file: BinaryIO) -> dict[str, Any]:
    """The header of a file, which is read to the beginning of its content; empty if it has none."""
    try:
        header: Any = json.loads(file.readline(_LONGEST_HEADER))
        return header if header["magic"] == MAGIC and isinstance(header["about"], dict) else {}
    except (ValueError, LookupError, TypeError, RecursionError):  # another file, or damaged
        return {}


def _trusted(status: os.stat_result) -> bool:
    """Whether nobody but this user and root can have written a file."""
    if sys.platform == "win32":  # its folder is in the user's own profile
        return True
    return status.st_uid in (os.getuid(), 0) and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def default_folder() -> Path:
    """The user's folder for engines.

    Raises:
        RuntimeUnavailable: the user has no home.
    """
    variable = {"win32": "LOCALAPPDATA", "darwin": ""}.get(sys.platform, "XDG_CACHE_HOME")
    named = Path(os.environ.get(variable, ""))
    if not named.is_absolute():  # not set, or to be ignored, as the XDG specification has it
        usual = {"win32": "AppData/Local", "darwin": "Library/Caches"}.get(sys.platform, ".cache")
        try:
            named = Path.home() / usual
        except RuntimeError:
            hint = Hint("{engine_cache} names a folder for them", engine_cache=None)
            raise RuntimeUnavailable("there is no home folder in which engines could be kept", hint) from None
    return named / "mjpeg-restore" / "engines"
