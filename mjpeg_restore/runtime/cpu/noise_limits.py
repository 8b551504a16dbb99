"""How far noise carries the blocks of a camera's picture from their state: learnt from the stream itself."""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

from mjpeg_restore.runtime.cpu.cells import around, widened
from mjpeg_restore.runtime.cpu.drift import lowest_step
from mjpeg_restore.runtime.cpu.history import ADAPTATION, adapted
from mjpeg_restore.runtime.cpu.quieter import Quieter, Seen, is_blank
from mjpeg_restore.runtime.cpu.state import SENSOR, UNKNOWN, Compared, ComponentState, compare

COARSE = 25
"""Steps of the lowest AC coefficients beyond which a slow motion shows in few blocks of those that move."""
_FEWEST = 32
"""Still blocks from which something is learnt."""
_GROUP, _GROUPS = 16, 4
"""Blocks whose deviations are averaged before a median is taken, and the fewest such groups: few coefficients of a
block tell of the noise, and many of them do not deviate at all."""
_SOME = 8
"""Frames of which half have to show such noise, where it is not known by blocks that agree."""
_LOUDEST = 400.0
"""Variance of such noise, at most, grey levels^2: more is motion."""
_OF_MEDIAN = 1.25
"""Standard error of a median of normal numbers, in that of their mean."""
_ONCE, _TWICE = (7.0, 5.0), (3.5, 3.0)
"""Noise carries hardly a block, nor the mean of 3x3 blocks, farther than so many times the way from the median to the
ninth decile; and hardly twice, in a frame and in the next one, farther than so many times."""
_LEAST_ONCE, _LEAST_TWICE = (8.0, 1.5), (1.0, 0.3)
"""Such distances are at least. Noise that moves a single coefficient into the next cell makes a distance of up to 3; it
does not do so for long, for a mean that is between two cells is near both."""
_MOST = 100.0
"""Such distances are at most."""
_GONE = 200.0
"""Where most of a picture stands still, a block that is so far has certainly moved: whatever the gate believes, which
sees no deviation beyond `FARTHEST`. Where a part of the picture has far more noise than the rest, no cell agrees for
long."""
_OUTLINED, _REPLACED = 2.0, 0.3
"""A block has an outline if the squares of its clear coefficients add up to so many steps^2. It shows something else
than before if less than this share of them is left: other light leaves more, and noise hides no clear one."""

_ADDED = 4
"""Coefficients that appear at once in a block. Noise makes three now and then, before its size is known."""


class Limits:
    """How far noise carries the blocks of one component from their state.

    Attributes:
        begun: blocks of the last frame that begin anew, as its noise has fallen, or the component is plain grey; None
            if there are none.
        noise: variance of the sensor's noise, grey levels^2.
        once: distances that noise explains: of a block, and the mean of 3x3 blocks, for which it is not the same noise.
        twice: distances that it does not explain where the frame before had such a distance there.
        far: blocks of the last frame that are farther, alone or with those around them, than noise explains.
        gone: blocks of the last frame that are very far; none where steps are coarse: there, few are far of many that
            move slowly.
        contrast: of each block the sum of products of its clear means and the last frame's coefficients, and that of
            the squares of these means, in squared steps.
        replaced: blocks of the last frame that show something else than before, whatever the gate believes. It judges
            each coefficient, and one that was small before agrees with the 0 of what is smooth: so the outlines of what
            was there would shine through whatever covers it.
        appeared: blocks of the last frame that have several coefficients that were nearly nothing before. Each by
            itself agrees with a mean of nothing where steps are coarse, so a fine texture would come late.
    """

    def __init__(self) -> None:
        """Begin without knowing any noise: what moves is seen for certain."""
        self.begun: NDArray[np.bool_] | None = None
        self.noise = SENSOR
        self.once, self.twice = np.array(_LEAST_ONCE), np.array(_LEAST_TWICE)
        self._distances: list[NDArray[np.floating]] = []
        self._spread = self._count = np.zeros((0, 0), np.float32)
        self._before: NDArray[np.bool_] | None = None
        self.far: NDArray[np.bool_] = np.zeros((0, 0), np.bool_)
        self.gone = self.replaced = self.appeared = np.zeros((0, 0), np.bool_)
        self._agree: NDArray[np.bool_] = np.zeros((0, 0), np.bool_)
        self.contrast = (np.zeros((0, 0), np.float32),) * 2
        self._quieter = Quieter()
        self._unheard = _SOME
        """Frames since blocks that stand still told of the noise."""
        self._seen_before: deque[float] = deque([SENSOR] * _SOME, _SOME)
        """The noise of the last frames as all blocks told it: none may agree with means of noise that is not known."""

    def moved(
        self, coefficients: NDArray[np.int16], table: NDArray[np.uint16], state: ComponentState, *, steady: bool
    ) -> NDArray[np.bool_]:
        """The blocks that noise alone cannot have carried so far, or that begin anew: see `begun`. That noise has
        fallen is told only of a scene whose light and contrast are `steady`.

        What is beside something that moves may stand still: so a block that is far by itself counts for nothing in the
        means of 3x3 blocks. It does count where the limits are learnt, or they would never reach a noise beyond them.
        But coarse steps hide most of a slow motion: then it counts everywhere, and those beside it have moved as well.
        """
        coarse = is_coarse(table)
        found = compare(coefficients, table, state, self.noise)
        distance, self._spread, self._count = found.distance, found.spread, found.number
        by_themselves, self.gone = distance > self.once[0], (distance > _GONE) & (not coarse)
        self._distances = distances = [distance, around(distance)]
        if not coarse and by_themselves.any():
            distances = [distance, around(np.where(by_themselves, np.float32(0), distance))]
        (far, far_around), (near, near_around) = (
            [values > limit for values, limit in zip(distances, limits, strict=True)]
            for limits in (self.once, self.twice)
        )
        beyond = near | near_around
        again = beyond & self._before if self._before is not None else far
        self._before = widened(beyond)
        self.replaced = (found.energy >= _OUTLINED) & (found.common < _REPLACED * found.energy)
        self.appeared = found.added >= _ADDED
        self.contrast = found.common, found.energy
        self.far = (widened(far) if coarse else far) | far_around | self.replaced | self.appeared
        moved = self.far | again
        self._agree = ~moved
        self.begun = None
        if is_blank(coefficients, table, state):
            self.begun = np.ones_like(moved)
        elif steady:
            known = self.noise
            if self._unheard >= _SOME:
                known = min(max(known, sorted(self._seen_before)[_SOME // 2]), _LOUDEST)
            seen = self._seen(found, known)
            self.begun, noise = self._quieter.follow(coefficients, table, state, self._agree, known, seen)
            self._seen_before.append(seen.variance if seen else SENSOR)
            if self.begun is not None:
                self.noise = min(self.noise, noise)
                self._seen_before.extend([SENSOR] * _SOME)
        if self.begun is not None:
            moved |= self.begun
            self.far = self.far | self.begun
            self._agree &= ~self.begun
        return moved

    def _seen(self, found: Compared, noise: float) -> Seen | None:
        """What the blocks of a frame tell of its noise, as if none had moved, if that of the means is known."""
        known = found.distance < UNKNOWN
        spread, number, of_means = (_grouped(values[known]) for values in (found.spread, found.number, found.of_means))
        telling = number - of_means >= _GROUP / 2
        if np.count_nonzero(telling) < _GROUPS:
            return None
        each = (spread - np.float32(noise) * of_means)[telling] / (number - of_means)[telling]
        return Seen(_median(each), _OF_MEDIAN * float(each.std()) / len(each) ** 0.5)

    def learn(self, still: NDArray[np.bool_], steady: NDArray[np.bool_]) -> None:
        """Learn from the blocks of the frame that are still; the noise from those that agree as well, if steady.

        How far noise carries blocks is learnt from no others: limits by which they agree would confirm themselves.
        """
        spread, count = (_grouped(values[self._agree & steady | still]) for values in (self._spread, self._count))
        telling = count >= _GROUP / 2
        self._unheard += 1
        if np.count_nonzero(telling) >= _GROUPS:
            self.noise = adapted(self.noise, _median(spread[telling] / count[telling]))
            self._unheard = 0
        if np.count_nonzero(still) < _FEWEST:
            return
        medians, ninths = np.array([_deciles(values[still]) for values in self._distances]).T
        for limits, factors, least in ((self.once, _ONCE, _LEAST_ONCE), (self.twice, _TWICE, _LEAST_TWICE)):
            far = np.clip(medians + np.array(factors) * (ninths - medians), least, _MOST)
            limits += ADAPTATION * (far - limits)


def is_coarse(table: NDArray[np.uint16]) -> bool:
    """Whether steps hide a slow motion."""
    return lowest_step(table) > COARSE


def _grouped(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """The sums of `_GROUP` values each, `[groups]`; what is left over is left out."""
    return values[: len(values) // _GROUP * _GROUP].reshape(-1, _GROUP).sum(axis=1)


def _median(values: NDArray[np.floating]) -> float:
    """The median: NumPy's own takes three times as long for so few."""
    lower, upper = (len(values) - 1) // 2, len(values) // 2
    ordered = np.partition(values, (lower, upper))
    return float((ordered[lower] + ordered[upper]) / 2)


def _deciles(values: NDArray[np.floating]) -> NDArray[np.floating]:
    """The median and the ninth decile: of what is between two numbers, the lower one."""
    last = len(values) - 1
    places = [last // 2, 9 * last // 10]
    return np.partition(values, places)[places]
