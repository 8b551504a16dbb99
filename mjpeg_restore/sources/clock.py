"""Time stamps that a recording cannot mean: a single wrong one, and a clock that begins again."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Generic, TypeVar

Item = TypeVar("Item")

LOOKAHEAD = 4
"""Pictures that are read beyond a suspicious one before its time is decided: its delay in a live pipe."""
_RECENT = 9
"""Steps whose median is the usual one."""
_JUMP = Fraction(3, 2)
"""A step of more than so many usual ones may be the fault of a wrong stamp."""
_SMALL_JUMP = 4
"""Up to so many usual steps a jump is most likely a few pictures that the camera left out."""

# What it costs to explain stamps by each event. A jump is the cheapest: stamps that only rise are never changed. Two
# wrong stamps in a row are likelier than a jump ahead and another one back, three are not.
_PAUSE, _WRONG, _RESTART = 5, 6, 8
_SQUEEZED = 3
"""On top of a wrong stamp, where its neighbours leave it less than half of the usual room: rather a small step back."""

_LONGEST_PAUSE = 30 * 24 * 3600
"""Seconds. A clock that jumps ahead by more was set on the way, such as from 0 at power-on to the date."""

_APART = 2
"""Seconds by which the tracks of a recording may end apart before their clock begins again."""
_PATIENCE = 200
"""Packets of sound that wait for the clock of the pictures to begin again."""


@dataclass(frozen=True, slots=True)
class _Reading:
    """One explanation of a run of stamps: what events they show, and the times that follow from it."""

    cost: int
    times: tuple[int | None, ...]
    """The time of each in ticks; None: its stamp is wrong."""


class Clock(Generic[Item]):
    """Puts the stamps of one track right, with a bounded look ahead.

    *Stamps that rise* are the recording's own and stay exact, however irregular: a pause of an hour, a late start.

    *A wrong stamp* (far ahead, far behind, equal to the one before, missing) is replaced by a time between its
    neighbours, which keep theirs.

    *A clock that begins again* (at 0, or by a step back) or is set (ahead by a month) is carried on: the next time
    follows the one before by a usual step, a second at most, and the spacing of the rest stays.

    Which of these it is shows what comes next: of all explanations of the stamps at hand the one with the fewest events
    is taken. An item whose stamp follows the one before by a usual step, or begins at 0, is handed on at once; another
    one waits for `LOOKAHEAD` items more, or for one where no more than a few pictures may be missing.

    Attributes:
        wrong: how many stamps were replaced.
        carried: how many have another time because a clock began again.
        restarts: where a clock began again: the time in ticks, and what is added to its stamps from there on.
    """

    def __init__(self, step: int, second: int, anchor: Callable[[int], int | None] | None = None) -> None:
        """Begin a track.

        Args:
            step: usual ticks from one stamp to the next, as long as none are known.
            second: ticks in a second.
            anchor: called when the clock begins again, with the ticks by which its stamps would be moved; returns the
                ticks by which they are moved, or None to wait for more items.
        """
        self.wrong = self.carried = 0
        self.restarts: list[tuple[int, int]] = []
        self._hint = max(step, 1)
        self._second = max(second, 1)
        self._anchor = anchor
        self._steps: deque[int] = deque(maxlen=_RECENT)
        self._held: deque[tuple[Item, int | None]] = deque()
        self._offset = 0
        self._last: int | None = None
        self._last_is_own = False

    @property
    def last(self) -> int | None:
        """The latest time, in ticks; None before the first."""
        return self._last

    def feed(self, item: Item, stamp: int | None) -> Iterator[tuple[Item, int]]:
        """Take the next item, and yield those whose time is decided, with it; the times rise."""
        self._held.append((item, stamp))
        yield from self._decide(final=False)

    def flush(self) -> Iterator[tuple[Item, int]]:
        """Yield the rest, at the end of the track."""
        yield from self._decide(final=True)

    def _decide(self, *, final: bool) -> Iterator[tuple[Item, int]]:
        while self._held and (final or not self._waits()):
            window = [stamp for _, stamp in self._held][: LOOKAHEAD + 1]
            time = self._time(window, final)
            if time is None:
                return
            yield self._held.popleft()[0], time

    def _waits(self) -> bool:
        """Whether the next stamp is suspicious and too little is known of those behind it."""
        stamp = self._held[0][1]
        known = len(self._held) - 1
        if stamp is None or known >= LOOKAHEAD:
            return known < LOOKAHEAD
        if self._last is None:
            return stamp != 0
        gap = stamp + self._offset - self._last
        if not 0 < gap <= _SMALL_JUMP * self._step:
            return True
        return gap > _JUMP * self._step and not known

    @property
    def _step(self) -> int:
        steps = sorted([self._hint, *self._steps])
        return steps[(len(steps) - 1) // 2]  # a pause may be all that was seen so far

    def _time(self, window: list[int | None], final: bool) -> int | None:
        """The time of the first of some stamps; None to wait for more."""
        reading = self._read(window, self._last, self._offset, 0)
        time, stamp, last = reading.times[0], window[0], self._last
        if time is None or stamp is None:
            self.wrong += 1
            self._last_is_own = False
            self._last = self._between(reading.times)
            return self._last
        if time != stamp + self._offset:
            offset = time - stamp
            if self._anchor is not None:
                anchored = self._anchor(offset)
                if anchored is None and not final and len(self._held) < _PATIENCE:
                    return None
                offset = offset if anchored is None else anchored
            self._offset, time = offset, stamp + offset
            self.restarts.append((time, offset))
        elif last is not None and self._last_is_own:
            self._steps.append(time - last)
        self.carried += self._offset != 0
        self._last, self._last_is_own = time, True
        return time

    def _between(self, times: tuple[int | None, ...]) -> int:
        """A time for the first of some, whose stamp is wrong: between the one before and the next right one."""
        ahead, after = next(((n, time) for n, time in enumerate(times) if time is not None), (0, None))
        if self._last is None:
            return 0 if after is None else after - ahead * self._step
        if after is None:
            return self._last + min(self._step, self._second)
        gap = (after - self._last) // (ahead + 1)
        # Beside a pause it belongs to what was before.
        return self._last + (min(self._step, self._second) if gap > _SMALL_JUMP * self._step else max(gap, 1))

    def _read(self, stamps: list[int | None], last: int | None, offset: int, passed: int) -> _Reading:
        """The cheapest explanation of stamps that follow time `last` with `passed` wrong ones in between."""
        if not stamps:
            return _Reading(0, ())
        stamp, rest = stamps[0], stamps[1:]
        without = self._read(rest, last, offset, passed + 1)
        if stamp is None:
            return _Reading(without.cost, (None, *without.times))
        cost, time, steps = 0, stamp + offset, passed + 1
        if last is not None and not last < time <= last + _LONGEST_PAUSE * self._second:
            cost, time = _RESTART, last + min(self._step, self._second) * steps
        elif last is not None and time - last > _JUMP * self._step * steps:
            cost = _PAUSE
        elif last is not None and passed and 2 * (time - last) < self._step * steps:
            cost = _SQUEEZED
        taken = self._read(rest, time, time - stamp, 0)
        if cost + taken.cost <= _WRONG + without.cost:
            return _Reading(cost + taken.cost, (time, *taken.times))
        return _Reading(_WRONG + without.cost, (None, *without.times))


def clock_remark(clock: Clock[Item], time_base: Fraction) -> str | None:
    """The remark on the time stamps that a clock has moved; None where it has moved none."""
    reasons: list[str] = []
    if clock.wrong:
        reasons.append(f"{clock.wrong} wrong or missing, set between the ones around")
    if clock.restarts:
        times = "once" if len(clock.restarts) == 1 else f"{len(clock.restarts)} times"
        at = "at" if len(clock.restarts) == 1 else "first at"
        where = float(clock.restarts[0][0] * time_base)
        reasons.append(f"{clock.carried} carried on, for the clock begins again {times}, {at} {where:.3f} s")
    moved = clock.wrong + clock.carried
    return f"{moved} time stamp{'' if moved == 1 else 's'} moved: {'; '.join(reasons)}" if reasons else None


class Companion:
    """The `anchor` of a second track's clock: it is moved by the same amount as that of the pictures."""

    def __init__(self, pictures: Clock[Item], time_base: Fraction, own_time_base: Fraction) -> None:
        """Follow `pictures`, whose ticks are `time_base` seconds; those of the second track are `own_time_base`."""
        self._restarts = pictures.restarts
        self._ratio = time_base / own_time_base
        self._apart = _APART / own_time_base
        self._used = 0

    def __call__(self, offset: int) -> int | None:
        """See `Clock`'s `anchor`."""
        for number, (_, theirs) in enumerate(self._restarts[self._used :], self._used + 1):
            if abs(theirs * self._ratio - offset) <= self._apart:
                self._used = number
                return round(theirs * self._ratio)
        return None
