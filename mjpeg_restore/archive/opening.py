"""`open_store`: the store that a location is in."""

from __future__ import annotations

import os

from mjpeg_restore.archive.local import LocalStore
from mjpeg_restore.archive.store import Store, is_url, named
from mjpeg_restore.errors import MjpegRestoreError


def open_store(location: str) -> Store:
    """The store that a location is in.

    Raises:
        MissingExtra: it takes fsspec, which is not installed, or a package for that kind of store.
        SourceError: see `RemoteStore`.
    """
    if not is_url(location):
        return LocalStore()
    from mjpeg_restore.archive.remote import RemoteStore  # needs an extra

    return RemoteStore(location)


def is_another(location: str, other: str) -> bool:
    """Whether a file is there, other than the one that is known.

    Args:
        location: the one that is known.
        other: that of a manifest, without user name and password: those of `location` are taken on the same server.

    Returns:
        True also where a store does not tell.
    """
    if named(location) == named(other):
        return False
    if not (is_url(location) or is_url(other)):
        try:
            return not os.path.samefile(location, other)
        except OSError:
            return False
    try:
        other = _with_user_of(location, other)
        return open_store(other).stat(other) is not None
    except (OSError, MjpegRestoreError):
        return is_url(other)


def _with_user_of(location: str, other: str) -> str:
    """A URL with the user name and password that another one of the same server has."""
    scheme, _, rest = location.partition("://")
    server = f"{scheme}://{rest.partition('/')[0]}/"
    return server + other.removeprefix(named(server)) if other.startswith(named(server)) else other
