"""Stores that fsspec names: s3, gs, sftp, http and others. The only module that needs it."""

# fsspec has no types.
# pyright: reportMissingTypeStubs=false, reportUnknownVariableType=false

from __future__ import annotations

import contextlib
import tempfile
import uuid
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

from mjpeg_restore.archive.store import Entry
from mjpeg_restore.errors import MissingExtra, SourceError, reason_of

_ATOMIC = {"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "oss", "memory"}
"""Stores of objects, where one that is being written cannot be seen; large ones go up in several parts."""
_PACKAGES = {
    **dict.fromkeys(("s3", "s3a"), "s3fs"),
    **dict.fromkeys(("gs", "gcs"), "gcsfs"),
    **dict.fromkeys(("sftp", "ssh"), "paramiko"),
    **dict.fromkeys(("http", "https"), "aiohttp"),
    **dict.fromkeys(("az", "abfs", "abfss"), "adlfs"),
}
"""What to install for a scheme: fsspec says so in a sentence, and of each in another one."""
_TAGS = ("ETag", "etag", "mtime", "LastModified", "Last-Modified", "last_modified", "updated", "modified", "created")
"""What stores tell of a file's last change, the most reliable first."""


@contextlib.contextmanager
def _as_os_errors() -> Generator[None]:
    """Turn what packages raise for a store that refuses or does not answer into the `OSError` of `Store`."""
    try:
        yield
    except OSError:
        raise
    except Exception as error:  # of aiohttp, botocore, paramiko and others: each has a tree of its own
        raise OSError(reason_of(error)) from error


class RemoteStore:
    """What fsspec calls a file system. Locations are URLs."""

    def __init__(self, location: str) -> None:
        """Connect, as far as that kind of store does so beforehand.

        Raises:
            MissingExtra: fsspec or the package for that kind of store is not installed.
            SourceError: there is no such kind of store, or it refuses.
        """
        scheme = location.split(":", 1)[0]
        try:
            from fsspec.core import url_to_fs
        except ImportError as error:
            raise MissingExtra("fsspec", "remote", f"{scheme}://") from error
        try:
            found: tuple[Any, str] = url_to_fs(location.rstrip("/"))
        except ImportError as error:
            if package := _PACKAGES.get(scheme):
                raise MissingExtra(package, "", f"{scheme}://") from error
            raise SourceError(f"{scheme}:// needs a package that is not installed ({reason_of(error)})") from error
        except Exception as error:  # see `_as_os_errors`
            raise SourceError(f"cannot use {location} ({reason_of(error)})") from error
        # Of the file system's names, which may lack the host, locations are made again.
        self._system, bare = found
        self._prefix = location.rstrip("/").removesuffix(bare)

    @_as_os_errors()
    def stat(self, path: str) -> Entry | None:
        """See `Store`."""
        try:
            found = self._system.info(path)
        except FileNotFoundError:
            return None
        return self._entry(found) if found["type"] == "file" else None

    @_as_os_errors()
    def is_folder(self, path: str) -> bool:
        """See `Store`."""
        return bool(self._system.isdir(path))

    def walk(self, folder: str) -> Iterator[Entry]:
        """See `Store`."""
        base = self._system._strip_protocol(folder).rstrip("/")
        with _as_os_errors():
            there = sorted(self._system.find(folder, detail=True).items())
        for name, found in there:
            if not any(part.startswith(".") for part in name.removeprefix(base).split("/")):
                yield self._entry(found)

    def match(self, pattern: str) -> Iterator[Entry]:
        """See `Store`."""
        hidden = "/." in pattern
        with _as_os_errors():
            there = sorted(self._system.glob(pattern, detail=True).items())
        for name, found in there:
            if found["type"] == "file" and (hidden or "/." not in name):  # as in this machine's file system
                yield self._entry(found)

    @contextlib.contextmanager
    def fetch(self, path: str) -> Generator[Path]:
        """See `Store`."""
        local = self.scratch("") / f"mjpeg-restore-{uuid.uuid4().hex}{Path(path).suffix}"
        try:
            with _as_os_errors():
                self._system.get_file(path, str(local))
            yield local
        finally:
            local.unlink(missing_ok=True)

    @contextlib.contextmanager
    def peek(self, path: str) -> Generator[BinaryIO]:
        """See `Store`."""
        with _as_os_errors():
            opened = self._system.open(path, "rb")
        with opened as file:
            yield cast(BinaryIO, file)

    def scratch(self, folder: str) -> Path:
        """See `Store`: this machine's folder for temporary files."""
        return Path(tempfile.gettempdir())

    @_as_os_errors()
    def publish(self, file: Path, path: str) -> None:
        """See `Store`."""
        protocols = self._system.protocol
        protocols = {protocols} if isinstance(protocols, str) else {*protocols}
        self._system.makedirs(path.rpartition("/")[0], exist_ok=True)
        if protocols & _ATOMIC:
            self._system.put_file(str(file), path)
            return
        folder, _, name = path.rpartition("/")
        aside = f"{folder}/.{name}.{uuid.uuid4().hex}.part"
        try:
            self._system.put_file(str(file), aside)
            self._system.mv(aside, path)
        except BaseException:
            with contextlib.suppress(Exception):
                self._system.rm_file(aside)
            raise

    def append(self, path: str, text: str) -> bool:
        """See `Store`: objects cannot be appended to."""
        return False

    @_as_os_errors()
    def remove(self, path: str) -> None:
        """See `Store`."""
        with contextlib.suppress(FileNotFoundError):
            self._system.rm(path, recursive=True)

    @_as_os_errors()
    def _entry(self, found: dict[str, Any]) -> Entry:
        if found["size"] is None:  # a list of links, as http's folders are, says no more than names
            found = self._system.info(found["name"])
        tag: Any = next((found[tag] for tag in _TAGS if found.get(tag)), "")
        modified = str(tag.timestamp() if hasattr(tag, "timestamp") else tag)  # some have both kinds of times
        return Entry(f"{self._prefix}{found['name']}", found["size"] or 0, modified)
