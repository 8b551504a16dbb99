"""Values out of the tables of a settings file; what is wrong with them is noted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from mjpeg_restore.errors import MjpegRestoreError
from mjpeg_restore.fleet import keys
from mjpeg_restore.fleet.keys import Parse
from mjpeg_restore.fleet.mistakes import Mistakes
from mjpeg_restore.fleet.positions import KeyPath
from mjpeg_restore.fleet.references import expand, has_reference


@dataclass(frozen=True, slots=True)
class TableReader:
    """Reads the tables of one file."""

    folder: Path
    """Of the file: relative paths begin there."""
    environment: Mapping[str, str]
    """The variables for `${NAME}`."""
    mistakes: Mistakes

    def read(self, given: object, path: KeyPath, schema: Mapping[str, Parse]) -> dict[str, Any]:
        """The values of a table that are right.

        Args:
            given: the table.
            path: its place.
            schema: its keys, and what each takes.
        """
        values: dict[str, Any] = {}
        for key, value in self.table(given, path).items():
            if key not in schema:
                self.mistakes.note((*path, key), keys.unknown(key, schema))
                continue
            try:
                values[key] = schema[key](value)
            except (ValueError, MjpegRestoreError) as error:
                self.mistakes.note((*path, key), str(error))
        return values

    def table(self, given: object, path: KeyPath) -> dict[str, Any]:
        """What is given, if it is a table; else an empty one."""
        if isinstance(given, dict):
            return cast("dict[str, Any]", given)
        self.mistakes.note(path, "is not a table")
        return {}

    def lacks(self, table: Mapping[str, Any], path: KeyPath, key: str) -> bool:
        """Whether a key was not given: one whose value is wrong is not in the table, either."""
        return key not in table and not self.mistakes.noted((*path, key))

    def expand(self, text: str, path: KeyPath) -> str | None:
        """A text with its references replaced; None where one is wrong."""
        try:
            found = expand(text, self.environment, self.folder)
            keys.text(found or text)
        except ValueError as error:
            self.mistakes.note(path, str(error))
            return None
        if not found:
            self.mistakes.note(path, "is empty: is a variable unset?")
        return found or None

    def refuse(self, text: str, path: KeyPath, what: str) -> None:
        """Note what is wrong with an expanded text.

        Args:
            text: as it is in the file.
            path: its place.
            what: is not shown where a reference's value may be in it; that of a URL leaves secrets out.
        """
        if has_reference(text) and "://" not in text:
            what = "cannot be what its reference stands for, which is not shown: it may be a secret"
        self.mistakes.note(path, what)
