"""Sinks side by side: each has an outlet of its own, so that a slow or failing one is nobody else's trouble."""

from __future__ import annotations

import logging
import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Literal

from mjpeg_restore.errors import SinkError
from mjpeg_restore.frames import Frame, SoundPacket
from mjpeg_restore.report import OutputReport
from mjpeg_restore.sinks import Sink

WhenFull = Literal["wait", "drop"]
"""What happens to frames that a sink cannot take as fast as they come; see `Outlet.when_full`."""

_DEPTH = 2
"""Frames that wait for a sink. Each is a picture in memory, and one in reserve keeps a steady sink busy."""
_MOST_SOUND = 4096
"""Packets of sound that wait where frames are dropped: a minute and a half."""
_EVENTS = 0.02
"""Seconds between two looks at the events of an interactive sink: twice as often as a picture of 25 in a second."""

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


class Delivery:
    """Hands the items of one run to its outlets.

    A single outlet is served on the caller's thread. Of several, each has a thread of its own, and one that waits holds
    back the items, not the others' threads. An interactive sink, such as a window, is served on the caller's thread, as
    systems demand, and the items come from another one.

    Attributes:
        ended: True once the run is to end, because a consumer has gone or nobody is left.
    """

    def __init__(self, outlets: Sequence[Outlet], taken: Callable[[float], None], stop: Callable[[], None]) -> None:
        """Prepare.

        Args:
            outlets: at most one of them interactive. None at all is fine: the items are only counted, or verified.
            taken: called with `Frame.arrived` when a sink has taken a frame, from any thread.
            stop: ends the iteration over the items, even while it waits; called when the run is to end.

        Raises:
            ValueError: two are interactive.
        """
        interactive = [outlet for outlet in outlets if outlet.sink.interactive]
        if len(interactive) > 1:
            raise ValueError(f"{len(interactive)} interactive sinks: only one can have the caller's thread")
        self.ended = False
        self._complete = False
        """True once all items are handed out: an outlet that is over then has only come to its end."""
        self._stop = stop
        alone = len(outlets) == 1 and outlets[0].when_full == "wait" and not interactive
        self._feeds: list[_Feed] = [
            _Direct(outlet, taken) if alone else _Queued(outlet, taken, self._look) for outlet in outlets
        ]
        self._interactive = next((feed for feed in self._feeds if feed.outlet.sink.interactive), None)

    @property
    def reports(self) -> tuple[OutputReport, ...]:
        """What became of each output."""
        return tuple(feed.report for feed in self._feeds)

    @property
    def original(self) -> bool:
        """Whether a sink wants the plain decode of the next picture."""
        return any(feed.outlet.sink.original for feed in self._feeds if not feed.over)

    def deliver(self, items: Generator[Frame | SoundPacket], fitted: Callable[[Frame], Frame]) -> None:
        """Hand out all items, or those until `ended`, and finish the outputs.

        Args:
            items: iterated over and closed on one thread, not always the caller's.
            fitted: makes a frame for sinks that take one size only.

        Raises:
            SinkError: no output could be written; the reason of the first one.
        """
        for feed in self._feeds:
            feed.start()
        if self._interactive is None:
            self._hand_out(items, fitted)
        else:
            self._hand_out_elsewhere(items, fitted, self._interactive)
        self._complete = True
        for feed in self._feeds:
            feed.finish()
        for feed in self._feeds:
            feed.wait()
        errors = [feed.error for feed in self._feeds if feed.error]
        if errors and len(errors) == len(self._feeds):
            raise errors[0]

    def discard(self) -> None:
        """Abandon every output. Never raises."""
        for feed in self._feeds:
            feed.abandon()
        for feed in self._feeds:
            feed.wait()

    def _hand_out(self, items: Generator[Frame | SoundPacket], fitted: Callable[[Frame], Frame]) -> None:
        with closing(items):
            for item in items:
                if isinstance(item, SoundPacket):
                    for feed in self._feeds:
                        if feed.outlet.sink.sound:
                            feed.put(item)
                else:
                    fixed = fitted(item) if any(feed.outlet.sink.fixed_size for feed in self._feeds) else item
                    for feed in self._feeds:
                        feed.put(fixed if feed.outlet.sink.fixed_size else item)
                self._look()
                if self.ended:
                    return

    def _hand_out_elsewhere(
        self, items: Generator[Frame | SoundPacket], fitted: Callable[[Frame], Frame], interactive: _Feed
    ) -> None:
        failed: list[BaseException] = []

        def hand_out() -> None:
            try:
                self._hand_out(items, fitted)
            except BaseException as error:  # raised again in the caller's thread
                failed.append(error)
            finally:
                self._complete = True
                interactive.finish()

        thread = threading.Thread(target=hand_out, name="deliver", daemon=True)
        thread.start()
        interactive.work()
        thread.join()
        if failed:
            raise failed[0]

    def _look(self) -> None:
        """See whether the run is to end."""
        over = [feed for feed in self._feeds if feed.over]
        ends = any(feed.outlet.ends_run and not feed.error for feed in over)
        if not (self.ended or self._complete) and over and (ends or len(over) == len(self._feeds)):
            self.ended = True
            self._stop()


class _Feed(ABC):
    """What leads to one sink: all calls to it are made here, from one thread.

    Attributes:
        over: True once the sink takes nothing more.
        error: why it failed, if it did.
    """

    def __init__(self, outlet: Outlet, taken: Callable[[float], None]) -> None:
        self.outlet = outlet
        self.over = False
        self.error: SinkError | None = None
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

    def wait(self) -> None:  # noqa: B027  likewise
        """Wait until the sink is closed or discarded."""

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
            sink.write(item)
        except SinkError as error:
            self._fail(error)
            return
        self.report.frames += 1
        if item.arrived is not None:
            self._taken(item.arrived)
        if sink.closed:
            self._close()

    def _close(self) -> None:
        if not self.over:
            self.over = True
            try:
                self.outlet.sink.close()
            except SinkError as error:
                self.over = False
                self._fail(error)

    def _discard(self) -> None:
        if not self.over:
            self.over = True
            self.outlet.sink.discard()

    def _fail(self, error: SinkError) -> None:
        self.error, self.report.error = error, str(error)
        self._discard()


class _Direct(_Feed):
    """The only sink of a run."""

    def put(self, item: Frame | SoundPacket) -> None:
        if not self.over:
            self._write(item)

    def finish(self) -> None:
        self._close()

    def abandon(self) -> None:
        self._discard()


class _Queued(_Feed):
    """One of several sinks, behind a queue."""

    def __init__(self, outlet: Outlet, taken: Callable[[float], None], changed: Callable[[], None]) -> None:
        super().__init__(outlet, taken)
        self._changed = changed
        self._items: deque[Frame | SoundPacket] = deque()
        self._ended = self._abandoned = False
        self._condition = threading.Condition()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        if not self.outlet.sink.interactive:
            self._thread = threading.Thread(target=self.work, name="outlet", daemon=True)
            self._thread.start()

    def put(self, item: Frame | SoundPacket) -> None:
        with self._condition:
            if self.outlet.when_full == "wait":
                self._condition.wait_for(lambda: self._count(Frame) < _DEPTH or self._is_over)
            if self._is_over:
                return
            self._items.append(item)
            if self.outlet.when_full == "drop":
                self.report.dropped += self._keep_newest(Frame, _DEPTH)
                self._keep_newest(SoundPacket, _MOST_SOUND)
            self._condition.notify_all()

    def finish(self) -> None:
        with self._condition:
            self._ended = True
            self._condition.notify_all()

    def abandon(self) -> None:
        with self._condition:
            self._ended = self._abandoned = True
            self._items.clear()
            self._condition.notify_all()
        if self._thread is None:
            self._discard()

    def wait(self) -> None:
        if self._thread:
            self._thread.join()

    def work(self) -> None:
        try:
            self._serve()
            if self._abandoned:
                self._discard()
            else:
                self._close()
        except Exception as error:  # a fault of the sink's own; to the others it is a failure like any other
            _log.exception("%s", self.outlet.name)
            self._fail(SinkError(f"{self.outlet.name}: {type(error).__name__}: {error}"))
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
                    self._close()
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
            self._items.clear()
            self._condition.notify_all()
        self._changed()

    def _fail(self, error: SinkError) -> None:
        super()._fail(error)
        _log.error("%s; the run goes on for the other outputs", error, extra={"event": "output_failed"})
