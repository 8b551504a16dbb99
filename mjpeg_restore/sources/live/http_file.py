"""A file on an HTTP server that accepts ranges, as a file that can seek."""

from __future__ import annotations

import io
from http.client import HTTPException, HTTPResponse

from mjpeg_restore.errors import SourceError
from mjpeg_restore.sources.live.http_client import HttpClient

_BLOCK = 1 << 16
"""Bytes that are kept of the last read, so that a demuxer may go back a little."""
_MAX_SKIPPED = 1 << 18
"""Bytes that are read and thrown away instead of requesting a later range."""


class HttpFile:
    """A recording whose parts are requested as they are read: a MOV may have its index at the end."""

    def __init__(self, client: HttpClient, size: int, timeout: float) -> None:
        """Prepare; nothing is requested yet.

        Args:
            client: requests the file; `close` closes it.
            size: of the file in bytes.
            timeout: seconds that a read may wait.
        """
        self._client = client
        self._size = size
        self._timeout = timeout
        self._position = 0
        self._block = b""
        self._block_start = 0
        self._response: HTTPResponse | None = None
        self._next = 0
        """Offset in the file of the response's next byte."""

    def seekable(self) -> bool:
        """True."""
        return True

    def tell(self) -> int:
        """The offset of the next byte that `read` returns."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move as a binary file does; nothing is requested before the next read."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def read(self, size: int = -1, /) -> bytes:
        """Return up to `size` bytes; none at the end.

        Raises:
            OSError: the server does not answer, or not with the range.
        """
        if self._position >= self._size:
            return b""
        size = self._size if size < 0 else size
        if not self._block_start <= self._position < self._block_start + len(self._block):
            self._fetch()
        start = self._position - self._block_start
        data = self._block[start : start + size]
        self._position += len(data)
        return data

    def close(self) -> None:
        """Close the connection, even while another thread waits for it."""
        self._client.interrupt()
        self._client.close()

    def _fetch(self) -> None:
        """Read the next block from the current position on."""
        try:
            if self._response is None or not 0 <= self._position - self._next <= _MAX_SKIPPED:
                self._request()
            while self._next < self._position:
                self._receive(self._position - self._next)
            self._block_start, self._block = self._next, self._receive(_BLOCK)
        except (HTTPException, SourceError) as error:
            raise OSError(str(error)) from None

    def _request(self) -> None:
        self._client.close()
        headers = {"Range": f"bytes={self._position}-"}
        self._response = self._client.get(headers, body_timeout=self._timeout)
        self._next = self._position
        if self._response.status != 206 and self._position > 0:
            raise OSError("the server no longer sends parts of the file")

    def _receive(self, size: int) -> bytes:
        assert self._response is not None
        data = self._response.read1(size)
        if not data:
            raise OSError("the connection ended before the file did")
        self._next += len(data)
        return data
