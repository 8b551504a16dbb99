"""Which codecs an output takes."""

# PyAV's stubs leave types open.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import os

import av

from mjpeg_restore.errors import Hint, SinkError
from mjpeg_restore.sinks.encoder import Encoder

IN_MPEG_TS = frozenset({"h264", "hevc"})
"""Codecs, by FFmpeg's names, of files, streams and segments in MPEG-TS. FFmpeg writes VP9, FFV1 and others as data that
nothing plays, and its encoders of MPEG-2 and MPEG-4 refuse the unit of time."""
_NOT_IN_MOV = frozenset({"av1", "vp8", "vp9"})
"""FFmpeg refuses these only when it writes the header."""


def check_codec(encoder: Encoder, taker: str, codecs: frozenset[str]) -> None:
    """Check that an output which takes few codecs, h264 among them, takes this one.

    Args:
        encoder: see `find_encoder`.
        taker: the output, in the message.
        codecs: what it takes, by FFmpeg's names.

    Raises:
        SinkError: it does not.
    """
    if encoder.codec.canonical_name not in codecs:
        known = " or ".join(sorted(codecs))
        raise SinkError(f"{taker} takes {known}, not {encoder.name}", Hint("leave {codec} out", codec=None))


def check_container(encoder: Encoder, format_name: str) -> None:
    """Check that the container holds the codec, and that an encoder for live video is safe, before any work is done.

    Raises:
        SinkError: it does not, or is not.
    """
    if format_name == "mpegts":
        check_codec(encoder, "MPEG-TS", IN_MPEG_TS)
    if not _holds(format_name, encoder):
        advice = "use another codec" if format_name == "matroska" else "use .mkv, or another codec"
        raise SinkError(f"{format_name} does not hold {encoder.name}: {advice}")
    if encoder.low_delay and encoder.name == "libsvtav1":  # last: the container holds VP9, too
        # SVT-AV1 4.1 without delay waited for itself in three of 2,500 recordings of 60 pictures, with one thread too.
        message = "libsvtav1 is not for live video, in which no picture may wait for later ones: it may stop for ever"
        raise SinkError(message, Hint("try {codec}", codec="vp9"))


def _holds(format_name: str, encoder: Encoder) -> bool:
    """Whether FFmpeg can store the codec in the container."""
    if format_name == "mov" and encoder.codec.canonical_name in _NOT_IN_MOV:
        return False
    with av.open(os.devnull, "w", format=format_name) as probe:
        try:
            probe.add_stream(encoder.name)
        except ValueError:
            return False
    return True
