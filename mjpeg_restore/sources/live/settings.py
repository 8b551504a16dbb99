"""The choices that concern a live source alone."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral
from typing import Literal, get_args

RtspTransport = Literal["tcp", "udp"]

_MAX_SECONDS = 10**9
"""The timers of the system, and the command line, take no more."""


@dataclass(frozen=True, slots=True)
class LiveSettings:
    """The user's choices for a camera; each connection uses the ones that apply to it."""

    stall_timeout: float = 10.0
    """Seconds without a whole picture after which the connection is given up and made again."""
    give_up: float | None = None
    """Seconds without a whole picture after which the source ends; None: it tries for ever."""
    size: tuple[int, int] | None = None
    """Width and height in pixels, asked of a V4L2 device; of an RTSP camera the true size, where its header lacks the
    room for it (quirk R3). None: the camera's own."""
    verify_tls: bool = True
    """Verify the certificate of an https camera; False accepts any."""
    rtsp_transport: RtspTransport = "tcp"
    """The transport of RTP packets; over UDP some may be lost (quirk R4)."""

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ValueError: a time that is not positive or too long, an impossible size, or an unknown transport.
        """
        if not 0 < self.stall_timeout <= _MAX_SECONDS:
            raise ValueError(f"stall_timeout {self.stall_timeout}: more than 0 seconds, {_MAX_SECONDS} at most")
        if self.give_up is not None and not self.give_up > 0:
            raise ValueError(f"give_up {self.give_up}: more than 0 seconds, or None")
        if self.size is not None and not (len(self.size) == 2 and all(map(_is_side, self.size))):
            raise ValueError(f"size {self.size}: width and height of 1 to 65535 pixels each")
        if self.rtsp_transport not in get_args(RtspTransport):
            raise ValueError(f"rtsp_transport {self.rtsp_transport!r}: there are {', '.join(get_args(RtspTransport))}")


def _is_side(value: object) -> bool:
    return isinstance(value, Integral) and 0 < int(value) <= 65535
