"""Reads that wait for a camera, of whatever is a file, and that can be told to wait no longer.

A read that waits cannot be ended, and a buffered file is locked meanwhile: its owner's `close` would wait too, and so
would Python's exit. What the system can watch is therefore read only when something has come: pipes and sockets, with
and without a buffer, and responses of `urllib.request.urlopen`. Any other file is read on a thread of its own, which is
left behind where nobody wants more.
"""

from __future__ import annotations

import io
import os
import select
import socket
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator
from concurrent.futures import Future, wait
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO, TypeGuard, cast

from mjpeg_restore.sources.chunked import Dechunker

if TYPE_CHECKING:
    from http.client import HTTPResponse

CHUNK = 1 << 16

_POLL = 0.1
"""Seconds between two looks at the stop flag by a read that waits."""

_TryRead = Callable[[int], bytes | None]
"""Reads up to so many bytes, none at the end; None where nothing has come for some time."""


class Stoppable(ABC):
    """A stream of bytes whose reads do not outlast the wish for what they wait for."""

    @abstractmethod
    def read(self, size: int = CHUNK, /) -> bytes:
        """Up to `size` bytes; none at the end, and once the stream is stopped."""

    @abstractmethod
    def stop(self) -> None:
        """Let the stream end here, even while a read waits; from any thread."""


class Replayed(Stoppable):
    """A file that cannot seek, with the bytes that were read to judge it put back in front.

    A read returns what is there instead of waiting for all that was asked for: a live picture is not held up
    until the next one fills the buffer.
    """

    def __init__(self, head: bytes, rest: BinaryIO) -> None:
        """Put `head` in front of `rest`."""
        self._head = memoryview(head)
        self._try_read = _reader_of(rest)
        self._stopped = False

    def read(self, size: int = CHUNK, /) -> bytes:
        """Up to `size` bytes; none at the end, and once the stream is stopped.

        Raises:
            OSError: the file cannot be read, is closed, or says nothing for longer than its socket's timeout.
        """
        if self._head:
            chunk, self._head = bytes(self._head[:size]), self._head[size:]
            return chunk
        try:
            while not self._stopped:
                if (chunk := self._try_read(size)) is not None:
                    return chunk
        except ValueError as error:  # closed by its owner
            raise OSError(str(error)) from error
        except KeyboardInterrupt:  # FFmpeg would ask again
            self.stop()
            raise
        return b""

    def stop(self) -> None:
        """Let the stream end here, even while a read waits; from any thread."""
        self._stopped = True


class Seekable(Replayed):
    """A file that can seek, but may keep a read waiting."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__(b"", file)
        self.seek, self.tell = file.seek, file.tell


def never_blocks(file: BinaryIO) -> bool:
    """Whether a file that can seek is known to be one on a disk, or in memory."""
    kinds = (io.BytesIO, io.FileIO, io.BufferedReader, io.BufferedRandom)
    return type(file) in kinds and isinstance(getattr(file, "raw", file), io.BytesIO | io.FileIO)


def _reader_of(file: BinaryIO) -> _TryRead:
    read = getattr(file, "read1", file.read)
    if hasattr(select, "poll"):  # Windows has none
        if _is_response(file):
            return _Response(file)
        if _can_be_polled(file):
            return _Polled(file, read)
    return _Threaded(read)


def _is_response(file: object) -> TypeGuard[HTTPResponse]:
    client = sys.modules.get("http.client")  # who has a response has it: it is not loaded for those who have none
    return client is not None and isinstance(file, client.HTTPResponse)


def _can_be_polled(file: object) -> bool:
    raw = _below(file)
    if isinstance(raw, socket.SocketIO):
        return _socket(raw) is not None and (file is not raw or not _is_tls(raw))
    return isinstance(raw, io.FileIO)


def _below(file: object) -> Any:
    """The file below the buffer."""
    return cast(Any, file).raw if isinstance(file, io.BufferedReader) else file


def _socket(raw: object) -> socket.socket | None:
    """The socket below a file; http.client goes to it by the same name."""
    return getattr(raw, "_sock", None)


def _is_tls(raw: object) -> bool:
    return hasattr(_socket(raw), "pending")


class _Polled:
    """A file that is read only when its descriptor has something, or when its buffer has."""

    def __init__(self, file: Any, read: Callable[[int], bytes]) -> None:
        self._read = read
        self._raw = _below(file)
        self._buffer: Any = None if file is self._raw else file
        self._tls = _is_tls(self._raw)
        self._nothing_yet: tuple[type[OSError], ...] = (BlockingIOError,)
        if self._tls:
            from ssl import SSLWantReadError, SSLWantWriteError

            self._nothing_yet += (SSLWantReadError, SSLWantWriteError)
        self._descriptor = file.fileno()
        self._poll = select.poll()
        self._poll.register(self._descriptor, select.POLLIN)
        self._empty = False
        """Whether the buffer is known to be empty."""
        sock = _socket(self._raw)
        self._timeout = sock.gettimeout() if sock else None
        self._since: float | None = None

    def __call__(self, size: int) -> bytes | None:
        if not self._ready():
            self._check_timeout()
            return None
        self._since = None
        chunk = self._read(size)
        self._empty = len(chunk) < size  # a read takes all that the buffer has before it asks below
        return chunk

    def _ready(self) -> bool:
        """Whether a read returns at once. Of TLS the system may see half a record, so that only the buffer tells."""
        if not self._tls and self._poll.poll(0):
            return True
        if self._buffer is not None and (self._tls or not self._empty):
            if self._holds():
                return True
            self._empty = True
        return bool(self._poll.poll(1000 * _POLL)) and not self._tls

    def _holds(self) -> bool:
        """Whether the buffer holds bytes, or takes some in that are there; of TLS also whether it is at its end."""
        with self._nonblocking():
            try:
                return bool(self._buffer.peek(1)) or self._tls
            except self._nothing_yet:
                return False

    @contextmanager
    def _nonblocking(self) -> Generator[None]:
        """Have the file not wait: to look into an empty buffer is to fill it, and nothing else tells that it is so."""
        if sock := _socket(self._raw):
            sock.settimeout(0)
            try:
                yield
            finally:
                sock.settimeout(self._timeout)
            return
        descriptor = self._descriptor
        blocking = os.get_blocking(descriptor)
        os.set_blocking(descriptor, False)
        try:
            yield
        finally:
            os.set_blocking(descriptor, blocking)

    def _check_timeout(self) -> None:
        """A socket's own timeout holds: no read waits for it here."""
        now = time.monotonic()
        self._since = self._since or now
        if self._timeout and now - self._since >= self._timeout:
            raise TimeoutError("timed out")


class _Response:
    """The body of a response; of a chunked one, below what would wait for the line that comes behind each chunk."""

    def __init__(self, response: HTTPResponse) -> None:
        self._response = response
        self._dechunker: Dechunker | None = None
        below: Any = response.fp
        if response.isclosed():
            self._try_read: _TryRead = lambda size: b""
        elif response.chunked:
            self._dechunker = Dechunker(response.chunk_left)
            self._try_read = _reader_of(below)
        elif _can_be_polled(below):
            self._try_read = _Polled(below, response.read1)
        else:
            self._try_read = _Threaded(response.read1)

    def __call__(self, size: int) -> bytes | None:
        response, dechunker = self._response, self._dechunker
        if response.isclosed() or response.length == 0 or (dechunker and dechunker.over):
            return b""
        chunk = self._try_read(size)
        if dechunker is None or not chunk:
            return chunk
        body = dechunker.feed(chunk)
        response.chunk_left = dechunker.left  # its owner may read on
        if dechunker.trouble and not body:
            raise OSError(dechunker.trouble)
        return body or (b"" if dechunker.over else None)


class _Threaded:
    """A file that is read on threads which nobody waits for, one a read."""

    def __init__(self, read: Callable[[int], bytes]) -> None:
        self._read = read
        self._pending: Future[bytes] | None = None

    def __call__(self, size: int) -> bytes | None:
        if self._pending is None:
            self._pending = Future()
            threading.Thread(target=_answer, args=(self._pending, self._read, size), name="read", daemon=True).start()
        if not wait((self._pending,), timeout=_POLL).done:
            return None
        done, self._pending = self._pending, None
        return done.result()


def _answer(future: Future[bytes], read: Callable[[int], bytes], size: int) -> None:
    try:
        future.set_result(read(size))
    except BaseException as error:  # whatever it is, it is the reader's to see
        future.set_exception(error)
