"""What a live source needs of a connection to a camera: pictures as they arrive, and a way to interrupt the wait."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Capture:
    """A coded picture as a connection delivered it."""

    data: bytes = field(repr=False)
    """The JPEG; foreign bytes may stand around it, and its end may be missing."""
    arrived: float
    """Arrival of its last byte, `time.monotonic()` seconds."""
    stamp: Fraction | None = None
    """The camera's own time of the picture in seconds, on any clock; None if it states none."""
    lost: bool = False
    """True: bytes or pictures were lost just before this one, so that tables of earlier pictures may not apply."""


class Connection(Protocol):
    """One attempt to receive pictures: made without waiting, used once, and blocking. It knows nothing of retries."""

    def pictures(self) -> Generator[Capture]:
        """Connect, and yield pictures as they arrive. The iteration ends where the other side ends the stream.

        It runs in one thread, and may wait for any time. The caller closes it, which releases everything.

        Raises:
            ConnectionFailed: there is no connection, or it broke: another attempt may succeed.
            NotMjpeg: the other side answers, but not with Motion-JPEG.
            SourceError: the other side refuses, and further attempts would be refused too.
        """
        ...

    def interrupt(self) -> None:
        """End a waiting `pictures` as soon as possible, from any thread; more calls do nothing. Never waits."""
        ...
