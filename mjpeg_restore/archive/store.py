"""Where recordings are read and restored files are published: a file system, or what fsspec names."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from mjpeg_restore.address import file_path, redact

_URL = re.compile(r"(?:[a-z][a-z0-9+.-]+::)*[a-z][a-z0-9+.-]+://", re.IGNORECASE)
"""Also chained ones, as `simplecache::s3://bucket/a.avi`, which no store takes; `cam::1.avi` is the name of a file."""
_FILE = "file://"
FULL = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))
"""Numbers of the errors of a disk without room."""
_USER = re.compile(r"^(?!(?:abfss?|az|wasbs?):)([a-z][a-z0-9+.-]+://)[^/]*@", re.IGNORECASE)
"""What Azure's URLs have before the @ is the name of a container."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of a store."""

    path: str
    """Its location, which `stores.open_store` takes as well."""
    size: int
    """Bytes."""
    modified: str
    """When or how it changed last: a time, or a tag of the store's. A file with another one may have changed."""


class Store(Protocol):
    """A place of files. Locations are paths or URLs, their parts divided by slashes. Errors are `OSError`s."""

    def stat(self, path: str) -> Entry | None:
        """A file; None where there is none, or a folder."""
        ...

    def is_taken(self, path: str) -> bool:
        """Whether anything has that name: a file, a folder, a device, or a link that leads nowhere."""
        ...

    def is_folder(self, path: str) -> bool:
        """Whether there is a folder."""
        ...

    def walk(self, folder: str) -> Iterator[Entry]:
        """The files in a folder and below it, in the order of their names; hidden files and folders are left out."""
        ...

    def match(self, pattern: str) -> Iterator[Entry]:
        """The files that match a pattern; `**` includes folders below."""
        ...

    def fetch(self, path: str) -> contextlib.AbstractContextManager[Path]:
        """A file on this machine with the content of one of the store, for as long as the context lasts."""
        ...

    def peek(self, path: str) -> contextlib.AbstractContextManager[str | BinaryIO]:
        """A file for `open_source`, of which only the beginning may be read."""
        ...

    def scratch(self, folder: str) -> Path:
        """A folder of this machine for files that `publish` is to take; `folder` is the store's own for such things."""
        ...

    def publish(self, file: Path, path: str) -> None:
        """Move a file of this machine to its place, where it appears whole or not at all; another one is replaced."""
        ...

    def append(self, path: str, text: str) -> bool:
        """Append to a text file, which need not exist; False where the store cannot."""
        ...

    def remove(self, path: str) -> None:
        """Remove a file, or a folder with all that is in it; nothing where there is none."""
        ...


def is_url(location: str) -> bool:
    """Whether a location is none of this machine's file system, but `file://` is."""
    return bool(_URL.match(location)) and not location.lower().startswith(_FILE)


def named(location: str) -> str:
    """A location for messages and the manifest: a URL without user name, password, and secrets in HTTP's query.

    Unlike `redact` it leaves the rest as it is. Files whose URLs differ in these alone have one name.
    """
    if not is_url(location):
        return location
    name = _USER.sub(r"\1", location, count=1)
    return redact(name) if "?" in name and name.lower().startswith(("http://", "https://")) else name


def user_of(location: str) -> str:
    """User name and password of a URL as it has them, with the @ behind; empty where it has none."""
    found = _USER.match(location) if is_url(location) else None
    return found[0].removeprefix(found[1]) if found else ""


def trimmed(location: str) -> str:
    """A location without slashes at its end, but with those of a URL that ends in `://`, as a store's root does."""
    found = _URL.match(location)
    head = found[0] if found else ""
    return head + location.removeprefix(head).rstrip("/")


def below(folder: str, name: str) -> str:
    """The location of what has that name in a folder."""
    folder = trimmed(folder)
    return f"{folder}{'' if folder.endswith('://') else '/'}{name}"


def checksum(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def local_path(location: str) -> str:
    """A path, of a path or of a `file://` URL.

    Raises:
        ValueError: see `file_path`.
    """
    return file_path(location) if location.lower().startswith(_FILE) else location
