"""What leads to one sink: a slow or failing one is nobody else's trouble. `delivery.py` joins them."""

from __future__ import annotations

import logging
import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

from mjpeg_restore.errors import SinkError
from mjpeg_restore.frames import Frame, SoundPacket
from mjpeg_restore.report import OutputReport
from mjpeg_restore.sinks import Sink
from mjpeg_restore.threads import JoinableThread

WhenFull = Literal["wait", "drop"]
"""What happens to frames that a sink cannot take as fast as they come; see `Outlet.when_full`."""

Taken = Callable[[float | None, float], None]
"""Called when a sink has taken a frame, from any thread: with `Frame.arrived`, and with the seconds that it took."""

_DEPTH = 2
"""Frames that wait for a sink. Each is a picture in memory, and one in reserve keeps a steady sink busy."""
_MOST_SOUND = 4096
"""Packets of sound that wait where frames are dropped: a minute and a half."""
_EVENTS = 0.02
"""Seconds between two looks at the events of an interactive sink: twice as often as a picture of 25 in a second."""

_PATIENCE = 6.0
"""Seconds that the end of a run waits for all sinks that drop frames, or for the end of those that are abandoned. It is
more than a connection waits for its peer."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Outlet:
    """A sink, and how a run treats it."""

    sink: Sink
    name: str = "the output"
    """In messages and in the report."""
    when_full: WhenFull = "wait"
    """"wait": the run waits for the sink, which gets every frame, as a file should. "drop": the sink gets the newest
    frames, and the run never waits for it."""
    ends_run: bool = False
    """Whether the run ends once the consumer has gone; it ends anyway once all have."""

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ValueError: an unknown `when_full`.
        """
        if self.when_full not in (known := get_args(WhenFull)):
            raise ValueError(f"when_full {self.when_full!r}: there are {', '.join(known)}")


class Feed(ABC):
    """What leads to one sink: all calls to it are made here, from one thread.

    Attributes:
        over: True once the sink takes nothing more.
        error: why it failed, if it did.
        exit: what its sink raised, on a thread of its own, to end the program or the run, such as SystemExit.
    """

    def __init__(self, outlet: Outlet, taken: Taken, *, alone: bool, goes_on: Callable[[Feed], bool]) -> None:
        """Prepare.

        Args:
            outlet: the sink.
            taken: called when it has taken a frame.
            alone: there is no other: its failure is that of the run, which is told by others.
            goes_on: whether the run goes on without this one.
        """
        self.outlet, self._alone, self._goes_on = outlet, alone, goes_on
        self.over = False
        self.error: SinkError | None = None
        self.exit: BaseException | None = None
        self.report = OutputReport(outlet.name)
        self._taken = taken

    def start(self) -> None:  # noqa: B027  one without a thread has nothing to start
        """Begin to take items."""

    @abstractmethod
    def put(self, item: Frame | SoundPacket) -> None:
        """Take an item; none that comes after the end."""

    @abstractmethod
    def finish(self) -> None:
        """Say that there are no more items."""

    @abstractmethod
    def abandon(self) -> None:
        """Say that the run has failed; items that wait are dropped."""

    def work(self) -> None:  # noqa: B027  likewise
        """Serve the sink until the end, on this thread."""

    def wait(self, since: float) -> None:  # noqa: B027  likewise
        """Wait until the sink is closed or discarded.

        Args:
            since: when the outputs were told to end, seconds of `time.monotonic()`.
        """

    def _write(self, item: Frame | SoundPacket) -> None:
        """Write one item; the sink is closed if its consumer has gone, and discarded if it fails.

        Raises:
            Exception: a fault of the program's; the sink is discarded.
        """
        sink = self.outlet.sink
        try:
            if isinstance(item, SoundPacket):
                sink.write_sound(item)
                return
            lost, begun = sink.lost, time.monotonic()
            sink.write(item)
        except SinkError as error:
            self._fail(error)
            return
        if sink.lost > lost:
            self.report.lost += sink.lost - lost
        else:
            self.report.frames += 1
            self._taken(item.arrived, time.monotonic() - begun)
        if sink.closed:
            self._leave()

    def _leave(self) -> None:
        """Close the sink, for its consumer has gone."""
        self.report.left = not self.outlet.ends_run  # a window that is shut was watched to its end
        self._close()
        # Of a recording, the reader alone decides how much it wants.
        expected = self.outlet.ends_run or (self._alone and self.outlet.when_full == "wait")
        if not (self.error or expected):
            _log.info("%s: its reader has gone", self.outlet.name, extra={"event": "output_left"})

    def _miss(self, frames: int) -> None:
        """Count frames that come too late; where the run ends with the consumer, nobody misses them."""
        if not self.outlet.ends_run:
            self.report.missed += frames

    def _close(self) -> None:
        if not self.over:
            self.over = True
            try:
                self.outlet.sink.close()
            except SinkError as error:
                self.over = False
                self._fail(error)
            except BaseException:
                self.over = False  # it is discarded where this is caught
                raise

    def _discard(self) -> None:
        if not self.over:
            self.over = True
            try:
                self.outlet.sink.discard()
            except Exception:  # it should not, and the others have to be discarded all the same
                _log.exception("%s", self.outlet.name)

    def _fail(self, error: SinkError) -> None:
        self.error, self.report.error = error, str(error)
        rest = "; the run goes on for the other outputs" if self._goes_on(self) else ""
        self._discard()
        self._log_error(rest)

    def _log_error(self, rest: str = "") -> None:
        if not self._alone:
            _log.error("%s%s", self.error, rest, extra={"event": "output_failed"})

    def _fault(self, error: Exception) -> None:
        """Note a fault of the sink's own, to be called where it is caught; to others it is a failure like any other."""
        _log.exception("%s", self.outlet.name)
        self._fail(SinkError(f"{self.outlet.name}: {type(error).__name__}: {error}"))


class DirectFeed(Feed):
    """A sink that is served on the thread from which the items come."""

    def put(self, item: Frame | SoundPacket) -> None:
        """Write the item."""
        if self.over:
            self._miss(isinstance(item, Frame))
        else:
            self._attempt(lambda: self._write(item))

    def finish(self) -> None:
        """Close the sink."""
        self._attempt(self._close)

    def abandon(self) -> None:
        """Discard the output."""
        self._discard()

    def _attempt(self, step: Callable[[], None]) -> None:
        """Take a step; a fault of the sink's own is that of the run where there is no other sink."""
        try:
            step()
        except Exception as error:
            if self._alone:
                raise
            self._fault(error)


class QueuedFeed(Feed):
    """A sink behind a queue."""

    def __init__(
        self,
        outlet: Outlet,
        taken: Taken,
        changed: Callable[[], None],
        *,
        alone: bool,
        goes_on: Callable[[Feed], bool],
    ) -> None:
        super().__init__(outlet, taken, alone=alone, goes_on=goes_on)
        self._changed = changed
        self._items: deque[Frame | SoundPacket] = deque()
        self._ended = self._abandoned = False
        self._condition = threading.Condition()
        self._thread: JoinableThread | None = None

    def start(self) -> None:
        """Start the thread of a sink that may have one."""
        if not self.outlet.sink.interactive:
            self._thread = JoinableThread(self.work, "outlet")
            self._thread.start()

    def put(self, item: Frame | SoundPacket) -> None:
        """Queue the item: wait for room, or drop the oldest frame."""
        with self._condition:
            if self.outlet.when_full == "wait":
                self._condition.wait_for(lambda: self._count(Frame) < _DEPTH or self._is_over)
            if self._is_over:
                self._miss(isinstance(item, Frame))
                return
            self._items.append(item)
            if self.outlet.when_full == "drop":
                self.report.dropped += self._keep_newest(Frame, _DEPTH)
                self._keep_newest(SoundPacket, _MOST_SOUND)
            self._condition.notify_all()

    def finish(self) -> None:
        """Let the sink write what waits, and close it."""
        with self._condition:
            self._ended = True
            self._condition.notify_all()

    def abandon(self) -> None:
        """Drop what waits, and have the output discarded."""
        with self._condition:
            self._ended = self._abandoned = True
            self._items.clear()
            self._condition.notify_all()
        if self._thread is None:
            self._discard()

    def wait(self, since: float) -> None:
        """Wait for the thread; one that may hang, because its reader does not read, is left to itself in the end."""
        if self._thread:
            may_hang = self.outlet.when_full == "drop" or self._abandoned
            ended = self._thread.wait(max(since + _PATIENCE - time.monotonic(), 0) if may_hang else None)
            if not (ended or self.error):
                self.error = SinkError(f"{self.outlet.name}: given up after {_PATIENCE:g} s, for nobody reads it")
                self.report.error = str(self.error)
                self._log_error()

    def work(self) -> None:
        """Serve the sink until its end; any failure is the sink's own.

        Raises:
            BaseException: what is no `Exception`, where this is the caller's thread.
        """
        try:
            self._serve()
            if self._abandoned:
                self._discard()
            else:
                self._close()
        except Exception as error:
            self._fault(error)
        except BaseException as error:
            if self._thread is None:
                raise
            self.exit = error  # `Delivery` raises it again in the caller's thread
            self._discard()
        finally:
            self._tell()

    def _serve(self) -> None:
        """Write the items as they come."""
        sink = self.outlet.sink
        while not self.over:
            with self._condition:
                self._condition.wait_for(lambda: self._items or self._ended, _EVENTS if sink.interactive else None)
                item = self._items.popleft() if self._items else None
                ended = self._ended
                self._condition.notify_all()
            if item is not None:
                self._write(item)
            elif ended:
                return
            else:
                sink.idle()
                if sink.closed:
                    self._leave()
            if self.over:
                self._tell()

    @property
    def _is_over(self) -> bool:
        return self.over or self._ended

    def _count(self, kind: type[Frame | SoundPacket]) -> int:
        return sum(isinstance(item, kind) for item in self._items)

    def _keep_newest(self, kind: type[Frame | SoundPacket], most: int) -> int:
        """Drop the oldest items of a kind, so that no more than `most` wait; their number."""
        dropped = left = max(self._count(kind) - most, 0)
        kept: deque[Frame | SoundPacket] = deque()
        for item in self._items:
            if left and isinstance(item, kind):
                left -= 1
            else:
                kept.append(item)
        self._items = kept
        return dropped

    def _tell(self) -> None:
        """Wake the run, which may wait for room, and let it see whether it is to end."""
        with self._condition:
            self._miss(self._count(Frame))
            self._items.clear()
            self._condition.notify_all()
        self._changed()
