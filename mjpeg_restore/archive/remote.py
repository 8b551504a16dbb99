"""Stores that fsspec names: s3, gs, sftp, http and others. The only module that needs it."""

# fsspec has no types.
# pyright: reportMissingTypeStubs=false, reportUnknownVariableType=false

from __future__ import annotations

import contextlib
import errno
import os
import re
import tempfile
import uuid
from collections.abc import Callable, Generator, Iterator
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, cast

from mjpeg_restore.address import redact
from mjpeg_restore.archive.store import FULL, Entry, below, named, trimmed, user_of
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
"""What kinds of stores need beside fsspec, which says it in sentences of many kinds."""
_TAGS = ("ETag", "etag", "mtime", "LastModified", "Last-Modified", "last_modified", "updated", "modified", "created")
"""What stores tell of a file's last change, the most reliable first."""
_UNQUOTED = re.compile(r"[^:/]+://[^:/?#@]*:(?![0-9]*[/?#])[^:/?#@]*[/?#].*@")
"""A URL whose password has a / ? or # in it: what stands before that is no port, and an @ follows."""
_WEB = re.compile(r"https?://[^\s'\"]+", re.IGNORECASE)


class _FileSystem:
    """A file system of fsspec's, all of whose errors are `OSError`s: some raise those of an HTTP library.

    Its errors may hold URLs, which have no secrets then; see `_reason`.
    """

    def __init__(self, system: Any, user: str) -> None:
        """Take a file system, and the user name and password in its URLs; see `user_of`."""
        self._system, self._user = system, user

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._system, name)
        return partial(self._called, found) if callable(found) else found

    def _called(self, method: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        try:
            return method(*arguments, **options)
        except FileNotFoundError as error:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT)) from error
        except OSError as error:
            raise OSError(error.errno or 0, _reason(error, self._user)) from error
        except Exception as error:
            raise OSError(0, _reason(error, self._user)) from error


def _reason(error: Exception, user: str) -> str:
    """An error's reason, without the secrets of the URLs in it.

    Args:
        error: of fsspec, or of what it uses.
        user: see `user_of`.
    """
    return _WEB.sub(lambda url: named(url[0]), reason_of(error).replace(user, ""))


class RemoteStore:
    """What fsspec calls a file system. Locations are URLs."""

    def __init__(self, location: str) -> None:
        """Connect, as far as that kind of store does so beforehand.

        Raises:
            MissingExtra: fsspec or the package for that kind of store is not installed.
            SourceError: there is no such kind of store, it refuses, the URL is a chain of several, or its user name
                or password has characters that have to be percent-encoded.
        """
        scheme = location.split(":", 1)[0]
        if "::" in location:  # the name of a file stands somewhere in a chain, and its parts are the user's to know
            raise SourceError(f"{redact(location)}: a URL with :: cannot be used: give one of a single store")
        if _UNQUOTED.match(location):
            advice = "in a user name or password write %2F for /, %3F for ?, %23 for #, %3A for : and %40 for @"
            raise SourceError(f"{redact(location)}: {advice}")
        try:
            from fsspec.core import url_to_fs
        except ImportError as error:
            raise MissingExtra("fsspec", "remote", f"{scheme}://") from error
        try:
            found: tuple[Any, str] = url_to_fs(trimmed(location))
        except ImportError as error:
            if package := _PACKAGES.get(scheme.lower()):
                raise MissingExtra(package, "", f"{scheme}://") from error
            raise SourceError(f"cannot use {scheme}:// ({reason_of(error)})") from error
        except Exception as error:  # see `_FileSystem`
            why = _reason(error, user_of(location))
            raise SourceError(f"cannot use {redact(location)} ({why})") from error
        # Of the file system's names, which may lack the host, locations are made again. A root has no name itself.
        system, one = found[0], below(location, "x")
        self._system = _FileSystem(system, user_of(location))
        self._prefix = one.removesuffix(system._strip_protocol(one))

    def stat(self, path: str) -> Entry | None:
        """See `Store`."""
        try:
            found = self._system.info(path)
        except FileNotFoundError:
            return None
        return self._entry(found) if found["type"] == "file" else None

    def is_taken(self, path: str) -> bool:
        """See `Store`."""
        return bool(self._system.exists(path))

    def is_folder(self, path: str) -> bool:
        """See `Store`."""
        return bool(self._system.isdir(path))

    def walk(self, folder: str) -> Iterator[Entry]:
        """See `Store`."""
        base = self._system._strip_protocol(folder).rstrip("/")
        for name, found in sorted(self._system.find(folder, detail=True).items()):
            if not any(part.startswith(".") for part in name.removeprefix(base).split("/")):
                yield self._entry(found)

    def match(self, pattern: str) -> Iterator[Entry]:
        """See `Store`."""
        hidden = "/." in pattern
        for name, found in sorted(self._system.glob(pattern, detail=True).items()):
            if found["type"] == "file" and (hidden or "/." not in name):  # as in this machine's file system
                yield self._entry(found)

    @contextlib.contextmanager
    def fetch(self, path: str) -> Generator[Path]:
        """See `Store`."""
        local = self.scratch("") / f"mjpeg-restore-{uuid.uuid4().hex}{Path(path).suffix}"
        try:
            try:
                self._system.get_file(path, str(local))
            except OSError as error:
                where = str(local.parent) if error.errno in FULL else path  # a store that is read needs no room
                raise OSError(error.errno or 0, error.strerror, where) from error
            yield local
        finally:
            local.unlink(missing_ok=True)

    @contextlib.contextmanager
    def peek(self, path: str) -> Generator[BinaryIO]:
        """See `Store`."""
        with self._system.open(path, "rb") as file:
            yield cast(BinaryIO, file)

    def scratch(self, folder: str) -> Path:
        """See `Store`: this machine's folder for temporary files."""
        return Path(tempfile.gettempdir())

    def publish(self, file: Path, path: str) -> None:
        """See `Store`. An error names the file of the store."""
        try:
            self._publish(file, path)
        except OSError as error:
            raise OSError(error.errno or 0, error.strerror or str(error), path) from error

    def _publish(self, file: Path, path: str) -> None:
        protocols = self._system.protocol
        protocols = {protocols} if isinstance(protocols, str) else {*protocols}
        folder, name = self._system._parent(path), path.rpartition("/")[2]  # the root's is no URL
        self._system.makedirs(folder, exist_ok=True)
        if protocols & _ATOMIC:
            self._system.put_file(str(file), path)
            return
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

    def remove(self, path: str) -> None:
        """See `Store`."""
        with contextlib.suppress(FileNotFoundError):
            self._system.rm(path, recursive=True)

    def _entry(self, found: dict[str, Any]) -> Entry:
        if found["size"] is None:  # a list of links, as http's folders are, says no more than names
            found = self._system.info(found["name"])
        tag: Any = next((found[tag] for tag in _TAGS if found.get(tag)), "")
        modified = str(tag.timestamp() if hasattr(tag, "timestamp") else tag)  # some have both kinds of times
        return Entry(f"{self._prefix}{found['name']}", found["size"] or 0, modified)
