"""An RTSP server (RFC 2326) that plays numbered pictures as RTP/JPEG, over TCP or UDP."""

from __future__ import annotations

import random
import re
import socket
import ssl
import struct
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from cameras.access import Access
from cameras.pictures import NumberedPictures
from cameras.request import Request, RequestReader
from cameras.rtp_jpeg import PAYLOAD_TYPE, Packetiser
from cameras.server import Server, reset

_RTP_CLOCK = 90_000
_JPEG_CONTROL = "track1"
JPEG_TRACK = f"m=video 0 RTP/AVP {PAYLOAD_TYPE}\r\na=control:{_JPEG_CONTROL}\r\n"
H264_TRACK = "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=fmtp:96 packetization-mode=1\r\na=control:track2\r\n"
H265_TRACK = "m=video 0 RTP/AVP 98\r\na=rtpmap:98 H265/90000\r\na=control:track3\r\n"
AUDIO_TRACK = "m=audio 0 RTP/AVP 0\r\na=control:track4\r\n"


class RtspCamera(Server):
    """Plays the pictures to each client, from number 0 on.

    Attributes:
        sent: numbers of the pictures that were sent whole.
        requests: a record of each request.
        moved: where every other path redirects to; None: there is no other.
        statuses: instead of answers to these methods, such as "503 Busy"; None: the connection ends.
    """

    def __init__(
        self,
        pictures: NumberedPictures | Callable[[int], bytes] = NumberedPictures(),  # noqa: B008  frozen
        *,
        fps: float = 25,
        count: int | None = None,
        q: int = 255,
        tracks: str = JPEG_TRACK,
        path: str = "/video",
        access: Access | None = None,
        tls: ssl.SSLContext | None = None,
        loss: float = 0.0,
        reset_at: int | None = None,
        stall_at: int | None = None,
        mute: bool = False,
    ) -> None:
        """Serve from now on.

        Args:
            pictures: make the JPEG of a number; 4:2:0 or 4:2:2.
            fps: pictures a second.
            count: the connection ends in front of the picture with this number; None: never.
            q: Q of the RTP/JPEG header: 1 to 99 with pictures of this quality, or 128 to 255.
            tracks: the tracks in the SDP, `JPEG_TRACK` and so on. The JPEGs are sent on that one; if there is none, on
                the first one, where they are nothing that its codec knows.
            path: any other one does not exist.
            access: a password to ask for.
            tls: the server's certificate; None: plain RTSP.
            loss: share of the packets that get lost, 0..1, chosen by a fixed seed.
            reset_at: the connection is reset in front of the picture with this number.
            stall_at: nothing is sent from the picture with this number on.
            mute: True: requests are not answered.
        """
        self.sent: list[int] = []
        self.requests: list[Request] = []
        self.moved: str | None = None
        self.statuses: dict[str, str | None] = {}
        self._pictures = pictures
        self._fps = fps
        self._count = count
        self._q = q
        self._tracks = tracks
        self._path = path
        self._access = access
        self._loss = loss
        self._reset_at = reset_at
        self._stall_at = stall_at
        self._mute = mute
        super().__init__(tls)

    @property
    def url(self) -> str:
        """The camera's address."""
        return f"{'rtsps' if self._tls else 'rtsp'}://127.0.0.1:{self.port}{self._path}"

    def serve(self, connection: socket.socket, number: int) -> None:
        """Answer the requests of one connection until it plays, then play."""
        session, reader = _Session(connection), RequestReader(connection)
        while request := reader.read():
            self.requests.append(request)
            if self._mute:
                continue
            if request.method in self.statuses:
                if (refusal := self.statuses[request.method]) is None:
                    return
                session.answer(request, refusal, {}, "")
                continue
            status, headers, body = self._answer(session, request)
            session.answer(request, status, headers, body)
            if request.method == "PLAY" and status == "200 OK":
                with session:
                    self._play(session)
                return

    def _answer(self, session: _Session, request: Request) -> tuple[str, dict[str, str], str]:
        if request.method == "OPTIONS":
            return "200 OK", {"Public": "OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN"}, ""
        if self._access and not self._access.admits(request.method, request.headers.get("authorization", "")):
            return "401 Unauthorized", {"WWW-Authenticate": self._access.challenge()}, ""
        if not request.target.partition(f":{self.port}")[2].startswith(self._path):
            return ("404 Not Found", {}, "") if self.moved is None else ("302 Moved", {"Location": self.moved}, "")
        if request.method == "DESCRIBE":
            sdp = f"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=camera\r\nt=0 0\r\na=control:*\r\n{self._tracks}"
            return "200 OK", {"Content-Type": "application/sdp", "Content-Base": f"{self.url}/"}, sdp
        if request.method == "SETUP":
            plays = request.target.endswith(_JPEG_CONTROL)
            transport = session.set_up(request.headers["transport"], plays=plays)
            return "200 OK", {"Transport": transport, "Session": "1"}, ""
        return "200 OK", {"Session": "1"}, ""

    def _play(self, session: _Session) -> None:
        packetiser = Packetiser(self._q)
        chance = random.Random(1)
        begun = time.monotonic()
        number = 0
        while not self.ended.wait(max(0.0, begun + number / self._fps - time.monotonic())):
            if number == self._count:
                return
            if number == self._reset_at:
                reset(session.connection)
                return
            if number == self._stall_at:
                self.ended.wait()
                return
            pictures = self._pictures
            jpeg = pictures.jpeg(number) if isinstance(pictures, NumberedPictures) else pictures(number)
            packets = list(packetiser.packets(jpeg, round(number * _RTP_CLOCK / self._fps)))
            arriving = [packet for packet in packets if chance.random() >= self._loss]
            for packet in arriving:
                session.send(packet)
            if len(arriving) == len(packets):
                self.sent.append(number)
            number += 1


@dataclass
class _Session:
    """One client, and the transport that it has chosen."""

    connection: socket.socket
    _udp: list[socket.socket] = field(default_factory=list)
    _to: int | None = None
    """The port or the channel to which the packets are sent."""

    def answer(self, request: Request, status: str, headers: Mapping[str, str], body: str) -> None:
        """Send a response."""
        everything = {"CSeq": request.headers.get("cseq", "0"), **headers, "Content-Length": str(len(body))}
        lines = [f"RTSP/1.0 {status}", *(f"{name}: {value}" for name, value in everything.items()), "", body]
        self.connection.sendall("\r\n".join(lines).encode())

    def set_up(self, transport: str, *, plays: bool) -> str:
        """Choose the transport that the client asks for; the value of the answer's Transport.

        Args:
            transport: the value of the request's.
            plays: the packets are sent on this track; False: on the first one, if no other is set up with True.
        """
        numbers = re.search(r"(client_port|interleaved)=(\d+)-(\d+)", transport)
        assert numbers
        if plays or self._to is None:
            self._to = int(numbers[2])
        if numbers[1] == "interleaved":
            return f"RTP/AVP/TCP;unicast;{numbers[0]}"
        pair = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2)]
        for sender in pair:
            sender.bind(("127.0.0.1", 0))
        self._udp += pair
        return f"RTP/AVP;unicast;{numbers[0]};server_port=" + "-".join(str(end.getsockname()[1]) for end in pair)

    def send(self, packet: bytes) -> None:
        """Send an RTP packet, if a track was set up."""
        if self._to is None:
            return
        if self._udp:
            self._udp[0].sendto(packet, ("127.0.0.1", self._to))
        else:
            self.connection.sendall(struct.pack(">cBH", b"$", self._to, len(packet)) + packet)

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        for sender in self._udp:
            sender.close()
