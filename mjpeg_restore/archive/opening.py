"""`open_store`: the store that a location is in."""

from __future__ import annotations

import os

from mjpeg_restore.archive.local import LocalStore
from mjpeg_restore.archive.store import Store, is_url
from mjpeg_restore.errors import MjpegRestoreError


def open_store(location: str) -> Store:
    """The store that a location is in.

    Raises:
        MissingExtra: it takes fsspec, which is not installed, or a package for that kind of store.
    """
    if not is_url(location):
        return LocalStore()
    from mjpeg_restore.archive.remote import RemoteStore  # needs an extra

    return RemoteStore(location)


def is_another(location: str, other: str) -> bool:
    """Whether there is a file, other than the one that is known; not where that cannot be found out."""
    if location == other:
        return False
    try:
        if not (is_url(location) or is_url(other)):
            return not os.path.samefile(location, other)
        return open_store(other).stat(other) is not None
    except (OSError, MjpegRestoreError):
        return False
