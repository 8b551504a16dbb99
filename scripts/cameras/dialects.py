"""The ways in which cameras speak multipart: each dialect is one departure from RFC 2046, named after its quirk."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType


def _true_length(length: int) -> str:
    return str(length)


@dataclass(frozen=True)
class Dialect:
    """Headers, boundaries and lengths of a multipart response. The default is what the standard asks for."""

    quirk: str = ""
    """Row of the table of quirks, such as "M2"; empty: no departure, or none of that table."""
    status: str = "HTTP/1.1 200 OK"
    content_type: str | None = "multipart/x-mixed-replace; boundary=frame"
    """Of the response; None: the header is missing."""
    delimiter: str = "--frame"
    """The line in front of a part, as sent."""
    leading: bool = True
    """False: the response begins without a delimiter; it stands between the parts alone."""
    headers: bool = True
    """False: the parts are JPEGs and delimiters alone."""
    part_type: str | None = "image/jpeg"
    """Content-Type of a part; None: the header is missing."""
    length: Callable[[int], str] | None = _true_length
    """Value of Content-Length for a picture of so many bytes; None: the header is missing."""
    newline: bytes = b"\r\n"
    """Ends every line of the response."""
    after_picture: bool = True
    """False: the delimiter follows the picture's last byte without a line break."""
    preamble: bytes = b""
    """Bytes in front of the first delimiter."""
    part_preamble: str = ""
    """A line between delimiter and headers, such as a status line."""
    closing_every: int = 0
    """A closing delimiter, `--` at its end, follows every so many pictures; 0: never."""
    chunk: int = 0
    """Bytes in a chunk of the chunked transfer coding; 0: not chunked."""
    piece: int = 0
    """The response is sent in pieces of so many bytes; 0: as a whole."""
    stamped: str = ""
    """Name of a header with the picture's time in seconds; empty: none."""
    more_headers: tuple[str, ...] = ()
    """Further header lines of each part."""
    padding: bytes = b""
    """Bytes after each picture, counted as part of it."""
    without_eoi: bool = False
    """True: the last two bytes of each picture are missing."""

    def head(self) -> bytes:
        """Status line and headers of the response, and the preamble as it is sent before any chunk."""
        lines = [self.status, "Server: camera", "Connection: close", "Cache-Control: no-store"]
        if self.content_type is not None:
            lines.append(f"Content-Type: {self.content_type}")
        if self.chunk:
            lines.append("Transfer-Encoding: chunked")
        return self._lines(*lines, "")

    def part(self, jpeg: bytes, index: int, seconds: float) -> bytes:
        """One part with everything around it.

        Args:
            jpeg: the picture.
            index: position of the part in the response, from 0.
            seconds: the camera's time of the picture.
        """
        body = (jpeg[:-2] if self.without_eoi else jpeg) + self.padding
        front = self.preamble if index == 0 else b""
        if index or self.leading:
            front += self._lines(self.delimiter)
        if self.part_preamble:
            front += self._lines(self.part_preamble)
        if self.headers:
            front += self._lines(*self._part_headers(len(body), seconds), "")
        behind = self.newline if self.after_picture else b""
        if self.closing_every and (index + 1) % self.closing_every == 0:
            behind += self._lines(f"{self.delimiter}--")
        return front + body + behind

    def coded(self, data: bytes) -> bytes:
        """Bytes of the body in the transfer coding."""
        if not self.chunk:
            return data
        pieces = (data[start : start + self.chunk] for start in range(0, len(data), self.chunk))
        return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)

    def end(self) -> bytes:
        """The end of a response that ends by itself, in the transfer coding."""
        return self.coded(self._lines(f"{self.delimiter}--")) + (b"0\r\n\r\n" if self.chunk else b"")

    def _part_headers(self, length: int, seconds: float) -> list[str]:
        lines = [] if self.part_type is None else [f"Content-Type: {self.part_type}"]
        if self.length is not None:
            lines.append(f"Content-Length: {self.length(length)}")
        if self.stamped:
            lines.append(f"{self.stamped}: {seconds:.6f}")
        return [*lines, *self.more_headers]

    def _lines(self, *lines: str) -> bytes:
        return b"".join(line.encode("latin-1") + self.newline for line in lines)


_MIXED = "multipart/x-mixed-replace"

DIALECTS: Mapping[str, Dialect] = MappingProxyType(
    {
        "standard": Dialect(),
        "dashes in the boundary": Dialect("M1", content_type=f"{_MIXED}; boundary=--frame"),
        "four dashes": Dialect("M1", content_type=f"{_MIXED}; boundary=--frame", delimiter="----frame"),
        "another boundary": Dialect("M1", content_type=f"{_MIXED}; boundary=elsewhere"),
        "boundary without dashes": Dialect("M1", content_type=f"{_MIXED}; boundary=frame", delimiter="frame"),
        "no leading boundary": Dialect("M2", leading=False),
        "starts at SOI": Dialect("M2", leading=False, headers=False),
        "no part headers": Dialect("M2", headers=False),
        "length too small": Dialect("M3", length=lambda length: str(length - 100)),
        "length too large": Dialect("M3", length=lambda length: str(length + 100)),
        "length of one byte more": Dialect("M3", length=lambda length: str(length + 1)),
        "length zero": Dialect("M3", length=lambda _: "0"),
        "length negative": Dialect("M3", length=lambda _: "-1"),
        "length huge": Dialect("M3", length=lambda _: "99999999999999999999"),
        "length in words": Dialect("M3", length=lambda _: "unknown"),
        "no length": Dialect("M4", length=None),
        "LF only": Dialect("M4", newline=b"\n"),
        "LF only, no length": Dialect("M4", newline=b"\n", length=None),
        "no length, no line break": Dialect("M4", length=None, after_picture=False),
        "no line break after the picture": Dialect("M4", after_picture=False),
        "image/jpg": Dialect("M5", part_type="image/jpg"),
        "type with parameters": Dialect("M5", part_type='image/jpeg; charset="utf-8"; quality=80'),
        "no part type": Dialect("M5", part_type=None),
        "octet-stream parts": Dialect("M5", part_type="application/octet-stream"),
        "no type": Dialect("M5", content_type=None),
        "type octet-stream": Dialect("M5", content_type="application/octet-stream"),
        "multipart/mixed": Dialect("M5", content_type="multipart/mixed;boundary=frame"),
        "space before the equals sign": Dialect("M6", content_type=f"{_MIXED};boundary =frame"),
        "quoted boundary": Dialect("M6", content_type=f'{_MIXED}; boundary="frame"; charset=utf-8'),
        "empty boundary": Dialect("M6", content_type=f"{_MIXED}; boundary=", delimiter="--"),
        "no boundary parameter": Dialect("M6", content_type=_MIXED),
        "closing boundary after each picture": Dialect("M7", closing_every=1),
        "closing boundary at times": Dialect("M7", closing_every=5),
        "status line in the body": Dialect(
            "M8", preamble=b"HTTP/1.0 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=frame\r\n\r\n"
        ),
        "status line in each part": Dialect("M8", part_preamble="HTTP/1.1 200 OK"),
        "text before the first boundary": Dialect("M8", preamble=b"This is a multipart message.\r\n\r\n"),
        "chunked": Dialect("M9", chunk=1 << 14),
        "chunks of 7 bytes": Dialect("M9", chunk=7),
        "HTTP/1.0": Dialect("M9", status="HTTP/1.0 200 OK"),
        "ICY": Dialect("M9", status="ICY 200 OK"),
        "no reason": Dialect("M9", status="HTTP/1.1 200"),
        "no EOI": Dialect("S1", without_eoi=True),
        "padded pictures": Dialect("S3", padding=b"\0" * 100),
        "X-Timestamp": Dialect("T1", stamped="X-Timestamp"),
        "lower-case stamp": Dialect("T1", stamped="x-timestamp"),
        "further headers": Dialect("", more_headers=("X-Framerate: 25", "X-Folded: a", " b", "malformed", ": empty")),
        "small pieces": Dialect("", piece=113),
    }
)
"""Dialects by names that the tests and the command use."""
