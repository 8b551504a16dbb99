"""The lines on which the keys of a TOML text stand: `tomllib` tells the values alone."""

from __future__ import annotations

import re
import tomllib

KeyPath = tuple[str | int, ...]
"""Keys from the root to a value, and indices in arrays: `("cameras", "door", "outputs", 1, "codec")`."""

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_KEY = re.compile(r"""[A-Za-z0-9_-]+|"(?:\\.|[^"\\\n])*"|'[^'\n]*'""")
_STRING = re.compile(
    # Up to two quotes before the closing three belong to the text.
    r'"""(?:\\.|[^\\])*?"""(?:"{0,2})|' + r"'''.*?'''(?:'{0,2})|" + r"""\"(?:\\.|[^"\\\n])*\"|'[^'\n]*'""",
    re.DOTALL,
)
_SCALAR = re.compile(r"[^,\]}#\r\n]+")
"""A number, a boolean or a time, which may hold a space."""


class Positions:
    """Where each key of a text stands."""

    def __init__(self, text: str) -> None:
        """Scan a text.

        Args:
            text: what `tomllib.loads` accepts.
        """
        self._lines = _Scanner(text).lines

    def line(self, path: KeyPath) -> int:
        """The line of a key, from 1; that of the table around it where there is no such key."""
        while path not in self._lines:
            path = path[:-1]
        return self._lines[path]

    @property
    def paths(self) -> set[KeyPath]:
        """All keys and elements of arrays; the root is the empty path."""
        return {*self._lines}


class _Scanner:
    """Walks through a valid text, and notes the first line of each path.

    Attributes:
        lines: line numbers by paths.
    """

    def __init__(self, text: str) -> None:
        self.lines: dict[KeyPath, int] = {(): 1}
        self._text = text
        self._at = 0
        self._line, self._counted = 1, 0
        """The number of the line at offset `_counted`."""
        self._elements: dict[KeyPath, int] = {}
        """How many tables each array of tables has so far."""
        self._scan()

    def _scan(self) -> None:
        table: KeyPath = ()
        while self._next():
            if self._take("["):
                table = self._header(is_array=self._take("["))
            else:
                self._pair(table)

    def _header(self, *, is_array: bool) -> KeyPath:
        """Read the rest of `[a.b]` or `[[a.b]]`; the path of the table that begins."""
        path = self._keys(())
        while self._take("]"):
            pass
        if is_array:
            index = self._elements.get(path, 0)
            self._elements[path] = index + 1
            path = (*path, index)
            self._note(path)
        return path

    def _pair(self, table: KeyPath) -> None:
        """Read `a.b = value`."""
        path = self._keys(table)
        self._take("=")
        self._value(path)

    def _keys(self, table: KeyPath) -> KeyPath:
        """Read a dotted key; its path, of which each part is noted."""
        path = table
        while True:
            self._next()
            path = (*path, self._key())
            self._note(path)
            if path in self._elements:  # the last table of an array
                path = (*path, self._elements[path] - 1)
            self._next()
            if not self._take("."):
                return path[:-1] if isinstance(path[-1], int) else path

    def _key(self) -> str:
        key = self._match(_KEY)
        return tomllib.loads(f"key = {key}")["key"] if key[0] in "\"'" else key

    def _value(self, path: KeyPath) -> None:
        self._next()
        if self._take("["):
            index = 0
            while self._next() and not self._take("]"):
                self._note((*path, index))
                self._value((*path, index))
                self._next()
                self._take(",")
                index += 1
        elif self._take("{"):
            while self._next() and not self._take("}"):
                self._pair(path)
                self._next()
                self._take(",")
        elif self._text[self._at] in "\"'":
            self._match(_STRING)
        else:
            self._match(_SCALAR)

    def _note(self, path: KeyPath) -> None:
        """Note the line of a path, unless it was there before."""
        self._line += self._text.count("\n", self._counted, self._at)
        self._counted = self._at
        self.lines.setdefault(path, self._line)

    def _next(self) -> bool:
        """Skip blanks, line ends and comments; whether anything follows."""
        self._match(_BLANK)
        return self._at < len(self._text)

    def _take(self, character: str) -> bool:
        if not self._text.startswith(character, self._at):
            return False
        self._at += 1
        return True

    def _match(self, pattern: re.Pattern[str]) -> str:
        found = pattern.match(self._text, self._at)
        if not found:
            raise ValueError(f"this is no TOML, at character {self._at}")
        self._at = found.end()
        return found[0]
