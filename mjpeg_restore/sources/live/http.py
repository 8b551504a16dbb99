"""Pictures from an HTTP camera: a multipart stream, a stream of bare JPEGs, or snapshots that are polled."""

from __future__ import annotations

import time
from collections.abc import Generator
from dataclasses import dataclass, field
from fractions import Fraction
from http.client import HTTPException, HTTPResponse
from typing import Final, Self

from mjpeg_restore.address import Address
from mjpeg_restore.errors import ConnectionFailed, NotMjpeg, reason_of
from mjpeg_restore.sources.live.connection import Capture
from mjpeg_restore.sources.live.http_client import HttpClient
from mjpeg_restore.sources.live.http_refusals import printable
from mjpeg_restore.sources.live.multipart import MultipartReader
from mjpeg_restore.sources.live.settings import LiveSettings
from mjpeg_restore.sources.probe import HEAD_BYTES, Content, detect_content, foreign_format, is_web_page
from mjpeg_restore.sources.reading import CHUNK, FileStream

SNAPSHOT_FPS: Final = Fraction(1)
"""Snapshots a second, unless the user wants more or fewer."""

_POLL: Final = 0.05
"""Poll interval of the wait for the next snapshot, seconds."""
_MAX_AGE: Final = 2.0
"""Seconds; a response that was opened earlier is requested anew, since its pictures would be old."""
_JUDGED_BYTES: Final = 1 << 16
"""Bytes without the beginning of a picture that show that none will come; in a multipart stream `HEAD_BYTES`."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A response whose body is being read."""

    client: HttpClient = field(repr=False)
    """What has requested it, and closes it."""
    response: HTTPResponse = field(repr=False)
    stream: FileStream = field(repr=False)
    """The body."""
    since: float = field(default_factory=time.monotonic)
    """`time.monotonic()` of the response."""

    @classmethod
    def request(cls, client: HttpClient, name: str, *, body_timeout: float | None = None) -> Self:
        """Request a client's address, and begin to read; the arguments and errors are those of `HttpClient.get`.

        Raises:
            NotMjpeg: the body is compressed, although the request asked for one that is not.
        """
        response = client.get(body_timeout=body_timeout)
        coding = response.getheader("Content-Encoding", "").strip().lower()
        if coding not in ("", "identity"):
            raise NotMjpeg(f"{name} answers with a body compressed with {printable(coding)}, which was not asked for")
        opened = cls(client, response, FileStream(response))
        if opened.multipart and response.length == 0:
            response.length = None  # M3: of an endless stream
        return opened

    @property
    def type(self) -> str:
        """The Content-Type in lower case, without parameters; empty if there is none."""
        return self.response.getheader("Content-Type", "").partition(";")[0].strip().lower()

    @property
    def multipart(self) -> bool:
        """Whether the response announces a multipart body."""
        return self.type.startswith("multipart/")


class HttpConnection:
    """A `Connection` to an HTTP camera.

    A response with exactly one picture, which is not multipart, is a snapshot: the next one is requested in its turn,
    on the same connection where the camera keeps it. Two equal snapshots are two pictures.
    """

    def __init__(
        self,
        address: Address,
        settings: LiveSettings,
        fps: Fraction = SNAPSHOT_FPS,
        opened: Opened | None = None,
    ) -> None:
        """Prepare; nothing is connected yet.

        Args:
            address: the URL, http or https.
            settings: the stall timeout, and whether certificates are verified.
            fps: snapshots a second.
            opened: a response that has been requested already.
        """
        self._name = address.name
        timeout, verify = settings.stall_timeout, settings.verify_tls
        self._client = opened.client if opened else HttpClient(address, timeout, verify_tls=verify)
        self._opened = opened
        self._period = float(1 / fps)

    def pictures(self) -> Generator[Capture, None, None]:
        """Connect, and yield pictures as they arrive; see `Connection`."""
        try:
            yield from self._responses()
        except ConnectionFailed:
            if not self._client.interrupted:
                raise
        finally:
            self._client.close()

    def interrupt(self) -> None:
        """End a waiting `pictures`, from any thread."""
        self._client.interrupt()

    def _responses(self) -> Generator[Capture, None, None]:
        """Yield the pictures of one response or, of a snapshot camera, of one after the other."""
        opened, self._opened = self._opened, None
        if opened is not None and time.monotonic() - opened.since > _MAX_AGE:
            self._client.close()
            opened = None
        snapshots = False
        while not self._client.interrupted:
            began = time.monotonic()
            opened = opened or Opened.request(self._client, self._name)
            found = 0
            try:
                for capture in self._body(opened):
                    found += 1
                    yield capture
            except NotMjpeg as error:
                if not snapshots:
                    raise
                reason = str(error).removeprefix(f"{self._name} ")
                raise ConnectionFailed(f"{self._name}: no snapshot at the moment, it {reason}") from None
            if found != 1 or opened.multipart:
                return
            opened.response.close()
            opened, snapshots = None, True
            self._wait_until(began + self._period)

    def _wait_until(self, moment: float) -> None:
        """Wait until `time.monotonic()` is `moment`. No event, whose lock `interrupt` must not take: see `Halt`."""
        while not self._client.interrupted and (left := moment - time.monotonic()) > 0:
            time.sleep(min(left, _POLL))

    def _body(self, opened: Opened) -> Generator[Capture, None, None]:
        """Yield the pictures of one response.

        Raises:
            ConnectionFailed: the connection broke, or the body holds nothing at all.
            NotMjpeg: the body holds something else.
        """
        reader = MultipartReader()
        begin: _Beginning | None = _Beginning(self._name, opened)
        broken: Exception | None = None
        arrived = time.monotonic()
        while not self._client.interrupted:
            try:
                data = opened.stream.read(CHUNK)
            except (OSError, HTTPException) as error:  # M9
                broken = error
                break
            arrived = time.monotonic()
            if not data:
                break
            if begin is not None and begin.shows_picture(data):
                begin = None
            for picture in reader.feed(data):
                yield Capture(picture.data, arrived, picture.stamp, picture.lost)
        for picture in reader.flush():
            begin = None
            yield Capture(picture.data, arrived, picture.stamp, picture.lost)
        if broken is not None:
            raise ConnectionFailed(f"{self._name}: the connection broke ({printable(reason_of(broken))})")
        if begin is not None and not self._client.interrupted:
            raise begin.error()


class _Beginning:
    """What has arrived of a response, until a picture begins."""

    def __init__(self, name: str, opened: Opened) -> None:
        self._name = name
        self._multipart = opened.multipart
        self._head = bytearray()
        self._judged = 0  # bytes when it was last judged: it must double, so that all judgements together are cheap

    def shows_picture(self, data: bytes) -> bool:
        """Take the next bytes; whether a picture has begun.

        Raises:
            NotMjpeg: none will.
        """
        self._head += data
        if len(self._head) < 2 * self._judged:
            return False
        self._judged = len(self._head)
        content = detect_content(bytes(self._head))
        if content in (Content.JPEG, Content.JPEG_LATER):
            return True
        unlike = content in (Content.FOREIGN, Content.CONTAINER) and not self._multipart
        if unlike or len(self._head) >= (HEAD_BYTES if self._multipart else _JUDGED_BYTES):
            raise not_mjpeg(self._name, bytes(self._head))
        return False

    def error(self) -> NotMjpeg | ConnectionFailed:
        """The error for a response that has ended without a picture."""
        whole = not self._multipart and detect_content(bytes(self._head)) not in (Content.JPEG, Content.JPEG_LATER)
        if self._head.strip() and whole:
            return not_mjpeg(self._name, bytes(self._head))
        return ConnectionFailed(f"{self._name}: the answer ends before the first picture does")


def not_mjpeg(name: str, head: bytes) -> NotMjpeg:
    """The error for a response that holds no picture, by its first bytes."""
    content = detect_content(head)
    what = "something that is no Motion-JPEG"
    if content is Content.FOREIGN:
        what = f"{foreign_format(head)}, which has no JPEG coefficients to restore"
    elif content is Content.CONTAINER:
        what = "a container, which is no stream of JPEGs"
    elif content is Content.TEXT:
        what = "a web page, perhaps to log in" if is_web_page(head) else "text"
    return NotMjpeg(f"{name} answers with {what}: give the address of the camera's MJPEG stream or of its snapshots")
