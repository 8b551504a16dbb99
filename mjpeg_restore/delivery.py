"""The items of a run on their way to its outlets."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sequence
from contextlib import closing

from mjpeg_restore.frames import Frame, SoundPacket
from mjpeg_restore.outlets import DirectFeed, Feed, Outlet, QueuedFeed, Taken
from mjpeg_restore.report import OutputReport
from mjpeg_restore.threads import JoinableThread


class Delivery:
    """Hands the items of one run to its outlets.

    Sinks that are instant are served on the thread from which the items come, and so is another one, if it is the only
    one for which the run waits anyway. Of several, each has a thread of its own, and one that waits holds back the
    items, not the others' threads. An interactive sink, such as a window, is served on the caller's thread, as systems
    demand, and the items come from another one.

    Attributes:
        ended: True once the run is to end, because a consumer has gone or nobody is left.
    """

    def __init__(self, outlets: Sequence[Outlet], taken: Taken, stop: Callable[[], None]) -> None:
        """Prepare.

        Args:
            outlets: at most one of them interactive. None at all is fine: the items are only counted, or verified.
            taken: called when a sink has taken a frame, from any thread.
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
        others = [outlet for outlet in outlets if not outlet.sink.instant]
        waits = len(others) == 1 and others[0].when_full == "wait" and not interactive
        alone = len(outlets) == 1
        self._feeds: list[Feed] = [
            DirectFeed(outlet, taken, alone=alone, goes_on=self._goes_on)
            if outlet.sink.instant or waits
            else QueuedFeed(outlet, taken, self._look, alone=alone, goes_on=self._goes_on)
            for outlet in outlets
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
            BaseException: a sink raised it, and it is no `Exception`; the outputs are not finished.
        """
        for feed in self._feeds:
            feed.start()
        if self._interactive is None:
            self._hand_out(items, fitted)
        else:
            self._hand_out_elsewhere(items, fitted, self._interactive)
        self._finish()
        self._wait()
        self._raise_exit()
        errors = [feed.error for feed in self._feeds if feed.error]
        if errors and len(errors) == len(self._feeds):
            raise errors[0]

    def discard(self) -> None:
        """Abandon every output. Never raises."""
        for feed in self._feeds:
            feed.abandon()
        self._wait()

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
        self, items: Generator[Frame | SoundPacket], fitted: Callable[[Frame], Frame], interactive: Feed
    ) -> None:
        failed: list[BaseException] = []

        def hand_out() -> None:
            try:
                self._hand_out(items, fitted)
                self._finish()  # here, since the window may be paused
            except BaseException as error:  # raised again in the caller's thread
                failed.append(error)
                interactive.finish()

        thread = JoinableThread(hand_out, "deliver")
        thread.start()
        interactive.work()
        thread.wait()
        if failed:
            raise failed[0]

    def _finish(self) -> None:
        """Let every outlet come to its end, unless the run fails."""
        self._raise_exit()
        self._complete = True
        for feed in self._feeds:
            feed.finish()

    def _raise_exit(self) -> None:
        for feed in self._feeds:
            if feed.exit:
                raise feed.exit

    def _wait(self) -> None:
        """Wait for all outputs; those that hang have the same time, and not one after the other."""
        since = time.monotonic()
        for feed in self._feeds:
            feed.wait(since)

    def _goes_on(self, without: Feed) -> bool:
        """Whether another outlet has still to get items."""
        others = (feed for feed in self._feeds if feed is not without)
        return not (self.ended or self._complete) and any(not feed.over for feed in others)

    def _look(self) -> None:
        """See whether the run is to end."""
        over = [feed for feed in self._feeds if feed.over]
        ends = any(feed.exit or (feed.outlet.ends_run and not feed.error) for feed in over)
        if not (self.ended or self._complete) and over and (ends or len(over) == len(self._feeds)):
            self.ended = True
            self._stop()
