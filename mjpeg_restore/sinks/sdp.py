"""The description of an H.264 stream that a client announces to an RTSP server (RFC 4566, RFC 6184)."""

from __future__ import annotations

import re
from base64 import b64encode

_START_CODE = re.compile(rb"\x00{2,}\x01")
_SPS, _PPS = 7, 8
"""Types of NAL units."""

PAYLOAD_TYPE = 96
"""The one that FFmpeg's RTP muxer gives video without a static one."""


def h264_description(parameter_sets: bytes) -> bytes:
    """A session description with one video stream.

    Args:
        parameter_sets: SPS and PPS, in Annex B format.

    Raises:
        ValueError: there is no SPS among them.
    """
    units = [unit for unit in _START_CODE.split(parameter_sets) if unit and unit[0] & 0x1F in (_SPS, _PPS)]
    profile = next((unit[1:4] for unit in units if unit[0] & 0x1F == _SPS), b"")
    if len(profile) < 3:
        raise ValueError("the encoder gives no sequence parameters")
    sets = ",".join(b64encode(unit).decode() for unit in units)
    lines = (
        "v=0",
        "o=- 0 0 IN IP4 127.0.0.1",
        "s=mjpeg-restore",
        "c=IN IP4 0.0.0.0",
        "t=0 0",
        f"m=video 0 RTP/AVP {PAYLOAD_TYPE}",
        f"a=rtpmap:{PAYLOAD_TYPE} H264/90000",
        f"a=fmtp:{PAYLOAD_TYPE} packetization-mode=1; sprop-parameter-sets={sets}; "
        f"profile-level-id={profile.hex().upper()}",
        "a=control:streamid=0",
    )
    return "".join(f"{line}\r\n" for line in lines).encode("ascii")
