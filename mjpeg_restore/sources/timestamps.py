"""Corrects time stamps that cannot be true: single wrong ones, and a clock that restarts."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Generic, TypeVar

Item = TypeVar("Item")

LOOKAHEAD = 4
"""Items read after a suspicious time stamp before it is decided: the delay of such a picture in a live pipe."""
_RECENT_STEPS = 9
"""Number of steps whose median is the usual step."""
_JUMP = Fraction(3, 2)
"""Usual steps; a longer step may be due to a wrong stamp."""
_SMALL_JUMP = 4
"""Usual steps; up to this length a jump most likely means that the camera dropped a few pictures."""

# Costs of the events that explain a run of stamps. A pause is the cheapest, so that stamps that only rise are never
# changed. Two wrong stamps in a row cost less than a jump ahead and a restart back, three cost more.
_PAUSE_COST, _WRONG_COST, _RESTART_COST = 5, 6, 8
_SQUEEZE_COST = 3
"""Added to wrong stamps between neighbours less than half the usual distance apart: a small restart is likelier."""

_MAX_PAUSE = 30 * 24 * 3600
"""Seconds. A longer jump ahead means that the clock was set, such as from 0 at power-on to the date."""

_MAX_SKEW = 2
"""Seconds by which the tracks of a recording may differ in length before their clock restarts."""
_MAX_WAITING = 200
"""Audio packets that wait for the restart of the pictures' clock."""


@dataclass(frozen=True, slots=True)
class _Explanation:
    """An explanation of a run of stamps by events, and the times that follow from it."""

    cost: int
    times: tuple[int | None, ...]
    """The time of each stamp in ticks; None: the stamp is wrong."""


class TimestampCorrector(Generic[Item]):
    """Corrects the time stamps of one track with a bounded lookahead; the corrected times strictly rise.

    *Rising stamps* are kept exactly, however irregular: a pause of an hour, a late start.

    *A wrong stamp* (far ahead, far behind, equal to the one before, missing) is replaced by a time between its
    neighbours, which are kept.

    *A clock that restarts* (at 0, or by a step back) or is set (ahead by more than a month) is continued: the next time
    is one usual step after the one before, one second at most, and the distances between later stamps are kept.

    Of all explanations of the known stamps the one with the lowest cost decides. An item whose stamp is a usual step
    after the one before, or 0 at the beginning, is returned at once. Any other item waits for `LOOKAHEAD` more items,
    or for one if at most a few pictures are missing before it.

    Attributes:
        replaced: number of wrong or missing stamps.
        shifted: number of stamps moved because the clock had restarted.
        restarts: for each restart, its time in ticks and the ticks added to all later stamps.
    """

    def __init__(self, step: int, second: int, align: Callable[[int], int | None] | None = None) -> None:
        """Begin a track.

        Args:
            step: the usual step in ticks, until enough stamps are known.
            second: ticks in a second.
            align: called at a restart with the offset in ticks that would be added to the stamps; returns the offset to
                add, or None to wait for more items.
        """
        self.replaced = self.shifted = 0
        self.restarts: list[tuple[int, int]] = []
        self._initial_step = max(step, 1)
        self._second = max(second, 1)
        self._align = align
        self._steps: deque[int] = deque(maxlen=_RECENT_STEPS)
        self._waiting: deque[tuple[Item, int | None]] = deque()
        self._offset = 0
        self._last: int | None = None
        self._last_is_stamp = False

    @property
    def last(self) -> int | None:
        """The latest time in ticks; None before the first."""
        return self._last

    def feed(self, item: Item, stamp: int | None) -> Iterator[tuple[Item, int]]:
        """Take the next item with its stamp in ticks, and yield (item, time) for each whose time is decided."""
        self._waiting.append((item, stamp))
        yield from self._decide(final=False)

    def flush(self) -> Iterator[tuple[Item, int]]:
        """Yield the remaining items at the end of the track."""
        yield from self._decide(final=True)

    def _decide(self, *, final: bool) -> Iterator[tuple[Item, int]]:
        while self._waiting and (final or not self._needs_more()):
            stamps = [stamp for _, stamp in self._waiting][: LOOKAHEAD + 1]
            time = self._correct(stamps, final)
            if time is None:
                return
            yield self._waiting.popleft()[0], time

    def _needs_more(self) -> bool:
        """Whether the next stamp is suspicious and too few stamps after it are known."""
        stamp = self._waiting[0][1]
        known = len(self._waiting) - 1
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
        steps = sorted([self._initial_step, *self._steps])
        return steps[(len(steps) - 1) // 2]  # the lower median: the only known step may be a pause

    def _correct(self, stamps: list[int | None], final: bool) -> int | None:
        """The time of the first stamp; None to wait for more."""
        best = self._explain(stamps, self._last, self._offset, 0)
        time, stamp, last = best.times[0], stamps[0], self._last
        if time is None or stamp is None:
            self.replaced += 1
            self._last_is_stamp = False
            self._last = self._interpolate(best.times)
            return self._last
        if time != stamp + self._offset:
            offset = time - stamp
            if self._align is not None:
                aligned = self._align(offset)
                if aligned is None and not final and len(self._waiting) < _MAX_WAITING:
                    return None
                offset = offset if aligned is None else aligned
            self._offset, time = offset, stamp + offset
            self.restarts.append((time, offset))
        elif last is not None and self._last_is_stamp:
            self._steps.append(time - last)
        self.shifted += self._offset != 0
        self._last, self._last_is_stamp = time, True
        return time

    def _interpolate(self, times: tuple[int | None, ...]) -> int:
        """A time for the first of `times`, whose stamp is wrong: between the last time and the next known one."""
        ahead, after = next(((n, time) for n, time in enumerate(times) if time is not None), (0, None))
        if self._last is None:
            return 0 if after is None else after - ahead * self._step
        if after is None:
            return self._last + min(self._step, self._second)
        gap = (after - self._last) // (ahead + 1)
        # Next to a pause the picture belongs to those before it.
        return self._last + (min(self._step, self._second) if gap > _SMALL_JUMP * self._step else max(gap, 1))

    def _explain(self, stamps: list[int | None], last: int | None, offset: int, wrong: int) -> _Explanation:
        """The cheapest explanation of the stamps after time `last`, with `wrong` wrong stamps in between."""
        if not stamps:
            return _Explanation(0, ())
        stamp, rest = stamps[0], stamps[1:]
        without = self._explain(rest, last, offset, wrong + 1)
        if stamp is None:
            return _Explanation(without.cost, (None, *without.times))
        cost, time, steps = 0, stamp + offset, wrong + 1
        if last is not None and not last < time <= last + _MAX_PAUSE * self._second:
            cost, time = _RESTART_COST, last + min(self._step, self._second) * steps
        elif last is not None and time - last > _JUMP * self._step * steps:
            cost = _PAUSE_COST
        elif last is not None and wrong and 2 * (time - last) < self._step * steps:
            cost = _SQUEEZE_COST
        accepted = self._explain(rest, time, time - stamp, 0)
        if cost + accepted.cost <= _WRONG_COST + without.cost:
            return _Explanation(cost + accepted.cost, (time, *accepted.times))
        return _Explanation(_WRONG_COST + without.cost, (None, *without.times))


def correction_remark(corrector: TimestampCorrector[Item], time_base: Fraction) -> str | None:
    """The remark on the time stamps that were changed; None if there are none."""
    reasons: list[str] = []
    if corrector.replaced:
        reasons.append(f"{corrector.replaced} wrong or missing, interpolated between their neighbours")
    if corrector.restarts:
        times = "once" if len(corrector.restarts) == 1 else f"{len(corrector.restarts)} times"
        at = "at" if len(corrector.restarts) == 1 else "first at"
        first = float(corrector.restarts[0][0] * time_base)
        reasons.append(f"{corrector.shifted} shifted, because the clock restarts {times}, {at} {first:.3f} s")
    changed = corrector.replaced + corrector.shifted
    return f"{changed} time stamp{'' if changed == 1 else 's'} changed: {'; '.join(reasons)}" if reasons else None


class RestartAlignment:
    """The `align` of an audio track's corrector: at a restart the sound moves by the same time as the pictures."""

    def __init__(self, pictures: TimestampCorrector[Item], pictures_base: Fraction, own_base: Fraction) -> None:
        """Follow the restarts of `pictures`; the time bases are those of the pictures and of the audio track."""
        self._restarts = pictures.restarts
        self._ratio = pictures_base / own_base
        self._max_skew = _MAX_SKEW / own_base
        self._used = 0

    def __call__(self, offset: int) -> int | None:
        """The pictures' offset at the restart, in the audio track's ticks; None if they have not restarted."""
        for number, (_, pictures_offset) in enumerate(self._restarts[self._used :], self._used + 1):
            if abs(pictures_offset * self._ratio - offset) <= self._max_skew:
                self._used = number
                return round(pictures_offset * self._ratio)
        return None
