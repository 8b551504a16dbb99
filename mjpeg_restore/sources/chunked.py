"""Dumps of chunked HTTP responses (RFC 9112, 7.1), as `curl --raw` and `nc` write them, put together again."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator

_LONGEST = 1 << 16
"""Bytes of a line in a response's head."""
_LONGEST_SIZE = 1 << 10
"""Bytes of a line that states a size, extensions included."""

_SIZE = rb"([0-9A-Fa-f]{1,16})[ \t]*(?:;[^\n]*)?\r?\n"
_SIZE_LINE = re.compile(_SIZE)
_FIRST_LINE = re.compile(rb"(?:\A|(?<=\r\n))" + _SIZE)
_NEXT_LINE = re.compile(rb"\r?\n" + _SIZE)

_NO_BODY = re.compile(rb"HTTP/\S+ (1\d\d|204|304)\b")
_PLAIN = ("", "chunked", "identity")
"""Codings that leave the body as it is."""


class Dechunker:
    """Takes the bodies out of HTTP responses, one behind the other on one connection, as the bytes arrive.

    Bodies that are not chunked come out as they are, whatever the head says: `curl -i` puts the chunks together and
    keeps the head. Lines may end without a CR.

    Attributes:
        left: bytes of the chunk at hand that are still to come; None where the line with a size comes next.
        chunked: whether a chunk has begun.
        coding: what the head says that a body is compressed with, "gzip" for instance, or nothing.
        over: whether nothing more will come out.
        trouble: why that is so, where it is not as it should be.
    """

    def __init__(self, left: int | None = None, *, head: bool = False) -> None:
        """Begin within a chunk of which `left` bytes are to come, before the line with its size, or before a head."""
        self.left = left
        self.chunked = not head
        self.coding = ""
        self.over = False
        self.trouble: str | None = None
        self._line = bytearray()
        self._fields: list[tuple[str, str]] = []
        self._no_body = False
        self._take: Callable[[bytes], bytes] = self._status if head else self._size if left is None else self._close

    def feed(self, data: bytes) -> bytes:
        """Take the next bytes; return what of a body is in them."""
        body: list[bytes] = []
        position = 0
        while position < len(data) and not self.over:
            if self.left:
                piece = data[position : position + self.left]
                self.left -= len(piece)
                position += len(piece)
                body.append(piece)
                continue
            end = data.find(b"\n", position) + 1 or len(data)
            self._line += data[position:end]
            position = end
            if self._line.endswith(b"\n") or not self._may_go_on(self._line):
                line = bytes(self._line)
                self._line.clear()
                body.append(self._take(line))
        return b"".join(body)

    def _may_go_on(self, line: bytearray) -> bool:
        """Whether what has come of a line may be the beginning of one that is expected."""
        if self._take == self._close:
            return bytes(line) == b"\r"
        if self._take in (self._size, self._first):
            return len(line) < _LONGEST_SIZE and line[:1] in b"0123456789abcdefABCDEF"
        return len(line) < _LONGEST

    # Each takes a line, and returns what of it belongs to a body.

    def _status(self, line: bytes) -> bytes:
        """Between two responses."""
        if line.startswith(b"HTTP/"):
            self._fields.clear()
            self._no_body = _NO_BODY.match(line) is not None
            self._take = self._field
        elif line.strip():
            self._end("something else follows the response")
        return b""

    def _field(self, line: bytes) -> bytes:
        """In a response's head."""
        if line.strip():
            name, _, value = line.decode("latin-1").partition(":")
            self._fields.append((name.strip().lower(), value.strip().lower()))
            return b""
        transfer, length = self._values("transfer-encoding"), "".join(self._values("content-length")[:1])
        self.coding = next((c for c in [*self._values("content-encoding"), *transfer] if c not in _PLAIN), "")
        self._take = self._status
        if "chunked" in transfer:
            self.left, self._take = None, self._first
        elif self._no_body:
            self.left = 0
        elif re.fullmatch("[0-9]{1,15}", length) and not self.coding:
            self.left = int(length)
        else:
            self.left = sys.maxsize
        return b""

    def _values(self, name: str) -> list[str]:
        return [value.strip() for key, values in self._fields if key == name for value in values.split(",")]

    def _first(self, line: bytes) -> bytes:
        """In front of the first chunk, or what has been put together."""
        if _SIZE_LINE.fullmatch(line):
            self.chunked = True
            return self._size(line)
        self.left, self._take = sys.maxsize, self._status
        return line

    def _size(self, line: bytes) -> bytes:
        """In front of a chunk."""
        if found := _SIZE_LINE.fullmatch(line):
            self.left = int(found[1], 16)
            self._take = self._close if self.left else self._trailer
        else:
            shown = line[:16].strip().decode("ascii", "backslashreplace")
            self._end(f"'{shown}' stands where the size of a chunk should")
        return b""

    def _close(self, line: bytes) -> bytes:
        """Behind a chunk."""
        self.left, self._take = None, self._size
        if line.strip(b"\r\n"):
            self._end("a chunk is longer than its size")
        return b""

    def _trailer(self, line: bytes) -> bytes:
        """Behind the last chunk, up to an empty line."""
        self.left = None
        if not line.strip():
            self._take = self._status
        return b""

    def _end(self, trouble: str) -> None:
        self.over, self.trouble = True, trouble


def dechunker(head: bytes) -> Dechunker | None:
    """What takes the bytes apart that begin with `head`; None where they are no chunked or compressed response.

    Without a response's head, chunks are known by a size that stands where the one before says it does. The dump may
    begin in the middle of a chunk.
    """
    if head.startswith(b"HTTP/"):
        trial = Dechunker(head=True)
        trial.feed(head)
        return Dechunker(head=True) if trial.chunked or trial.coding else None
    first = next((line for line, end in _chunks(head) if _NEXT_LINE.match(head, end)), None)
    return None if first is None else Dechunker(first - 2 if first else None)  # two: the end of the line before


def may_be_chunked(head: bytes) -> bool:
    """Whether more bytes may yet show that these are chunks."""
    return any(end + _LONGEST_SIZE > len(head) for _, end in _chunks(head))


def _chunks(head: bytes) -> Iterator[tuple[int, int]]:
    """Where the size of a chunk may stand, and where that chunk would end."""
    for line in _FIRST_LINE.finditer(head):
        if size := int(line[1], 16):
            yield line.start(), line.end() + size
