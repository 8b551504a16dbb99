"""Faults of cameras and networks, at given pictures or at random ones."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Kind = Literal[
    "close",
    "reset",
    "break",
    "reset inside",
    "stall",
    "stall inside",
    "truncate",
    "flip",
    "garbage",
    "resize",
    "resample",
    "status",
    "unreachable",
]
"""What goes wrong:

close, reset: the connection ends before the picture, in order or by RST.
break, reset inside: the same in the middle of the picture.
stall, stall inside: nothing is sent for `seconds`, before the picture or in its middle; then the stream goes on.
truncate: the second half of the picture is missing, and the stream goes on.
flip: some bits of the picture's scan are inverted.
garbage: bytes that mean nothing stand before the part.
resize, resample: from this picture on, `size` or `sampling` is another.
status: the connection ends; for `seconds`, every request is answered by `status`.
unreachable: the connection ends; for `seconds`, the port is closed.
"""

KINDS: tuple[Kind, ...] = Kind.__args__
ENDING = frozenset({"close", "reset", "break", "reset inside", "status", "unreachable"})
"""Kinds that end the connection."""

_SIZES = ((640, 480), (320, 240), (704, 576))


@dataclass(frozen=True)
class Fault:
    """One fault. It happens once, at the first picture that is due at or after `at`."""

    kind: Kind
    at: int
    """Number of the picture."""
    seconds: float = 1.0
    """Its duration, where it has one."""
    size: tuple[int, int] | None = None
    """Of "resize"; None: no change."""
    sampling: str = ""
    """Of "resample"; empty: no change."""
    status: str = "503 Service Unavailable"
    """Of "status"."""


def random_faults(
    kinds: Sequence[Kind], pictures: int, every: float, seed: int, seconds: tuple[float, float] = (0.2, 3.0)
) -> list[Fault]:
    """Faults at random pictures, the same for the same arguments.

    Args:
        kinds: to choose from, at equal odds.
        pictures: all faults happen before the picture of this number.
        every: mean distance between two faults, in pictures; the distances are distributed exponentially.
        seed: of the random numbers.
        seconds: shortest and longest duration.
    """
    chance = random.Random(seed)
    faults: list[Fault] = []
    at = chance.expovariate(1 / every)
    while at < pictures:
        size, sampling = chance.choice(_SIZES), chance.choice(("4:2:0", "4:2:2", "4:4:4"))
        faults.append(Fault(chance.choice(kinds), int(at), chance.uniform(*seconds), size, sampling))
        at += 1 + chance.expovariate(1 / every)
    return faults


def truncated(jpeg: bytes) -> bytes:
    """The picture without its second half."""
    return jpeg[: len(jpeg) // 2]


def flipped(jpeg: bytes, seed: int, bits: int = 3) -> bytes:
    """The picture with some bits of its scan inverted."""
    chance = random.Random(seed)
    data = bytearray(jpeg)
    begin = jpeg.rfind(b"\xff\xda") + 14
    for _ in range(bits):
        data[chance.randrange(begin, len(data) - 2)] ^= 1 << chance.randrange(8)
    return bytes(data)


def garbage(seed: int, count: int = 300) -> bytes:
    """Random bytes, among them markers that begin no picture."""
    chance = random.Random(seed)
    return bytes(chance.randrange(256) for _ in range(count)).replace(b"\xff\xd8", b"\xff\xd9")
