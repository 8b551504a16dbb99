"""`open_store`: the store that a location is in."""

from __future__ import annotations

from mjpeg_restore.archive.local import LocalStore
from mjpeg_restore.archive.store import Store, is_url


def open_store(location: str) -> Store:
    """The store that a location is in.

    Raises:
        MissingExtra: it takes fsspec, which is not installed, or a package for that kind of store.
    """
    if not is_url(location):
        return LocalStore()
    from mjpeg_restore.archive.remote import RemoteStore  # needs an extra

    return RemoteStore(location)
