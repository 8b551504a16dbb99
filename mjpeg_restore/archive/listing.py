"""Sources to recordings: folders, patterns, lists and single files, each recording with its relative name."""

from __future__ import annotations

import os
import posixpath
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

from mjpeg_restore.archive.destination import Destination
from mjpeg_restore.archive.opening import open_store
from mjpeg_restore.archive.store import Entry, below, is_url, local_path, named, trimmed
from mjpeg_restore.errors import SourceError, SourceNotFound, reason_of
from mjpeg_restore.sources.stills import SUFFIXES

_MAGIC = "*?["
PICTURE = ".png"
"""The extension of what a single JPEG becomes."""


@dataclass(frozen=True, slots=True)
class Recording:
    """A file that is to be restored, and where to."""

    name: str
    """Relative, with slashes: the manifest names it so."""
    location: str = field(repr=False)
    """A path or a URL, perhaps with a password."""
    size: int
    """Bytes."""
    modified: str
    """See `Entry`."""
    output: str
    """Relative to the destination: the same name with another extension."""


def list_recordings(sources: Sequence[str], destination: str, extension: str) -> list[Recording]:
    """The recordings of all sources, in the order of the sources and of their names.

    1. A folder: the files in it and below it; names are relative to the folder.
    2. A pattern, with `*`, `?` or `[`: names are relative to the last folder before the first of them.
    3. `@FILE`: a list of files, one a line; names are relative to the deepest folder that holds all of them.
    4. A file: its name.

    Links to folders are followed where a pattern names them, and not by a folder or `**`.

    Files are not opened: what is no recording is found out when it is its turn. Hidden files are left out, and so are
    those in a destination below a source.

    Args:
        sources: paths and URLs.
        destination: a path or a URL.
        extension: of the restored files, such as ".mkv"; single JPEGs become ".png".

    Raises:
        SourceNotFound: a source does not exist.
        SourceError: it cannot be read, two recordings have one name, or a restored file would replace a recording.
        SinkError: see `Destination`.
        MissingExtra: a source takes a package that is not installed.
    """
    folder = Destination(destination).location
    found: dict[str, Entry] = {}
    for source in sources:
        for name, entry in _of_source(source, folder):
            if name in found and _absolute(found[name].path) != _absolute(entry.path):
                raise SourceError(
                    f"{named(found[name].path)} and {named(entry.path)} would both be restored as {name}: "
                    "name the folder that holds both"
                )
            if ".." in name.split("/"):
                raise SourceError(f"{named(entry.path)} would be restored outside of the destination, as {name}")
            found[name] = entry
    outputs = _outputs(list(found), extension)
    recordings = [
        Recording(name, _absolute(entry.path), entry.size, entry.modified, outputs[name])
        for name, entry in found.items()
    ]
    _refuse_replaced(recordings, folder)
    return recordings


def _refuse_replaced(recordings: Sequence[Recording], destination: str) -> None:
    """Refuse recordings that a restored file would replace.

    Raises:
        SourceError: there is one.
    """
    real = lru_cache(maxsize=1024)(os.path.realpath)

    def place(path: str) -> str:
        return path if is_url(path) else os.path.join(real(os.path.dirname(path)), os.path.basename(path))

    sources = {place(recording.location) for recording in recordings}
    for recording in recordings:
        if place(output := below(destination, recording.output)) in sources:
            raise SourceError(
                f"{named(output)} is a recording, which the file restored from "
                f"{named(recording.location)} would replace: give another folder for the restored files"
            )


def _absolute(path: str) -> str:
    """A location for other processes, which have other current folders."""
    return path if is_url(path) else os.path.abspath(path)


def _of_source(source: str, destination: str) -> Iterator[tuple[str, Entry]]:
    """The files of a source with their relative names."""
    if not source:
        raise SourceNotFound("a source has an empty name: is a variable unset?")
    try:
        if source.startswith("@"):
            yield from _of_list(source[1:])
            return
        source = local_path(source)
        store = open_store(source)
        if store.is_folder(source):
            if _is_within(source, destination) and _is_within(destination, source):
                raise SourceError(
                    f"{named(source)} is the destination, too: give another folder for the restored files"
                )
            inside = _is_within(destination, source)
            files = (entry for entry in store.walk(source) if not (inside and _is_within(entry.path, destination)))
            yield from _named(files, source)
        elif entry := store.stat(source):
            path = named(_slashed(source))
            yield _plain(posixpath.basename(path), path), entry
        elif any(character in source for character in _MAGIC):
            entries = list(store.match(source))
            if not entries:
                raise SourceNotFound(f"{named(source)}: no file matches")
            base = _before_magic(source)
            inside = _is_within(destination, base) and not _is_within(base, destination)
            yield from _named((each for each in entries if not (inside and _is_within(each.path, destination))), base)
        else:
            what = "neither a file nor a folder" if store.is_taken(source) else "no such file or folder"
            raise SourceNotFound(f"{named(source)}: {what}")
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        where = getattr(error, "filename", None) or source
        raise SourceError(f"cannot read {named(str(where))}: {reason_of(error)}") from None


def _of_list(path: str) -> Iterator[tuple[str, Entry]]:
    content = Path(path).read_bytes()
    if content.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
        raise SourceError(f"{path} is text in UTF-16: save it as UTF-8")
    # Names may hold all that Python takes for the end of a line, but a line feed.
    lines = content.removeprefix(BOM_UTF8).decode("utf-8", "surrogateescape").split("\n")
    lines = [line for line in lines if line.strip()]
    if len({is_url(line.strip()) for line in lines}) > 1:
        raise SourceError(f"{path} lists paths and URLs: make a list of each")
    entries: list[Entry] = []
    for line in lines:
        entry = _listed(line)
        if entry is None:
            name = local_path(line.strip())
            if open_store(name).is_folder(name):
                raise SourceError(
                    f"{path} lists {named(name)}, which is a folder: list its files, or give the folder itself"
                )
            raise SourceNotFound(
                f"{path} lists {named(line.strip())}: no such file: correct that line, or leave it out"
            )
        entries.append(replace(entry, path=_absolute(entry.path)))
    if entries:
        folders = [posixpath.dirname(_slashed(entry.path)) or "." for entry in entries]
        yield from _named(entries, posixpath.commonpath(folders) if not is_url(folders[0]) else _common(folders))


def _listed(line: str) -> Entry | None:
    """The file that a line of a list names; spaces at its ends count if there is a file of that name.

    In Windows, where lines end with a return, names have none at their ends.
    """
    stripped = local_path(line.strip())
    if os.name != "nt" and not is_url(stripped) and line != stripped and (entry := open_store(line).stat(line)):
        return entry
    return open_store(stripped).stat(stripped)


def _common(folders: Sequence[str]) -> str:
    """The deepest folder that holds all folders of URLs."""
    parts = [folder.split("/") for folder in folders]
    same = 0
    while all(len(part) > same and part[same] == parts[0][same] for part in parts):
        same += 1
    return "/".join(parts[0][:same])


def _named(entries: Iterable[Entry], folder: str) -> Iterator[tuple[str, Entry]]:
    base = trimmed(named(_slashed(folder)))
    for entry in entries:
        path = named(_slashed(entry.path))
        name = path.removeprefix(below(base, "")) if base not in ("", ".") else path.removeprefix("./")
        yield _plain(name, path).lstrip("/"), entry


def _plain(name: str, path: str) -> str:
    """A name without the percent signs that URLs of HTTP have for some characters."""
    return unquote(name, errors="surrogateescape") if path.lower().startswith(("http://", "https://")) else name


def _before_magic(pattern: str) -> str:
    """The folder before the first wildcard."""
    parts = _slashed(pattern).split("/")
    fixed = next(number for number, part in enumerate(parts) if any(character in part for character in _MAGIC))
    return "/".join(parts[:fixed])


def _slashed(path: str) -> str:
    return path if is_url(path) or os.sep == "/" else path.replace(os.sep, "/")


def _is_within(path: str, folder: str) -> bool:
    if is_url(path) or is_url(folder):
        return below(path, "").startswith(below(folder, ""))
    return Path(path).resolve().is_relative_to(Path(folder).resolve())


def _outputs(names: Sequence[str], extension: str) -> dict[str, str]:
    """The name of each one's restored file.

    Where two would have one name, or one the name of a folder of others, they keep their own extension in it.
    """
    outputs = {name: _with(name, extension) for name in names}
    # In lower case: some file systems know no case.
    folders = {str(folder).lower() for name in names for folder in PurePosixPath(name).parents}
    while True:
        made: dict[str, list[str]] = {}
        for name, output in outputs.items():
            made.setdefault(output.lower(), []).append(name)
        longer = {
            name: f"{name}{_suffix(name, extension)}"
            for output, alike in made.items()
            if len(alike) > 1 or output in folders
            for name in alike
        }
        if all(outputs[name] == output for name, output in longer.items()):
            return outputs
        outputs |= longer  # which may be another one's name: a.avi.mkv is that of a.avi, and of a.avi.mov


def _with(name: str, extension: str) -> str:
    return str(PurePosixPath(name).with_suffix(_suffix(name, extension)))


def _suffix(name: str, extension: str) -> str:
    return PICTURE if PurePosixPath(name).suffix.lower() in SUFFIXES else extension
