"""A stream published at an RTSP server, such as MediaMTX or go2rtc: ANNOUNCE, SETUP, RECORD, and RTP over TCP.

The client is our own, since FFmpeg's cannot be interrupted and, through PyAV, holds Python's global lock while it waits
for an answer. FFmpeg makes the RTP packets.
"""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
import time
from collections.abc import Mapping
from types import MappingProxyType

from mjpeg_restore.address import Address
from mjpeg_restore.authorisation import Authorisation
from mjpeg_restore.errors import SinkError
from mjpeg_restore.rtsp_client import Response, RtspClient, wrap_tls
from mjpeg_restore.sinks.links import PATIENCE, Link, connected
from mjpeg_restore.sinks.sdp import h264_description

_PACKET = 1200
"""Bytes of an RTP packet at most: servers hand packets on as they are, and a datagram of WebRTC holds no more."""
_KEEP_ALIVE = 25.0
"""Seconds between signs of life on the control channel; servers end a session after 60 seconds without one."""
_CHANNELS = (0, 1)
"""Of RTP and RTCP in the connection, which the client proposes."""
_FAREWELL = 1.0
"""Seconds that the server has to answer the last request."""


class RtspLink(Link):
    """One RTSP session after the other. H.264 only, without sound."""

    format = "rtp"
    options = MappingProxyType({"packetsize": str(_PACKET)})
    codecs = frozenset({"h264"})
    sound = False

    def __init__(self, address: Address) -> None:
        """Prepare to connect; nothing is connected yet.

        Args:
            address: of the stream at the server, "rtsp" or "rtsps", whose certificate is verified.
        """
        self.name = address.name
        self._address = address
        self._authorisation = None if address.user is None else Authorisation(address.user, address.password)
        self._socket: socket.socket | None = None
        self._client: RtspClient | None = None
        self._waiting = bytearray()
        """RTP packets of a picture that is not complete."""
        self._channels = _CHANNELS
        self._alive_at = 0.0

    def connect(self) -> None:
        """Connect to the server; see `Link`."""
        self._waiting = bytearray()
        made = connected(self._address)
        if self._address.scheme == "rtsps":
            try:
                made = wrap_tls(made, ssl.create_default_context(), self._address.host)
            except ssl.SSLCertVerificationError as error:
                raise SinkError(f"{self.name}: the certificate is not to be trusted ({error.verify_message})") from None
        self._socket, self._client = made, RtspClient(made, self._authorisation, PATIENCE)

    def describe(self, parameter_sets: bytes) -> None:
        """Open the session: say what will be sent, and how; see `Link`."""
        assert self._client
        url = self._address.url
        description = h264_description(parameter_sets)
        self._request("ANNOUNCE", url, {"Content-Type": "application/sdp"}, description)
        transport = "RTP/AVP/TCP;unicast;interleaved={}-{};mode=record".format(*_CHANNELS)
        response = self._request("SETUP", f"{url}/streamid=0", {"Transport": transport})
        self._channels = _assigned(response.first("transport"))
        self._client.session = response.first("session").partition(";")[0].strip()
        self._request("RECORD", url, {"Range": "npt=0.000-"})
        self._alive_at = time.monotonic()

    def write(self, data: bytes) -> int:
        """Send an RTP or RTCP packet, those of a picture together; see `Link`."""
        if self._socket is None or self._client is None:
            raise ConnectionError("the connection is closed")
        is_control = 192 <= data[1] <= 223  # RFC 5761
        self._waiting += b"$" + bytes([self._channels[is_control]]) + len(data).to_bytes(2, "big") + data
        ends_picture = data[1] & 0x80  # RTP's marker; all types of RTCP have this bit, too
        if ends_picture:
            try:
                self._send_waiting(self._socket, self._client)
            except OSError:
                self._client.session = ""  # there is nobody to take leave of
                raise
        return len(data)

    def close(self) -> None:
        """End the session, if it is still a sound one, and the connection; see `Link`."""
        if self._socket is None or self._client is None:
            return
        with contextlib.suppress(OSError):
            if self._client.session:
                self._client.teardown(self._address.url, _FAREWELL)
        self._socket.close()
        self._socket = self._client = None

    def _send_waiting(self, connection: socket.socket, client: RtspClient) -> None:
        client.drain()
        connection.sendall(self._waiting)
        self._waiting.clear()
        if time.monotonic() - self._alive_at > _KEEP_ALIVE:
            self._alive_at = time.monotonic()
            client.send("OPTIONS", self._address.url)

    def _request(self, method: str, url: str, headers: Mapping[str, str], body: bytes = b"") -> Response:
        """Send a request and wait for the answer.

        Raises:
            OSError: the connection broke, there was no answer, or one that may be another next time.
            SinkError: the server refuses for good.
        """
        assert self._client
        response = self._client.request(method, url, headers, body)
        if response.status != 200:
            self._refuse(response)
        return response

    def _refuse(self, response: Response) -> None:
        said = f"{response.status} {response.reason}".strip()
        match response.status:
            case 0:
                raise SinkError(f"{self.name}: what answers there is no RTSP server")
            case 401 if self._authorisation is None:
                raise SinkError(f"{self.name} asks for a password: give it as rtsp://USER:PASSWORD@HOST/PATH")
            case 401:
                raise SinkError(f"{self.name} refuses the user name or the password")
            case 403:
                raise SinkError(f"{self.name}: this user may not publish there ({said})")
            case 404:
                raise SinkError(f"{self.name}: the server has no stream of this path ({said}): its settings name them")
            case 405 | 461 | 501:
                raise SinkError(f"{self.name}: the server takes no stream, or none over TCP ({said})")
            case _:  # such as 400 of MediaMTX while another client publishes there
                raise ConnectionError(f"the server answers {said}")


def _assigned(transport: str) -> tuple[int, int]:
    """The channels of the server's answer to SETUP; those proposed where it names none.

    Raises:
        ConnectionError: there are no such channels.
    """
    found = re.search(r"interleaved=([0-9]+)(?:-([0-9]+))?", transport)
    if found is None:
        return _CHANNELS
    first = int(found[1][:4])
    second = int(found[2][:4]) if found[2] else first + 1
    if max(first, second) > 255:
        raise ConnectionError(f"the server assigns channels that do not exist ({found[0][:40]})")
    return first, second
