"""Decodes dumps of chunked HTTP responses (RFC 9112, 7.1), as `curl --raw` and `nc` write them."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator

_MAX_LINE = 1 << 16
"""Bytes of a header line."""
_MAX_FIELDS = 256
"""Fields of a header, which are held in memory."""
_MAX_SIZE_LINE = 1 << 10
"""Bytes of a chunk's size line, extensions included."""

_SIZE = rb"([0-9A-Fa-f]{1,16})[ \t]*(?:;[^\n]*)?\r?\n"
_SIZE_LINE = re.compile(_SIZE)
_FIRST_SIZE_LINE = re.compile(rb"(?:\A|(?<=\r\n))" + _SIZE)
_NEXT_SIZE_LINE = re.compile(rb"\r?\n" + _SIZE)

_STATUS_WITHOUT_BODY = re.compile(rb"HTTP/\S+ (1\d\d|204|304)\b")
_UNCOMPRESSED = ("", "chunked", "identity")
"""Codings that do not compress the body."""


class Dechunker:
    """Extracts the bodies of HTTP responses, one after the other on one connection, as the bytes arrive.

    A body without chunks is returned unchanged even if the header announces chunks: `curl -i` decodes the body and
    keeps the header. Lines may end without a CR.

    Attributes:
        left: bytes of the current chunk that have not arrived; None while its size line is expected.
        chunked: whether a chunk has begun.
        coding: the compression of the body by the header, such as "gzip"; empty if there is none.
        finished: whether no more of a body can follow.
        error: what is malformed, if that is why `finished` is True; else None.
    """

    def __init__(self, left: int | None = None, *, head: bool = False) -> None:
        """Begin at the size line of a chunk.

        Args:
            left: begin within a chunk, of which so many bytes follow.
            head: begin at the header of a response.
        """
        self.left = left
        self.chunked = not head
        self.coding = ""
        self.finished = False
        self.error: str | None = None
        self._line = bytearray()
        self._fields: list[tuple[str, str]] = []
        self._without_body = False
        # The current state: a method that takes the next line, and returns the part of it that belongs to a body.
        self._parse_line: Callable[[bytes], bytes] = (
            self._status_line if head else self._size_line if left is None else self._end_of_chunk
        )

    @property
    def between_responses(self) -> bool:
        """Whether a body has ended, or none has begun."""
        return self._parse_line == self._status_line

    def feed(self, data: bytes) -> bytes:
        """Take the next bytes, and return the part of them that belongs to a body."""
        body: list[bytes] = []
        position = 0
        while position < len(data) and not self.finished:
            if self.left:
                piece = data[position : position + self.left]
                self.left -= len(piece)
                position += len(piece)
                body.append(piece)
                continue
            end = data.find(b"\n", position) + 1 or len(data)
            self._line += data[position:end]
            position = end
            if self._line.endswith(b"\n") or not self._may_continue(self._line):
                line = bytes(self._line)
                self._line.clear()
                body.append(self._parse_line(line))
        return b"".join(body)

    def _may_continue(self, line: bytearray) -> bool:
        """Whether an incomplete line can still become a line that is valid in this state."""
        if self._parse_line == self._end_of_chunk:
            return bytes(line) == b"\r"
        if self._parse_line in (self._size_line, self._first_size_line):
            return len(line) < _MAX_SIZE_LINE and line[:1] in b"0123456789abcdefABCDEF"
        return len(line) < _MAX_LINE

    def _status_line(self, line: bytes) -> bytes:
        """Before or between responses."""
        if line.startswith(b"HTTP/"):
            self._fields.clear()
            self._without_body = _STATUS_WITHOUT_BODY.match(line) is not None
            self._parse_line = self._header_line
        elif line.strip():
            self._fail("something else follows the response")
        return b""

    def _header_line(self, line: bytes) -> bytes:
        """In the header; an empty line ends it."""
        if line.strip():
            if len(self._fields) == _MAX_FIELDS:
                self._fail("the header does not end")
                return b""
            name, _, value = line.decode("latin-1").partition(":")
            self._fields.append((name.strip().lower(), value.strip().lower()))
            return b""
        transfer, length = self._values("transfer-encoding"), "".join(self._values("content-length")[:1])
        codings = [*self._values("content-encoding"), *transfer]
        self.coding = next((coding for coding in codings if coding not in _UNCOMPRESSED), "")
        self._parse_line = self._status_line
        if "chunked" in transfer:
            self.left, self._parse_line = None, self._first_size_line
        elif self._without_body:
            self.left = 0
        elif re.fullmatch("[0-9]{1,15}", length) and not self.coding:
            self.left = int(length)
        else:
            self.left = sys.maxsize
        return b""

    def _values(self, name: str) -> list[str]:
        return [value.strip() for key, values in self._fields if key == name for value in values.split(",")]

    def _first_size_line(self, line: bytes) -> bytes:
        """Before the first chunk, or before a body that is already decoded."""
        if _SIZE_LINE.fullmatch(line):
            self.chunked = True
            return self._size_line(line)
        self.left, self._parse_line = sys.maxsize, self._status_line
        return line

    def _size_line(self, line: bytes) -> bytes:
        """Before a chunk."""
        if found := _SIZE_LINE.fullmatch(line):
            self.left = int(found[1], 16)
            self._parse_line = self._end_of_chunk if self.left else self._trailer_line
        else:
            shown = line[:16].strip().decode("ascii", "backslashreplace")
            self._fail(f"'{shown}' stands where the size of a chunk should")
        return b""

    def _end_of_chunk(self, line: bytes) -> bytes:
        """The line break after a chunk."""
        self.left, self._parse_line = None, self._size_line
        if line.strip(b"\r\n"):
            self._fail("a chunk is longer than its size")
        return b""

    def _trailer_line(self, line: bytes) -> bytes:
        """After the last chunk; an empty line ends the trailer."""
        self.left = None
        if not line.strip():
            self._parse_line = self._status_line
        return b""

    def _fail(self, error: str) -> None:
        self.finished, self.error = True, error


def dechunker_for(head: bytes) -> Dechunker | None:
    """The decoder for a dump that begins with `head`; None if that is no chunked or compressed response.

    A dump without a header is recognised by two size lines, of which the first one gives the position of the second.
    Such a dump may begin within a chunk.
    """
    if head.startswith(b"HTTP/"):
        trial = Dechunker(head=True)
        trial.feed(head)
        return Dechunker(head=True) if trial.chunked or trial.coding else None
    first = next((line for line, end in _possible_chunks(head) if _NEXT_SIZE_LINE.match(head, end)), None)
    return None if first is None else Dechunker(first - 2 if first else None)  # the CR LF before the size line


def may_be_chunked(head: bytes) -> bool:
    """Whether the bytes after `head` may still show that the dump consists of chunks."""
    return any(end + _MAX_SIZE_LINE > len(head) for _, end in _possible_chunks(head))


def _possible_chunks(head: bytes) -> Iterator[tuple[int, int]]:
    """Yield (offset of a possible size line, offset of the end of that chunk)."""
    for line in _FIRST_SIZE_LINE.finditer(head):
        if size := int(line[1], 16):
            yield line.start(), line.end() + size
