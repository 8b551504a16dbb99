"""Objects of a JSON file that others wrote: each member has the type that is asked for, and unknown ones are errors.

A check takes a value and its path in the file, "models.stream.margin", and returns the value or raises `ValueError`.
"""

from __future__ import annotations

import json
import reprlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar, cast

MOST = 10**15
"""Absolute value of the largest number that is taken: with larger ones, arithmetic might overflow."""

_MOST_BYTES = 16 * 2**20
"""Of a file: hundreds of times what the shipped one has."""

T = TypeVar("T")
Check = Callable[[object, str], T]


class JsonObject:
    """The members of an object, taken one after the other."""

    def __init__(self, value: object, path: str) -> None:
        """Begin with all members.

        Args:
            value: any of JSON's types.
            path: of the object, for messages; empty for the whole file.

        Raises:
            ValueError: it is no object.
        """
        self._path = path
        self._left = dict(mapping(value, path))
        self._known: list[str] = []

    def take(self, key: str, check: Check[T]) -> T:
        """A member that has to be there, checked."""
        if key not in self._left:
            raise ValueError(f"{self._path or 'the file'} lacks the key {key!r}")
        return self._checked(key, check)

    def optional(self, key: str, check: Check[T], default: T) -> T:
        """A member that need not be there, checked."""
        if key in self._left:
            return self._checked(key, check)
        self._known.append(key)
        return default

    def end(self) -> None:
        """Refuse the members that nobody took."""
        if self._left:
            keys = " and ".join(map(reprlib.repr, self._left))
            raise ValueError(f"{self._path or 'the file'} has the unknown key {keys}; known: {', '.join(self._known)}")

    def _checked(self, key: str, check: Check[T]) -> T:
        self._known.append(key)
        return check(self._left.pop(key), f"{self._path}.{key}".lstrip("."))


def load(path: Path) -> object:
    """Read a JSON file.

    Raises:
        OSError: it cannot be read.
        ValueError: it is too large to be read; otherwise see `parse`.
        RecursionError: see `parse`.
    """
    if path.stat().st_size > _MOST_BYTES:
        raise ValueError(f"it is larger than {_MOST_BYTES >> 20} MiB")
    return parse(path.read_text("utf-8"))


def parse(content: str) -> object:
    """Read the text of a JSON file.

    Raises:
        ValueError: it is no JSON; it has NaN or Infinity, which JSON lacks, or an object with a key twice.
        RecursionError: it is nested too deeply.
    """
    return json.loads(content, object_pairs_hook=_unique, parse_constant=_refuse)


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"the key {next(key for key in keys if keys.count(key) > 1)!r} is there twice")
    return members


def _refuse(constant: str) -> object:
    raise ValueError(f"{constant} is no number")


def mapping(value: object, path: str) -> dict[str, object]:
    """An object with any keys."""
    if not isinstance(value, dict):
        raise wrong(value, path, "an object")
    return cast(dict[str, object], value)


def array(value: object, path: str) -> list[object]:
    """An array of anything."""
    if not isinstance(value, list | tuple):  # a tuple becomes an array
        raise wrong(value, path, "an array")
    return list(cast("Sequence[object]", value))


def text(value: object, path: str) -> str:
    """A line of text, without characters that would move a terminal's cursor."""
    if not isinstance(value, str) or not value or not value.isprintable():
        raise wrong(value, path, "a line of text")
    return value


def flag(value: object, path: str) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise wrong(value, path, "true or false")
    return value


def whole(value: object, path: str) -> int:
    """A whole number from 0."""
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MOST:
        raise wrong(value, path, "a whole number from 0")
    return value


def number(value: object, path: str) -> float:
    """A number."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not -MOST <= value <= MOST:
        raise wrong(value, path, "a number")
    return value


def wrong(value: object, path: str, right: str) -> ValueError:
    """The error of a value that is not what it has to be, in one line."""
    return ValueError(f"{path or 'the file'} is {reprlib.repr(value)}, not {right}")
