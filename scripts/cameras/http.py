"""The misbehaving camera: an HTTP server that plays numbered pictures in any dialect and with any fault."""

from __future__ import annotations

import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import IO, Literal

from cameras.access import Access
from cameras.dialects import Dialect
from cameras.faults import Fault, flipped, garbage, truncated
from cameras.pictures import NumberedPictures
from cameras.request import Request, RequestReader
from cameras.server import Server, has_left, reset

_LOGIN_PAGE = b"<!DOCTYPE html>\n<html><head><title>Login</title></head><body><form></form></body></html>\n"


@dataclass(frozen=True)
class Sent:
    """A picture that was sent."""

    number: int
    state: Literal["whole", "damaged", "part"]
    """"damaged": by the camera, in a part that is complete. "part": the connection ended or stalled inside."""
    ended: float
    """When its last byte was handed to the system, seconds of `time.monotonic()`."""
    connection: int
    """Number of the connection, from 1."""


class HttpCamera(Server):
    """Answers each request by an endless multipart response, or by one JPEG.

    With `fps`, picture n is due n / fps seconds after the first request, whether it can be sent then or not: a picture
    that could not be sent in time is skipped. Without `fps`, pictures follow one another as fast as they are taken, and
    none is skipped. In either case a number is never sent twice over one connection, and the numbers go on in the next.

    Attributes:
        sent: a record of each picture.
        happened: the faults so far.
        requests: a record of each request.
    """

    def __init__(
        self,
        pictures: NumberedPictures | Callable[[int], bytes] = NumberedPictures(),  # noqa: B008  frozen
        *,
        dialect: Dialect = Dialect(),  # noqa: B008  frozen
        fps: float | None = None,
        count: int | None = None,
        snapshot: bool = False,
        faults: Iterable[Fault] = (),
        access: Access | None = None,
        clients: int = 0,
        pages: Mapping[str, bytes] | None = None,
        tls: ssl.SSLContext | None = None,
        log: IO[str] | None = None,
    ) -> None:
        """Serve from now on.

        Args:
            pictures: make the JPEG of a number.
            dialect: how multipart is spoken.
            fps: pictures a second; None: as fast as they are taken.
            count: the response ends in front of the picture with this number; None: never.
            snapshot: True: every request is answered by one picture.
            faults: what goes wrong, and when.
            access: a password to ask for.
            clients: most connections at a time, further ones are answered by 503; 0: any number.
            pages: whole responses, from the status line on, by their targets ("/login"); the connection then ends.
            tls: the server's certificate; None: plain HTTP.
            log: a file for one line of JSON for each picture in `sent`, and for each fault.
        """
        self.sent: list[Sent] = []
        self.happened: list[Fault] = []
        self.requests: list[Request] = []
        self._pictures = pictures
        self._dialect = dialect
        self._fps = fps
        self._count = count
        self._snapshot = snapshot
        self._faults = sorted(faults, key=lambda fault: fault.at)
        self._access = access
        self._clients = clients
        self._pages = pages or {}
        self._log = log
        self._state = threading.Lock()
        self._serving = 0
        self._begun: float | None = None
        self._next = 0
        self._status = ("", 0.0)
        super().__init__(tls)

    @property
    def url(self) -> str:
        """The camera's address."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}/video"

    def numbers(self, state: str = "whole") -> list[int]:
        """Numbers of the pictures in `sent` that were sent in this state."""
        return [picture.number for picture in self.sent if picture.state == state]

    def serve(self, connection: socket.socket, number: int) -> None:
        """Answer the requests of one connection."""
        reader = RequestReader(connection)
        with self._state:
            self._serving += 1
        try:
            while request := reader.read():
                self.requests.append(request)
                if not self._answer(connection, number, request):
                    return
        finally:
            with self._state:
                self._serving -= 1

    def _answer(self, connection: socket.socket, number: int, request: Request) -> bool:
        """Answer one request; False where the connection ends."""
        status, until = self._status
        if time.monotonic() < until:
            return self._refuse(connection, status)
        if self._clients and self._serving > self._clients:
            return self._refuse(connection, "503 Service Unavailable")
        if self._access and not self._access.admits(request.method, request.headers.get("authorization", "")):
            return self._refuse(connection, "401 Unauthorized", f"WWW-Authenticate: {self._access.challenge()}\r\n")
        if page := self._pages.get(request.target):
            connection.sendall(page)
            return False
        with self._state:
            self._begun = self._begun or time.monotonic()
        player = _Player(self, connection, number)
        return player.snapshot() if self._snapshot else player.play()

    @staticmethod
    def _refuse(connection: socket.socket, status: str, headers: str = "") -> bool:
        head = f"HTTP/1.1 {status}\r\n{headers}Content-Type: text/html\r\nContent-Length: {len(_LOGIN_PAGE)}\r\n\r\n"
        connection.sendall(head.encode() + _LOGIN_PAGE)
        return True

    # What follows is for the players.

    def next_number(self, after: int) -> int | None:
        """Wait until the next picture after number `after` is due; its number, or None at the end."""
        if self._fps is None:
            number = self._next
        else:
            assert self._begun is not None
            number = max(after + 1, int((time.monotonic() - self._begun) * self._fps))
            self.ended.wait(max(0.0, self._begun + number / self._fps - time.monotonic()))
        if self.ended.is_set() or (self._count is not None and number >= self._count):
            return None
        return number

    def take_fault(self, number: int) -> Fault | None:
        """The fault that happens at this picture."""
        with self._state:
            if not self._faults or self._faults[0].at > number:
                return None
            fault = self._faults.pop(0)
            self.happened.append(fault)
            if self._log:
                print(json.dumps({"fault": fault.kind, "number": number}), file=self._log, flush=True)
            return fault

    def encode(self, number: int) -> bytes:
        """The JPEG of a number."""
        pictures = self._pictures
        return pictures.jpeg(number) if isinstance(pictures, NumberedPictures) else pictures(number)

    def change(self, fault: Fault) -> None:
        """Change the size or the sampling of the pictures from now on."""
        pictures = self._pictures
        if isinstance(pictures, NumberedPictures):
            if fault.kind == "resize":
                self._pictures = replace(pictures, size=fault.size or pictures.size, scenes=())
            else:
                self._pictures = replace(pictures, sampling=fault.sampling or pictures.sampling)

    def record(self, number: int, state: Literal["whole", "damaged", "part"], connection: int) -> None:
        """Note that a picture was sent."""
        sent = Sent(number, state, time.monotonic(), connection)
        with self._state:
            self._next = number + 1
            self.sent.append(sent)
            if self._log:
                print(json.dumps(asdict(sent)), file=self._log, flush=True)

    def answer_with(self, fault: Fault) -> None:
        """Answer every request by a status for a while."""
        self._status = fault.status, time.monotonic() + fault.seconds

    @property
    def dialect(self) -> Dialect:
        """How multipart is spoken."""
        return self._dialect


class _Player:
    """Sends the pictures of one connection."""

    def __init__(self, camera: HttpCamera, connection: socket.socket, number: int) -> None:
        self._camera = camera
        self._connection = connection
        self._number = number
        self._dialect = camera.dialect

    def play(self) -> bool:
        """Send a multipart response until it ends; the connection ends too."""
        self._send(self._dialect.head())
        number: int | None = -1
        index = 0
        while (number := self._camera.next_number(number)) is not None:
            if not self._send_picture(number, lambda jpeg: self._part(jpeg, index)):  # noqa: B023  called at once
                return False
            index += 1
        if not self._camera.ended.is_set():
            self._send(self._dialect.end())
        return False

    def snapshot(self) -> bool:
        """Answer by one picture; False where the connection ends."""
        number = self._camera.next_number(-1)
        if number is None:
            return False
        head = "HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n"
        return self._send_picture(number, lambda jpeg: (head % len(jpeg)).encode() + jpeg)

    def _part(self, jpeg: bytes, index: int) -> bytes:
        return self._dialect.coded(self._dialect.part(jpeg, index, time.time()))

    def _send_picture(self, number: int, part: Callable[[bytes], bytes]) -> bool:
        """Send a picture, with the fault that is due; False where the connection ends."""
        fault = self._camera.take_fault(number)
        if fault is None:
            return self._send_whole(number, part(self._camera.encode(number)))
        if fault.kind in ("resize", "resample"):
            self._camera.change(fault)
            return self._send_whole(number, part(self._camera.encode(number)))
        if fault.kind == "stall":
            self._camera.ended.wait(fault.seconds)
            return not has_left(self._connection)  # a stalled camera has skipped the picture
        jpeg = self._camera.encode(number)
        if fault.kind == "truncate":
            return self._send_whole(number, part(truncated(jpeg)), "damaged")
        if fault.kind == "flip":
            return self._send_whole(number, part(flipped(jpeg, number)), "damaged")
        if fault.kind == "garbage":
            self._send(self._dialect.coded(garbage(number)))
            return self._send_whole(number, part(jpeg))
        if fault.kind == "stall inside":
            return self._stall_inside(number, part(jpeg), fault)
        return self._end(number, part(jpeg), fault)

    def _send_whole(self, number: int, data: bytes, state: Literal["whole", "damaged"] = "whole") -> bool:
        try:
            self._send(data)
        except OSError:
            self._camera.record(number, "part", self._number)
            raise
        self._camera.record(number, state, self._number)
        return True

    def _stall_inside(self, number: int, data: bytes, fault: Fault) -> bool:
        half = len(data) // 2
        try:
            self._send(data[:half])
            self._camera.ended.wait(fault.seconds)
            if has_left(self._connection):  # it would be sent without an error
                raise ConnectionResetError
            self._send(data[half:])
        except OSError:
            self._camera.record(number, "part", self._number)
            raise
        self._camera.record(number, "whole", self._number)
        return True

    def _end(self, number: int, data: bytes, fault: Fault) -> bool:
        """End the connection."""
        if fault.kind in ("break", "reset inside"):
            self._send(data[: len(data) // 2])
            self._camera.record(number, "part", self._number)
        if fault.kind == "status":
            self._camera.answer_with(fault)
        if fault.kind == "unreachable":
            self._camera.close_port(fault.seconds)
        if fault.kind in ("reset", "reset inside"):
            reset(self._connection)
        return False

    def _send(self, data: bytes) -> None:
        piece = self._dialect.piece or len(data) or 1
        for start in range(0, len(data), piece):
            self._connection.sendall(data[start : start + piece])
