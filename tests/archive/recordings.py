"""Recordings for the tests of archives: sound and broken ones."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import av
from av.video.stream import VideoStream

from mjpeg_restore.jpeg.segments import DHT, DQT
from mjpeg_restore.testing import jpegs
from tests.jpeg.pictures import scan_span, without
from tests.sources.clips import add_sound, mux_packet, mux_sound
from tests.streams import cut, still

PICTURES = jpegs(60)
MILLISECOND = Fraction(1, 1000)


def raw(path: Path, pictures: Sequence[bytes]) -> Path:
    """A stream of JPEGs."""
    path.write_bytes(b"".join(pictures))
    return path


def muxed(
    path: Path,
    pictures: Sequence[bytes] = PICTURES[:33],
    time: Callable[[int], int] = lambda number: 40 * number,
    *,
    base: Fraction = MILLISECOND,
    sound: str = "",
    size: tuple[int, int] = (64, 48),
    rotation: int = 0,
    last: int = 0,
) -> Path:
    """A container with these pictures; empty ones have a place in time, and no packet.

    `last` is the duration of the last picture, if it has one of its own.
    """
    with av.open(str(path), "w") as container:
        video = container.add_mux_stream("mjpeg", rate=25, width=size[0], height=size[1])
        if rotation:
            assert isinstance(video, VideoStream)
            video.set_display_rotation(rotation)
        microphone = add_sound(container, sound) if sound else None
        for number, data in enumerate(pictures):
            if data:
                duration = last if number == len(pictures) - 1 else 0
                mux_packet(container, video, data, time(number), base, duration)
            if microphone:
                mux_sound(container, microphone, number)
        if microphone:
            container.mux(microphone.encode(None))
    return path


def uneven(number: int) -> int:
    """Times of a camera that drops pictures, and pauses twice; milliseconds."""
    return 40 * number + number * number * 7 % 33 + 5_000 * (number >= 10) + 90_000 * (number >= 21)


def damaged(rng: random.Random, number: int) -> bytes:
    """A picture as cameras and disks spoil them."""
    data = PICTURES[number]
    start, end = scan_span(data)
    match rng.randrange(11):
        case 0:
            return cut(data, rng.random())
        case 1 | 2 | 3:  # flipped bits are what decoders notice least
            flipped = bytearray(data)
            flipped[rng.randrange(start, end)] ^= 1 << rng.randrange(8)
            return bytes(flipped)
        case 4:
            return data[: rng.randrange(2, 60)]
        case 5:
            return without(data, DQT, DHT)
        case 6:
            return rng.randbytes(300)
        case 7:
            return still(number, size=(80, 64))
        case 8:
            return still(number, sampling="4:4:4")
        case 9:
            return PICTURES[max(number - 1, 0)]
        case _:
            return b""
