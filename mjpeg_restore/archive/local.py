"""This machine's file system as a store."""

from __future__ import annotations

import contextlib
import errno
import glob
import os
import shutil
import uuid
from collections.abc import Generator, Iterator
from pathlib import Path

from mjpeg_restore.archive.store import Entry


class LocalStore:
    """This machine's file system, with what is mounted in it."""

    def stat(self, path: str) -> Entry | None:
        """See `Store`."""
        try:
            found = os.stat(path)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP) or _is_no_name(error):
                return None  # ELOOP: a link to itself
            raise
        return None if not os.path.isfile(path) else Entry(path, found.st_size, str(found.st_mtime_ns))

    def is_taken(self, path: str) -> bool:
        """See `Store`."""
        try:
            os.lstat(path)
        except OSError as error:
            if isinstance(error, FileNotFoundError) or _is_no_name(error):
                return False
            raise
        return True

    def is_folder(self, path: str) -> bool:
        """See `Store`."""
        return os.path.isdir(path)

    def walk(self, folder: str) -> Iterator[Entry]:
        """See `Store`."""
        for here, folders, names in os.walk(folder, onerror=_fail):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            for name in sorted(names):
                if not name.startswith(".") and (found := self.stat(os.path.join(here, name))):
                    yield found

    def match(self, pattern: str) -> Iterator[Entry]:
        """See `Store`."""
        for path in sorted(_matches(pattern)):
            if found := self.stat(path):
                yield found

    @contextlib.contextmanager
    def fetch(self, path: str) -> Generator[Path]:
        """See `Store`."""
        yield Path(path)

    @contextlib.contextmanager
    def peek(self, path: str) -> Generator[str]:
        """See `Store`."""
        yield path

    def scratch(self, folder: str) -> Path:
        """See `Store`."""
        path = Path(folder)
        path.mkdir(parents=True, exist_ok=True)
        return path

    def publish(self, file: Path, path: str) -> None:
        """See `Store`. The file is on the disk before it has its name."""
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        _sync(file)
        try:
            os.replace(file, target)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            _copy(file, target)  # its folder is on another disk, by a mount or a link

    def append(self, path: str, text: str) -> bool:
        """See `Store`."""
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        with open(path, "a", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        return True

    def remove(self, path: str) -> None:
        """See `Store`."""
        if os.path.isdir(path):
            shutil.rmtree(path, ignore_errors=True)
        else:
            Path(path).unlink(missing_ok=True)


def _matches(pattern: str) -> set[str]:
    """The paths that match a pattern. `**` follows no links, as `walk` does not: `glob`'s would go round in circles."""
    head, wild, tail = f"/{pattern}/".replace(os.sep, "/").partition("/**/")
    if not wild:
        return {*glob.glob(pattern)}
    found: set[str] = set()
    for top in ["/"] if head == "/" else glob.glob(head[1:]) if head else [os.curdir]:
        for here, folders, _ in os.walk(top, onerror=_fail if os.path.isdir(top) else None):
            folders[:] = [name for name in folders if not name.startswith(".")]
            found |= _matches(os.path.join(glob.escape(here), tail.rstrip("/") or "*"))
    return found


def _copy(file: Path, target: Path) -> None:
    """Copy a file to another file system, where it appears whole or not at all."""
    aside = target.with_name(f".{uuid.uuid4().hex}.part")
    try:
        shutil.copyfile(file, aside)
        _sync(aside)
        os.replace(aside, target)
    finally:
        aside.unlink(missing_ok=True)


def _sync(file: Path) -> None:
    with file.open("rb+") as written:
        os.fsync(written.fileno())


def _is_no_name(error: OSError) -> bool:
    """Whether Windows says that a file cannot have such a name, as a pattern cannot."""
    return getattr(error, "winerror", None) == 123


def _fail(error: OSError) -> None:
    """For `os.walk`, which would leave out a folder that cannot be read. One that has gone meanwhile is none."""
    if not isinstance(error, FileNotFoundError):
        raise error
