"""The manifest of an archive: a file of JSON lines in the destination, one for each recording.

A line has `name`, `status`, and what is known of input, model, settings and result. While an archive is restored, lines
are appended; where a recording has two, the later one counts. At the end they are written anew, one for each recording.
"""

from __future__ import annotations

import contextlib
import json
import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal

from mjpeg_restore.archive.destination import Destination, cannot_write
from mjpeg_restore.archive.listing import Recording
from mjpeg_restore.archive.opening import is_another
from mjpeg_restore.archive.store import is_url, named, user_of
from mjpeg_restore.errors import SinkError, reason_of

MANIFEST = "manifest.jsonl"
"""The file's name in the destination."""

_REWRITE_EVERY = 30.0
"""Seconds between two times that the manifest is written in a store where nothing can be appended."""

_BEGINNING = '{"name": '
"""Of a line, which may be the only one, and cut off."""

Status = Literal["begun", "done", "refused", "failed"]
"""What became of a recording. "begun": not known yet; "refused": it is none, or damaged beyond use, and is not tried
again before it changes; "failed": it is tried again."""

FOREIGN = "foreign"
"""Member of the line of a recording whose output the archive has not made: something else has its name."""

EARLIER = "earlier"
"""Member of a line: the names of files that the archive has made of the recording before, as under other settings, and
that the rest of the line does not describe."""

_LOST = re.compile(r'"status": "(?:begun|done)", .*?"output": ("(?:[^"\\]|\\.)*")')
"""In a line that is not whole: the name of a file that the archive has made."""

Line = dict[str, Any]


class Manifest:
    """The lines of a manifest, by the recordings' names."""

    def __init__(self, destination: Destination) -> None:
        """Read what there is. A line that is cut off, by a crash, or is none of ours is left out.

        Raises:
            SinkError: the manifest cannot be read, or is none.
        """
        self._destination = destination
        self._written = time.monotonic()
        self.lines: dict[str, Line] = {}
        self._begun: set[str] = set()
        """Names of the files that the archive has made, or begun."""
        try:
            text = destination.read_text(MANIFEST) or ""
        except OSError as error:
            path = named(destination.path(MANIFEST))
            raise SinkError(
                f"cannot read {path} ({reason_of(error)}): make it readable, or give another destination"
            ) from error
        self._whole = not text or text.endswith("\n")
        for written in text.splitlines():
            if line := _line(written):
                self._keep(line)
            else:
                self._begun |= _made_by(written)
        if text and not self.lines and not text.startswith(_BEGINNING):
            path = named(destination.path(MANIFEST))
            raise SinkError(f"{path} is no manifest of an archive: remove it, or give another destination")

    def add(self, line: Line) -> None:
        """Append a line.

        Raises:
            SinkError: it cannot be written.
        """
        line = self._with_earlier(line)
        self._keep(line)
        path = self._destination.path(MANIFEST)
        text = ("" if self._whole else "\n") + json.dumps(line) + "\n"
        try:
            appended = self._destination.store.append(path, text)
        except OSError as error:
            raise cannot_write(path, error) from error
        if appended:
            self._whole = True
        elif time.monotonic() - self._written > _REWRITE_EVERY:
            self.write()

    def _with_earlier(self, line: Line) -> Line:
        """A line with the names of the files that the recording's line before it tells of.

        One whose recording is now begun anew, refused or failed is still there, and still restored from it.
        """
        before = self.lines.get(line["name"])
        earlier = (
            _restored(before) - ({line["output"]} if line["status"] == "done" else set()) if before else set[str]()
        )
        return {**line, EARLIER: sorted(earlier)} if earlier else line

    def _keep(self, line: Line) -> None:
        self.lines[line["name"]] = line
        self._begun |= _outputs(line)

    def write(self) -> None:
        """Write the manifest anew, in the order of the names.

        Raises:
            SinkError: it cannot be written; what was there is as it was.
        """
        text = "".join(f"{json.dumps(self.lines[name])}\n" for name in sorted(self.lines))
        try:
            current = self._destination.read_text(MANIFEST)
        except OSError as error:
            raise cannot_write(self._destination.path(MANIFEST), error) from error
        if text and current != text:
            self._destination.write_text(MANIFEST, text)
        self._whole, self._written = True, time.monotonic()

    def is_current(self, recording: Recording, key: str) -> bool:
        """Whether there is nothing to do for a recording.

        Args:
            recording: as it is now.
            key: see `ArchiveSettings`.
        """
        line = self.lines.get(recording.name, {})
        if (line.get("size"), line.get("modified")) != (recording.size, recording.modified):
            return False
        if is_another(recording.location, line["source"]):
            return False
        refused = line.get("status") == "refused" and line.get("key") == key
        return refused or bool(self.restored(recording, key))

    def refuse_replaced(self, todo: Iterable[Recording], recordings: Iterable[Recording]) -> None:
        """Refuse recordings whose restored files would replace those of other recordings, which are still there.

        Args:
            todo: what is to be restored.
            recordings: all of this call; the files of some may have other names now.

        Raises:
            SinkError: there is one.
        """
        names = {recording.name: recording.output for recording in recordings}
        made: dict[str, list[str]] = {}
        for name, line in self.lines.items():
            for output in _restored(line):
                if output == names.get(name, output):
                    made.setdefault(output, []).append(line["source"])
        for recording in todo:
            for output, other in self._claims(recording, made):
                if is_another(recording.location, other):
                    raise SinkError(
                        f"{named(self._destination.path(output))} is restored from {other}, and would be replaced by "
                        f"{named(recording.location)}: give both in one call, or another destination"
                    )

    def _claims(self, recording: Recording, made: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, str]]:
        """Yield what a recording would replace: files of its output's name, and those of a recording of its own name.

        The latter would lose their line, and so be taken for this one's.

        Args:
            recording: one that is to be restored.
            made: the sources of each restored file.
        """
        for other in made.get(recording.output, ()):
            yield recording.output, other
        if line := self.lines.get(recording.name):
            for output in sorted(_restored(line)):
                yield output, line["source"]

    def is_begun(self, recording: Recording) -> bool:
        """Whether a file of the output's name is this archive's, should there be one."""
        return recording.output in self._begun

    def is_foreign(self, recording: Recording) -> bool:
        """Whether something of the output's name is there, and is not this archive's.

        With a URL it is taken for what a run made that died, as what is begun is not noted there at once.

        Raises:
            OSError: no file can have that name, or it cannot be looked at.
        """
        if is_url(self._destination.location) or self.is_begun(recording):
            return False
        return self._destination.is_taken(recording.output)

    def restored(self, recording: Recording, key: str) -> str:
        """Checksum of the input that the restored file was made of; empty where there is none, or not of that key."""
        line = self.lines.get(recording.name, {})
        if line.get("status") != "done" or (line.get("key"), line.get("output")) != (key, recording.output):
            return ""
        found = None
        with contextlib.suppress(OSError):  # then writing fails, too, and says so
            found = self._destination.stat(recording.output)
        return str(line.get("sha256")) if found and found.size == line.get("output_size") else ""


def _line(text: str) -> Line | None:
    """A line; None if it was cut off, or is none of ours."""
    with contextlib.suppress(ValueError, TypeError, KeyError, RecursionError):  # the last: brackets in brackets
        line = json.loads(text)
        strings = [*(line[field] for field in ("name", "status", "source", "output")), *line.get(EARLIER, ())]
        if all(isinstance(each, str) for each in strings):
            return _without_user(line)
    return None


def _without_user(line: Line) -> Line:
    """A line without the user name and password that were once written with the source, and into the error."""
    user = user_of(line["source"])
    told = {"error": str(line["error"]).replace(user, "")} if user and "error" in line else {}
    return {**line, "source": named(line["source"]), **told}


def _outputs(line: Line) -> set[str]:
    """The names of the files that the archive has made of a line's recording."""
    return {*line.get(EARLIER, ()), *(() if FOREIGN in line else (line["output"],))}


def _restored(line: Line) -> set[str]:
    """The names of the files that hold a line's recording, restored."""
    return {*line.get(EARLIER, ()), *((line["output"],) if line["status"] == "done" else ())}


def _made_by(text: str) -> set[str]:
    """The name of the file that a line tells of which is not whole; none where its beginning is lost.

    Other names are not ours, and their files not replaced: what the line was, is not known.
    """
    with contextlib.suppress(ValueError):
        return {json.loads(found) for found in _LOST.findall(text)}
    return set()
