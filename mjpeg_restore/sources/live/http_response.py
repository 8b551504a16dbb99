"""The beginning of an HTTP response as small servers write it, read tolerantly."""

from __future__ import annotations

import re
from http.client import CONTINUE, BadStatusLine, HTTPMessage, HTTPResponse, RemoteDisconnected
from typing import Any, Final, cast

from mjpeg_restore.jpeg.segments import find_start

_STATUS = re.compile(
    rb"(?:ICY|HTTP(?:/([0-9]+\.?[0-9]*))?)[ \t]+([1-9][0-9]{2})(?![0-9])(.*)", re.IGNORECASE | re.DOTALL
)
"""The status line. Small servers write it in lower case, without or with an impossible version, and SHOUTcast's as
`ICY 200 OK`."""
_MAX_STATUS_LINE: Final = 1 << 16
"""Bytes."""
_MAX_EMPTY_LINES: Final = 4
"""Empty lines in front of a status line that are skipped: some servers end the response before with one too many."""


class Response(HTTPResponse):
    """A response whose status line is read as `_STATUS` says, or which begins with the first part (HTTP/0.9)."""

    def begin(self, **limits: Any) -> None:
        """Read the status line and the headers, if there are any; the newest Pythons limit the number of headers."""
        start = cast(Any, self.fp).peek(3)[:3]
        if not start.startswith(b"--") and find_start(start) != 0:
            super().begin(**limits)
            return
        self.version, self.status, self.reason = 9, 200, ""
        self.headers = self.msg = HTTPMessage()
        self.chunked, self.length, self.will_close = False, None, True

    def _read_status(self) -> tuple[str, int, str]:
        line = b""
        for _ in range(_MAX_EMPTY_LINES):
            line = self.fp.readline(_MAX_STATUS_LINE)
            if line.strip():
                break
        if not line:
            raise RemoteDisconnected("no answer")
        found = _STATUS.match(line)
        if found is None:
            raise BadStatusLine(line.decode("latin-1"))
        version, status, reason = found[1] == b"1.1", int(found[2]), found[3].decode("latin-1").strip()
        # http.client skips 100 Continue, but not 102 Processing and 103 Early Hints.
        return "HTTP/1.1" if version else "HTTP/1.0", CONTINUE if status in (102, 103) else status, reason
