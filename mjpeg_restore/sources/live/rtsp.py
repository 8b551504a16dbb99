"""RTSP cameras that send Motion-JPEG as RTP/JPEG (RFC 2435)."""

from __future__ import annotations

import errno
import socket
import ssl
import time
from pathlib import Path
from urllib.parse import quote

import av
import av.error
from av.container import InputContainer

from mjpeg_restore.address import Address
from mjpeg_restore.errors import ConnectionFailed, Hint, SourceError, reason_of
from mjpeg_restore.jpeg.segments import SOF, find_start, segments
from mjpeg_restore.sources.live.demuxed import WITHOUT_PROBING, DemuxedConnection
from mjpeg_restore.sources.live.rtsp_redirects import NOT_RTSP, follow_redirects
from mjpeg_restore.sources.live.settings import LiveSettings

_ADVICE = "set this stream of the camera, or a second one, to MJPEG"
_PROTOCOLS = "rtsp,rtp,tcp,udp,tls"
"""A camera cannot make FFmpeg open anything else, such as a file."""
_MIN_TIMEOUT = 1.0
"""Seconds that FFmpeg has to connect, also where the answers before took nearly all of the timeout."""
_PAUSE = 1.0
"""Seconds that a camera for a single client has to notice that the connection of `follow_redirects` is closed."""


class RtspConnection(DemuxedConnection):
    """One RTSP session. Audio is not set up; of several video tracks the first Motion-JPEG one is read.

    FFmpeg completes the JPEGs, whatever the Q of the RTP header (quirk R1). It drops pictures until it knows their
    tables (R2), pictures that lost a packet (R4), and RTP types other than 4:2:0 and 4:2:2 (R5).

    `interrupt` takes effect with the next picture, or when nothing has come for the stall timeout, or at most a second
    later. All that is done to connect has this time together.
    """

    def __init__(self, address: Address, settings: LiveSettings | None = None) -> None:
        """Prepare to connect; nothing is connected yet.

        Args:
            address: of the camera.
            settings: the defaults if None. `size` replaces the size in each picture's header: that of RTP ends at 2040
                (R3), and a larger picture has a wrong one, which FFmpeg does not tell.
        """
        super().__init__(address.name, _ADVICE)
        self._address = address
        self._settings = settings or LiveSettings()

    def open(self) -> InputContainer:
        """Connect; see `DemuxedConnection.open`."""
        address, timeout = self._address, self._settings.stall_timeout
        until = time.monotonic() + timeout
        try:
            # FFmpeg reports an unknown host as an input/output error.
            socket.getaddrinfo(address.host, address.port)
            if address.user is None:
                return self._connect(address, until)
            address = follow_redirects(address, timeout, verify_tls=self._settings.verify_tls)
            try:
                return self._connect(address, until)
            except (av.error.FFmpegError, OSError) as error:
                if time.monotonic() + _PAUSE > until or not self._may_be_occupied(error, address):
                    raise
            # Without redirects again: they would take the camera's only place each time, just before FFmpeg needs it.
            time.sleep(_PAUSE)
            return self._connect(address, until)
        except socket.gaierror:
            raise ConnectionFailed(f"{self.name}: there is no host of this name") from None
        except av.error.ExitError:
            raise self.silent_error() from None
        except (av.error.FFmpegError, OSError) as error:
            raise self._refusal(error, address) from None  # without the cause, whose text holds the password

    def repaired(self, data: bytes) -> bytes:
        """The picture with the true size, if the user has stated it (R3)."""
        return data if self._settings.size is None else with_size(data, self._settings.size)

    def silent_error(self) -> ConnectionFailed:
        """The error for a camera from which nothing came within the timeout."""
        return ConnectionFailed(f"{self.name}: nothing came for {self._settings.stall_timeout:g} s")

    def _connect(self, address: Address, until: float) -> InputContainer:
        """Have FFmpeg connect, in the time that is left; the wait for each picture may take all of the timeout."""
        timeout = self._settings.stall_timeout
        left = max(until - time.monotonic(), min(_MIN_TIMEOUT, timeout))
        return av.open(_url(address), options=self._options(address), timeout=(left, timeout))

    def _may_be_occupied(self, error: av.error.FFmpegError | OSError, address: Address) -> bool:
        """Whether a camera may refuse because it has not noticed yet that its client before has gone."""
        return not isinstance(error, av.error.ExitError) and isinstance(self._refusal(error, address), ConnectionFailed)

    def _options(self, address: Address) -> dict[str, str]:
        options = {
            **WITHOUT_PROBING,
            "rtsp_transport": self._settings.rtsp_transport,
            "allowed_media_types": "video",
            "protocol_whitelist": _PROTOCOLS,
        }
        if address.scheme == "rtsps":
            options["tls_verify"] = str(int(self._settings.verify_tls))
            certificates = ssl.get_default_verify_paths().cafile  # FFmpeg's TLS library has none of its own
            if certificates and Path(certificates).is_file():
                options["ca_file"] = certificates
        return options

    def _refusal(self, error: av.error.FFmpegError | OSError, address: Address) -> SourceError:
        """The error that tells what the camera, or the network, has answered.

        Args:
            error: of the attempt to connect.
            address: that it was made to, which the camera may have redirected to.
        """
        if isinstance(error, TimeoutError) and error.errno is None:  # of our own requests
            return self.silent_error()
        if isinstance(error, av.error.HTTPUnauthorizedError):
            if self._address.user is None:
                return SourceError(f"{self.name} asks for a password: give it as rtsp://USER:PASSWORD@HOST/PATH")
            return SourceError(f"{self.name} refuses the user name or the password")
        if isinstance(error, av.error.HTTPForbiddenError):
            return SourceError(f"{self.name}: this user may not see the stream (403)")
        if isinstance(error, av.error.HTTPNotFoundError):
            return SourceError(f"{self.name}: the camera has no stream of this path (404): its manual names the path")
        if isinstance(error, av.error.FFmpegError) and error.errno == errno.EPROTONOSUPPORT:
            other = "udp" if self._settings.rtsp_transport == "tcp" else "tcp"
            return SourceError(
                f"{self.name} does not send over {self._settings.rtsp_transport.upper()}",
                Hint("{rtsp_transport} may work", rtsp_transport=other),
            )
        if address.scheme == "rtsps" and self._settings.verify_tls and error.errno == errno.EIO:
            return SourceError(
                f"{self.name}: there is no TLS connection; perhaps the certificate is not to be trusted",
                Hint("{verify_tls} accepts any", verify_tls=False),
            )
        return ConnectionFailed(f"{self.name}: {_words(error)}")


def _words(error: av.error.FFmpegError | OSError) -> str:
    """What has happened, where another attempt may help."""
    match error:
        case av.error.InvalidDataError():
            return NOT_RTSP
        case av.error.FFmpegError(errno=errno.EPERM):  # it is -1, with which FFmpeg ends where nothing answers PLAY
            return NOT_RTSP
        case av.error.FFmpegError(errno=errno.EINVAL):
            return "no connection: perhaps the camera redirects to an address that is not RTSP's"
        case av.error.HTTPBadRequestError():
            return "the camera refuses the request (400)"
        case av.error.HTTPClientError():
            return "the camera refuses the request (a status from 402 to 499)"  # FFmpeg does not tell which
        case av.error.HTTPServerError():
            return "the camera cannot send at the moment (a status from 500 to 599)"
        case _:
            return f"no connection ({reason_of(error).lower()})"


def _url(address: Address) -> str:
    """The URL with the credentials, which FFmpeg decodes."""
    if address.user is None:
        return address.url
    scheme, rest = address.url.split("://", 1)
    return f"{scheme}://{quote(address.user, safe='')}:{quote(address.password, safe='')}@{rest}"


def with_size(jpeg: bytes, size: tuple[int, int]) -> bytes:
    """A JPEG with another width and height in its frame header; the scan stays as it is.

    Args:
        jpeg: the picture.
        size: width and height in pixels, 1 to 65535 each.
    """
    start = max(find_start(jpeg), 0)
    for segment in segments(jpeg, start):
        if segment.marker in SOF:
            at = segment.body + 1
            width, height = size
            return jpeg[:at] + height.to_bytes(2, "big") + width.to_bytes(2, "big") + jpeg[at + 4 :]
    return jpeg
