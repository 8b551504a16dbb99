"""`open_http`: finds out what a URL holds, a camera or a recording."""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import contextmanager
from fractions import Fraction
from typing import BinaryIO, Final, cast

from mjpeg_restore.address import Address
from mjpeg_restore.errors import ConnectionFailed, reason_of
from mjpeg_restore.jpeg import Splitter
from mjpeg_restore.jpeg.splitter import MAX_PICTURE_BYTES
from mjpeg_restore.sources.base import Source
from mjpeg_restore.sources.detection import OpenOptions, open_file
from mjpeg_restore.sources.live.http import SNAPSHOT_FPS, HttpConnection, Opened, not_mjpeg
from mjpeg_restore.sources.live.http_client import HttpClient
from mjpeg_restore.sources.live.http_file import HttpFile
from mjpeg_restore.sources.live.source import LiveSource
from mjpeg_restore.sources.probe import Content, detect_content, read_head

_MAX_PROBING: Final = 60.0
"""Seconds in which FFmpeg may find out what a container holds; a camera's H.264 takes it some."""
_PICTURES: Final = frozenset({Content.JPEG, Content.JPEG_LATER})


class HttpSource(LiveSource):
    """A camera whose first response may be open already: some cameras accept one client only."""

    def __init__(
        self, address: Address, format: str, options: OpenOptions, fps: Fraction | None, opened: Opened | None
    ) -> None:
        """Prepare to read; see `LiveSource`.

        Args:
            address: the camera's URL.
            format: a name of the format.
            options: what the caller of `open_source` asked for.
            fps: frames per second, if they are known: of a snapshot camera the rate of polling.
            opened: the first response; the source closes it.
        """
        start, duration = options.start, options.duration
        super().__init__(
            address.name, format, self._connection, options.camera, fps=fps, start=start, duration=duration
        )
        self._address = address
        self._camera = options.camera
        self._snapshot_fps = fps or SNAPSHOT_FPS
        self._opened = opened

    def _connection(self) -> HttpConnection:
        opened, self._opened = self._opened, None
        return HttpConnection(self._address, self._camera, self._snapshot_fps, opened)

    def close(self) -> None:
        """Close the first response if it has not been used."""
        if self._opened is not None:
            self._opened.client.close()
            self._opened = None
        super().close()


def open_http(url: str, options: OpenOptions) -> Source:
    """Open a camera or a recording by its URL, http or https. The first request is made at once.

    A camera that cannot be reached now is a live source nevertheless, which tries again. What ends by itself and has
    more than one picture, a container or a raw stream with a Content-Length, is a recording.

    Raises:
        NotMjpeg: the answer is something else.
        SourceError: the URL is malformed, the server refuses the request, or an option does not fit.
    """
    address = Address.parse(url)
    timeout = options.camera.stall_timeout
    client = HttpClient(address, timeout, verify_tls=options.camera.verify_tls)
    try:
        opened = Opened.request(client, address.name, body_timeout=timeout)
        if opened.multipart:  # T3: not a byte is read ahead
            return _camera(address, "multipart MJPEG", options, opened)
        head = _read_head(opened, address, timeout)
        content = detect_content(head)
        if content is Content.FOREIGN or content is Content.TEXT:
            raise not_mjpeg(address.name, head)
        if content in _PICTURES and _is_live(opened, address, timeout):
            is_snapshot = opened.type.startswith("image/") or opened.response.length is not None
            return _camera(address, "JPEG snapshots" if is_snapshot else "JPEG stream", options, opened)
        return _recording(address, options, opened)
    except ConnectionFailed:
        client.close()
        return _camera(address, "HTTP camera", options, None)
    except BaseException:
        client.close()
        raise


def _camera(address: Address, format: str, options: OpenOptions, opened: Opened | None) -> HttpSource:
    options.check_without_tracks(address.name)
    fps = options.fps or (SNAPSHOT_FPS if format == "JPEG snapshots" else None)
    return HttpSource(address, format, options, fps, opened)


def _read_head(opened: Opened, address: Address, timeout: float) -> bytes:
    """Read the first bytes of a body, and put them back."""
    with _deadline(opened, address, timeout):
        head = read_head(opened.stream)
    if not head:
        raise ConnectionFailed(f"{address.name}: the answer is empty")
    opened.stream.unread(head)
    return head


def _is_live(opened: Opened, address: Address, timeout: float) -> bool:
    """Whether JPEGs come from a camera: they are endless, or there is one. Recordings have a length, and are longer."""
    length = opened.response.length
    if length is None or opened.type.startswith("image/"):
        return True
    data, found, splitter = bytearray(), 0, Splitter()
    with _deadline(opened, address, timeout):
        while found < 2 and len(data) < MAX_PICTURE_BYTES and (chunk := opened.stream.read()):
            data += chunk
            found += len(splitter.feed(chunk))
    opened.stream.unread(bytes(data))
    return len(data) < MAX_PICTURE_BYTES and found + len(splitter.flush()) == 1


@contextmanager
def _deadline(opened: Opened, address: Address, timeout: float) -> Generator[None]:
    """Limit the time in which the beginning of a body is read.

    Raises:
        ConnectionFailed: it takes longer, or the connection breaks.
    """
    timer = threading.Timer(timeout, opened.client.interrupt)
    timer.daemon = True
    timer.start()
    try:
        yield
    except OSError as error:
        if not opened.client.interrupted:
            raise ConnectionFailed(f"{address.name}: the connection broke ({reason_of(error)})") from None
    finally:
        timer.cancel()
    if opened.client.interrupted:
        raise ConnectionFailed(f"{address.name}: what it sends cannot be told within {timeout:g} s")


def _recording(address: Address, options: OpenOptions, opened: Opened) -> Source:
    """Open what is not live: through ranges if the server accepts them, otherwise as a stream."""
    client, timeout = opened.client, options.camera.stall_timeout
    length = opened.response.getheader("Content-Length", "")
    file, owned = opened.stream, client
    if opened.response.getheader("Accept-Ranges", "none").lower() == "bytes" and length.isdecimal():
        file = owned = cast(BinaryIO, HttpFile(client, int(length), timeout))
    else:
        file.whole = True
    with _deadline(opened, address, _MAX_PROBING):
        return open_file(file, address.name, options, owned=owned)
