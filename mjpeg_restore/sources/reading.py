"""Reads any binary file without blocking for long: available bytes are returned at once, and a wait can be stopped.

A blocked read cannot be cancelled, and it holds the lock of a buffered file: the owner's `close` would block too, and
so would Python's exit. Files that the system can poll are therefore read only when bytes are available: pipes and
sockets, buffered or not, and responses of `urllib.request.urlopen`. Any other file is read on a thread of its own,
which is abandoned when the stream is stopped.
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
from mjpeg_restore.sources.probe import ByteStream

if TYPE_CHECKING:
    from http.client import HTTPResponse

CHUNK = 1 << 16

_POLL = 0.1
"""Seconds after which a waiting read checks whether the stream was stopped."""

_TryRead = Callable[[int], bytes | None]
"""Reads up to so many bytes: none at the end; None if nothing was available within `_POLL` seconds."""


class StoppableStream(ABC):
    """A stream of bytes that another thread can stop, even while a read waits."""

    @abstractmethod
    def read(self, size: int = CHUNK, /) -> bytes:
        """Return up to `size` bytes; none at the end, and after `stop`."""

    @abstractmethod
    def stop(self) -> None:
        """End the stream here, even while a read waits; from any thread."""


class FileStream(StoppableStream):
    """A binary file as a stoppable stream.

    A read returns the bytes that are available instead of waiting for `size` bytes, so that a live picture is not
    delayed until the next one fills the buffer.
    """

    def __init__(self, file: ByteStream, head: bytes = b"") -> None:
        """Read from `file`, whose bytes `head` were read before and are returned first."""
        self.whole = False
        """Set to True, it makes an error of an HTTP response that ends before all that it announced has come. That of a
        camera just ends there."""
        self._head = memoryview(head)
        self._try_read = _reader_for(file)
        self._stopped = False

    def read(self, size: int = CHUNK, /) -> bytes:
        """Return up to `size` bytes; none at the end, after `stop`, and after an error.

        Raises:
            OSError: the file cannot be read, is closed, its socket's timeout has passed, or it is not `whole`.
        """
        if self._head:
            chunk, self._head = bytes(self._head[:size]), self._head[size:]
            return chunk
        try:
            while not self._stopped:
                if (chunk := self._try_read(size)) is not None:
                    if not chunk and self.whole and isinstance(self._try_read, _ResponseReader):
                        self._try_read.check_end()
                    return chunk
        except ValueError as error:  # closed by its owner
            self.stop()
            raise OSError(str(error)) from error
        except (OSError, KeyboardInterrupt):  # FFmpeg would read again, and PyAV print the traceback of a second error
            self.stop()
            raise
        return b""

    def unread(self, data: bytes) -> None:
        """Put bytes back, to be read again."""
        self._head = memoryview(data + bytes(self._head))

    def stop(self) -> None:
        """End the stream here, even while a read waits; from any thread."""
        self._stopped = True


class SeekableFileStream(FileStream):
    """A file that can seek, but whose reads may wait."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__(file)
        self.seek, self.tell = file.seek, file.tell


def is_disk_or_memory(file: BinaryIO) -> bool:
    """Whether a file that can seek is known to be on a disk or in memory, so that its reads do not wait."""
    kinds = (io.BytesIO, io.FileIO, io.BufferedReader, io.BufferedRandom)
    return type(file) in kinds and isinstance(getattr(file, "raw", file), io.BytesIO | io.FileIO)


def _reader_for(file: ByteStream) -> _TryRead:
    read = getattr(file, "read1", file.read)
    if _is_response(file):
        return _ResponseReader(file)
    return _PollingReader(file, read) if _can_be_polled(file) else _ThreadReader(read)


def _is_response(file: object) -> TypeGuard[HTTPResponse]:
    client = sys.modules.get("http.client")  # imported already if the file is a response; otherwise not needed
    return client is not None and isinstance(file, client.HTTPResponse)


def _can_be_polled(file: object) -> bool:
    if not hasattr(select, "poll"):  # Windows
        return False
    raw = _raw_file(file)
    if isinstance(raw, socket.SocketIO):
        return _socket(raw) is not None and (file is not raw or not _is_tls(raw))
    return isinstance(raw, io.FileIO)


def _raw_file(file: object) -> Any:
    """The unbuffered file."""
    return cast(Any, file).raw if isinstance(file, io.BufferedReader) else file


def _socket(raw: object) -> socket.socket | None:
    """The socket of an unbuffered file; http.client uses the same private attribute."""
    return getattr(raw, "_sock", None)


def _is_tls(raw: object) -> bool:
    return hasattr(_socket(raw), "pending")


class _PollingReader:
    """Reads a file only when its descriptor or its buffer has bytes."""

    def __init__(self, file: Any, read: Callable[[int], bytes]) -> None:
        self._read = read
        self._raw = _raw_file(file)
        self._buffer: Any = None if file is self._raw else file
        self._tls = _is_tls(self._raw)
        self._would_block: tuple[type[OSError], ...] = (BlockingIOError,)
        if self._tls:
            from ssl import SSLWantReadError, SSLWantWriteError

            self._would_block += (SSLWantReadError, SSLWantWriteError)
        self._descriptor = file.fileno()
        self._poll = select.poll()
        self._poll.register(self._descriptor, select.POLLIN)
        self._buffer_empty = False
        """Whether the buffer is known to be empty."""
        sock = _socket(self._raw)
        self._timeout = sock.gettimeout() if sock else None
        self._waiting_since: float | None = None

    def __call__(self, size: int) -> bytes | None:
        if not self._ready():
            self._check_timeout()
            return None
        self._waiting_since = None
        chunk = self._read(size)
        self._buffer_empty = len(chunk) < size  # a read empties the buffer before it reads the raw file
        return chunk

    def _ready(self) -> bool:
        """Whether a read returns at once. With TLS only the buffer tells: the system may see half a record."""
        if not self._tls and self._poll.poll(0):
            return True
        if self._buffer is not None and (self._tls or not self._buffer_empty):
            if self._fill_buffer():
                return True
            self._buffer_empty = True
        return bool(self._poll.poll(1000 * _POLL)) and not self._tls

    def _fill_buffer(self) -> bool:
        """Whether the buffer holds bytes, after it took in what is available; with TLS also True at the end."""
        with self._nonblocking():
            try:
                return bool(self._buffer.peek(1)) or self._tls
            except self._would_block:
                return False

    @contextmanager
    def _nonblocking(self) -> Generator[None]:
        """Make the file nonblocking: the only way to see that a buffer is empty is `peek`, which reads to fill it."""
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
        """Apply the socket's own timeout, which no read waits for here."""
        now = time.monotonic()
        self._waiting_since = self._waiting_since or now
        if self._timeout and now - self._waiting_since >= self._timeout:
            raise TimeoutError("timed out")


class _ResponseReader:
    """Reads the body of an HTTP response.

    A chunked body is decoded here: http.client would wait for the line break after each chunk.
    """

    def __init__(self, response: HTTPResponse) -> None:
        self._response = response
        self._dechunker: Dechunker | None = None
        connection: Any = response.fp
        if response.isclosed():
            self._try_read: _TryRead = lambda size: b""
        elif response.chunked:
            self._dechunker = Dechunker(response.chunk_left)
            self._try_read = _reader_for(connection)
        elif _can_be_polled(connection):
            self._try_read = _PollingReader(connection, response.read1)
        else:
            self._try_read = _ThreadReader(response.read1)

    def __call__(self, size: int) -> bytes | None:
        response, dechunker = self._response, self._dechunker
        if response.isclosed() or response.length == 0:
            return b""
        if dechunker and dechunker.error:
            raise OSError(dechunker.error)
        if dechunker and (dechunker.finished or dechunker.between_responses):  # the connection may stay open
            return b""
        chunk = self._try_read(size)
        if dechunker is None or not chunk:
            return chunk
        body = dechunker.feed(chunk)
        response.chunk_left = dechunker.left  # so that its owner can continue to read
        if dechunker.error and not body:
            raise OSError(dechunker.error)
        return body or (b"" if dechunker.finished else None)

    def check_end(self) -> None:
        """Check that all has come that the response announced: http.client takes an early end for the end.

        Raises:
            OSError: the connection ended before.
        """
        dechunker = self._dechunker
        whole = dechunker.finished or dechunker.between_responses if dechunker else not self._response.length
        if not whole:
            raise OSError("the connection ended before the file did")


class _ThreadReader:
    """Reads a file on a new daemon thread for each read, so that a waiting read can be abandoned."""

    def __init__(self, read: Callable[[int], bytes]) -> None:
        self._read = read
        self._pending: Future[bytes] | None = None

    def __call__(self, size: int) -> bytes | None:
        if self._pending is None:
            self._pending = Future()
            arguments = self._pending, self._read, size
            threading.Thread(target=_read_into, args=arguments, name="read", daemon=True).start()
        if not wait((self._pending,), timeout=_POLL).done:
            return None
        done, self._pending = self._pending, None
        return done.result()


def _read_into(future: Future[bytes], read: Callable[[int], bytes], size: int) -> None:
    try:
        future.set_result(read(size))
    except BaseException as error:  # any error is raised again in the thread that waits
        future.set_exception(error)
