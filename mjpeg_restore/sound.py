"""A track of sound: what a sink needs to know to copy its packets, or to decode them."""

# PyAV's stubs leave the parameter of Packet, and the result of add_stream_from_template, open.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from math import floor
from types import MappingProxyType

import av
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.stream import Stream

from mjpeg_restore.frames import SoundPacket

_COMPANDED = frozenset({"pcm_alaw", "pcm_mulaw"})


@dataclass(frozen=True, slots=True)
class SoundTrack:
    """An audio track of a source. Its packets come with the pictures; see `Packet.sound`."""

    stream: AudioStream
    """Codec and parameters: the template for a stream copy. Valid until the source is closed."""
    metadata: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """The track's language, title and so on."""

    @property
    def closed(self) -> bool:
        """Whether the source was closed. The memory behind `stream` is free then: to use it would end the process."""
        try:
            _ = self.stream.container.flags
        except AssertionError:  # PyAV's
            return True
        return False


def block_align(stream: AudioStream) -> int | None:
    """Bytes of one sample of all channels of interleaved PCM; None for compressed sound."""
    name = stream.codec_context.codec.canonical_name
    found = re.match(r"pcm_[suf](\d+)(?:le|be)?$", name)
    if found is None and name not in _COMPANDED:
        return None
    return stream.codec_context.channels * (int(found[1]) // 8 if found else 1)


class SoundDecoder:
    """Decodes the packets of a track. Each consumer has its own: a decoder remembers what came before."""

    def __init__(self, track: SoundTrack) -> None:
        """Open a decoder with the track's parameters.

        Raises:
            av.FFmpegError, ValueError: there is none for this sound, or its source is closed.
        """
        if track.closed:
            raise ValueError("its source is closed")
        # A stream that is made after another one holds a codec context with all its parameters, which PyAV cannot set
        # one by one (an ADPCM block's size, for one); the container itself is never written.
        self._container = av.open(os.devnull, "w", format="null")
        self._context = self._container.add_stream_from_template(track.stream).codec_context
        self._begun = False

    def __call__(self, packet: SoundPacket | None) -> Iterator[AudioFrame]:
        """The frames of a packet; None: those that the decoder has held back.

        Raises:
            av.FFmpegError, ValueError: the packet cannot be decoded.
        """
        for frame in self._context.decode(None if packet is None else to_av(packet)):
            if not self._begun and self._context.codec.canonical_name == "opus" and frame.pts is not None:
                # FFmpeg leaves out the priming, but moves the time only of what its own containers read.
                priming = Fraction(self._context.delay, frame.sample_rate)
                frame.pts += floor(priming / Fraction(frame.time_base or 1) + Fraction(1, 2))
            self._begun = True
            yield frame


def to_av(packet: SoundPacket) -> av.Packet[Stream]:
    """A packet of PyAV's, which muxers may change."""
    copied: av.Packet[Stream] = av.Packet(packet.data)
    copied.time_base = packet.time_base
    copied.pts, copied.dts, copied.duration = packet.pts, packet.dts, packet.duration
    copied.is_keyframe = True  # in every codec of sound that containers mark
    return copied
