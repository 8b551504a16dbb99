"""Where restored files go: each is written aside, and appears under its name when it is whole."""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
import uuid
from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path

from mjpeg_restore.archive.opening import open_store
from mjpeg_restore.archive.store import FULL, Entry, Store, below, is_url, local_path, named
from mjpeg_restore.errors import SinkError, reason_of
from mjpeg_restore.locks import file_lock

WORK = ".mjpeg-restore"
"""The folder in the destination for what is not finished."""
_LOCK = f"{WORK}.lock"
"""Not in that folder, which is removed while it is locked."""
_ASIDE, _PARTS = f"{WORK}/aside", f"{WORK}/parts"

_NO_ROOM = "make room there, and call this again"
_NOT_OURS = "give a destination that can be written"
_TAKEN = "something else has its name, or that of a folder that it goes in: move that, or give another destination"
_ADVICE = {
    **dict.fromkeys(FULL, _NO_ROOM),
    errno.EROFS: _NOT_OURS,
    errno.EACCES: _NOT_OURS,
    errno.EPERM: _NOT_OURS,
    errno.EEXIST: _TAKEN,
    errno.EISDIR: _TAKEN,
    errno.ENOTDIR: _TAKEN,
    errno.ELOOP: _TAKEN,
    errno.ENOENT: "the folder has gone meanwhile, or a link leads nowhere: call this again, or remove the link",
    errno.ENAMETOOLONG: "give the recording a shorter name",
}
"""What helps where a file cannot be written, by the cause."""


def cannot_write(where: str, error: OSError) -> SinkError:
    """The error for a file that cannot be written, with what helps.

    Args:
        where: its location.
        error: the cause.
    """
    advice = _ADVICE.get(error.errno or 0, "call this again, or give another destination")
    return SinkError(f"cannot write {named(where)} ({reason_of(error)}): {advice}")


def full_folder(destination: str, error: BaseException | None) -> str:
    """The folder in which there is no room, for an error that is due to that; empty for others.

    Args:
        destination: its location.
        error: one of whose causes may be a full disk.
    """
    while error is not None:
        if isinstance(error, OSError) and error.errno in FULL:
            # What comes from a store or goes to one lies there in between.
            here = tempfile.gettempdir()
            temporary = error.filename == here or (is_url(destination) and not is_url(str(error.filename)))
            return here if temporary else named(destination)
        error = error.__cause__ or error.__context__
    return ""


@dataclass(frozen=True, slots=True)
class Destination:
    """A folder of a store. Names are relative to it, with slashes. It is a value: tasks on other machines take it."""

    location: str = field(repr=False)
    """A path, which is made absolute, or a URL, perhaps with a password."""

    def __post_init__(self) -> None:
        """Check the location, and make it absolute: other processes have other current folders.

        Raises:
            SinkError: it is empty, as a variable of a script may be; relative, and the current folder is gone; or a
                `file://` URL without an absolute path.
        """
        if not self.location:
            raise SinkError("the destination is empty: give a folder or a URL")
        if not is_url(self.location):
            try:
                location = os.path.abspath(local_path(self.location))
            except ValueError as error:
                raise SinkError(f"{self.location}: {error}") from error
            except OSError as error:
                gone = f"the current folder is gone ({reason_of(error)}): go to another"
                raise SinkError(f"{self.location}: {gone}") from error
            object.__setattr__(self, "location", location)

    @property
    def store(self) -> Store:
        """The store that it is in."""
        return open_store(self.location)

    def path(self, name: str) -> str:
        """The location of a file in it."""
        return below(self.location, name)

    def stat(self, name: str) -> Entry | None:
        """A file in it; None where there is none."""
        return self.store.stat(self.path(name))

    def is_taken(self, name: str) -> bool:
        """See `Store`."""
        return self.store.is_taken(self.path(name))

    @contextlib.contextmanager
    def writing(self, name: str) -> Generator[Path]:
        """A new name on this machine, with the extension of `name`, for a file that is published at the context's end.

        Two who write the same file at the same time do not meet: the later one to finish replaces the other's.

        Raises:
            SinkError: it cannot be written.
        """
        store, place = self.store, self.path(name)
        try:
            aside = store.scratch(self.path(_ASIDE)) / f"{uuid.uuid4().hex}{Path(name).suffix}"
        except OSError as error:
            raise cannot_write(place, error) from error
        try:
            yield aside
            store.publish(aside, place)
        except SinkError as error:  # users know the file by its own name
            raise type(error)(error.message.replace(str(aside), named(place)), error.hint) from error
        except OSError as error:
            full = full_folder(self.location, error)
            raise cannot_write(place if full in ("", named(self.location)) else full, error) from error
        finally:
            with contextlib.suppress(OSError):
                aside.unlink(missing_ok=True)

    def reading(self, name: str) -> contextlib.AbstractContextManager[Path]:
        """A file in it, on this machine for as long as the context lasts."""
        return self.store.fetch(self.path(name))

    def read_text(self, name: str) -> str | None:
        """The text of a file in it, of which a disk may have spoilt some bytes; None where there is none."""
        if self.stat(name) is None:
            return None
        with self.reading(name) as path:
            return path.read_text(encoding="utf-8", errors="replace")

    def write_text(self, name: str, text: str) -> None:
        """Publish a text file.

        Raises:
            SinkError: it cannot be written.
        """
        with self.writing(name) as path:
            path.write_text(text, encoding="utf-8")

    def parts_folder(self, key: str) -> str:
        """The name of the folder for the parts of one recording."""
        return f"{_PARTS}/{key}"

    @contextlib.contextmanager
    def locked(self) -> Generator[None]:
        """Keep other runs away, as far as the store has locks.

        Raises:
            SinkError: another run is at work here, or it can be no folder.
        """
        if is_url(self.location):
            yield
            return

        def refuse() -> None:
            raise SinkError(f"{self.location} is being written by another run: wait for its end")

        try:
            folder = self.store.scratch(self.location)
        except OSError as error:
            raise SinkError(f"cannot make {self.location} ({reason_of(error)}): give another destination") from error
        with file_lock(folder / _LOCK, refuse):
            yield

    def remove_unfinished(self) -> None:
        """Remove the files of a run that died while it wrote them. Only for who has locked the destination.

        Raises:
            SinkError: nothing can be written there.
        """
        if not is_url(self.location):
            try:
                self.remove(_ASIDE)
            except OSError as error:  # such as a file of that folder's name
                raise cannot_write(self.path(WORK), error) from error

    def remove(self, name: str) -> None:
        """Remove a file or a folder."""
        self.store.remove(self.path(name))
