"""The mistakes in a settings file and remarks on it, each with its line and key."""

from __future__ import annotations

import ast
import json
import re
import tomllib

from mjpeg_restore.errors import SettingsError
from mjpeg_restore.fleet.positions import KeyPath, Positions

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_PLACE = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")
_TUPLE = re.compile(r"(?:(?<=^Cannot declare )|(?<= namespace ))\(.*\)(?= twice$|$)")
"""A key's path as tomllib shows it."""
_TWICE = "Cannot overwrite a value", "The key before this place has a value already"


class Mistakes:
    """Collects the mistakes of one file."""

    def __init__(self, file: str, positions: Positions) -> None:
        """Begin without any.

        Args:
            file: its name in messages.
            positions: the lines of its keys.
        """
        self._file = file
        self._positions = positions
        self._found: set[tuple[int, str]] = set()
        """Lines and sentences; what is wrong in `[defaults]` is found once more with each camera."""
        self._paths: set[KeyPath] = set()
        self._remarks: set[tuple[int, str]] = set()

    def note(self, path: KeyPath, what: str) -> None:
        """Note what is wrong with a key; of one that is not there, the line is that of its table."""
        self._paths.add(path)
        self._found.add((self._positions.line(path), f"{dotted(path)}: {what}"))

    def remark(self, path: KeyPath, what: str) -> None:
        """Note what is no mistake, and yet has to be otherwise before all can be done as the file says."""
        self._remarks.add((self._positions.line(path), f"{dotted(path)}: {what}"))

    @property
    def remarks(self) -> tuple[str, ...]:
        """The remarks, by line."""
        return tuple(self._lines(self._remarks))

    def noted(self, path: KeyPath) -> bool:
        """Whether something is wrong with that very key."""
        return path in self._paths

    def check(self) -> None:
        """Raise `SettingsError` if there are any."""
        if self._found:
            raise SettingsError(self._lines(self._found))

    def _lines(self, found: set[tuple[int, str]]) -> list[str]:
        # A path may have line feeds.
        return [" ".join(f"{self._file}:{line}: {what}".splitlines()) for line, what in sorted(found)]


def syntax_error(file: str, text: str, error: tomllib.TOMLDecodeError) -> SettingsError:
    """The error for a text that is no TOML."""
    message = str(error)
    found = _PLACE.search(message)
    what = message[: found.start()] if found else message
    what = _TUPLE.sub(lambda path: dotted(ast.literal_eval(path[0])), what.replace(*_TWICE))
    what = what[:1].lower() + what[1:]
    if found and found[1]:
        return SettingsError([f"{file}:{found[1]}: {what}, column {found[2]}"])
    return SettingsError([f"{file}:{text.count(chr(10)) + 1}: {what}, at the end of the file"])


def dotted(path: KeyPath) -> str:
    """A path as a user writes it: `cameras.door.outputs[1].codec`."""
    words = ""
    for key in path:
        if isinstance(key, int):
            words += f"[{key}]"
        else:
            words += f"{'.' if words else ''}{key if _BARE.fullmatch(key) else json.dumps(key)}"
    return words
