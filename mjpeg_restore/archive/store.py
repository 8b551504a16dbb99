"""Where recordings are read and restored files are published: a file system, or what fsspec names."""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol
from urllib.parse import unquote, urlsplit

_URL = re.compile(r"(?:[a-z][a-z0-9+.-]+::)*[a-z][a-z0-9+.-]+://", re.IGNORECASE)
"""Also chained ones, as `simplecache::s3://bucket/a.avi`; `cam::1.avi` is the name of a file."""


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
    return bool(_URL.match(location)) and not location.lower().startswith("file://")


def checksum(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def local_path(location: str) -> str:
    """A path, of a path or of a `file://` URL."""
    return unquote(urlsplit(location).path) if location.lower().startswith("file://") else location
