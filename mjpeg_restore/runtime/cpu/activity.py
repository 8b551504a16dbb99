"""Which parts of a camera's picture need the network: those that changed, and those whose state has become better.

A picture is divided into cells of 2x2 blocks of luma, or of an MCU where that is larger. In most cells of a camera that
stands still every block agrees with its state: nothing but the sensor's noise tells the frame from it. How far noise
carries a block is learnt from the stream itself, from blocks that the network's gate believes to be still. In a picture
that moves there are none, and nothing agrees.

The gate judges the cells that do not agree, but for single ones that do so by chance. Those that it does not doubt were
false alarms, and need no network, unless they are frequent.

A cell that agrees is computed all the same once its state rests on `_GROWTH` times as many frames as when it was
computed last: what the network adds to a mean depends on how good the mean is. So a cell that stays still is computed
in frames 1, 4, 16 and 64, and then once in `REFRESH` frames. The start of a stream apart, such cells wait for their
turn, which comes every `_EVERY` frames. Where the means have moved since then, which they do where light changes or a
picture loses its focus too slowly to be seen from frame to frame, what the network added to them no longer fits, and it
is computed at once.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mjpeg_restore.runtime.cpu.cells import around, blocks_of, cell, cells_of, to_blocks, to_cells, widened
from mjpeg_restore.runtime.cpu.contrast import Contrast
from mjpeg_restore.runtime.cpu.drift import DRIFTING, Drift, lag_for, lowest_step, trust
from mjpeg_restore.runtime.cpu.history import BELIEVED
from mjpeg_restore.runtime.cpu.light import brighten, brightened, change_of_light
from mjpeg_restore.runtime.cpu.noise_limits import Limits, is_coarse
from mjpeg_restore.runtime.cpu.state import LEAST, LONGEST, ComponentState, dithered, doubted, observation, stray

REFRESH = 256
"""Frames after which a cell that stays still is computed again."""
MOVED = 0.5
"""Share below which a block has changed; above it, noise alone may have carried it too far."""

OFTEN = 50
"""Frames that tell how often noise carries a cell too far: what they count fades by a factor of e in so many."""
AGAIN = 1.6
"""Where that is more, as after two times in half of those frames, the noise is stronger than elsewhere. What is kept
strays there, and is computed each time."""

_MIXED = 96
"""Frames after which so little is left of a frame in a mean that means leave as much open anyway: what a cell showed
before it changed does not matter any more."""
_SETTLED = 2
"""Frames for which a cell had agreed, in which a block that is very far (`Limits.gone`) has certainly moved."""
_MOSTLY = 0.5
"""Share of a picture's cells that have not changed, from which on most of it stands still."""
_NEARLY_ALL = 0.7
"""Share of a picture's cells: where more have changed, the others, which happen to be alike, have changed as well."""
_FEW = 2
"""Of a cell and its eight neighbours so many may disagree by chance, where steps are fine."""
_CHANCE = 0.02
"""Share of a picture's cells, at most, that do so by chance."""
_STRAYED, _LEAST_STEP = 0.3, 12
"""Squared steps, of so many grey levels at least, that the means of a block may move before the network is to see them.
Where steps are fine, what is kept of a still scene is better than what the network makes of it."""
_NOISE_STRAYS = 4.0
"""Twice what noise makes of that on average: a mean of n frames has its n-th part, as had the one that was seen."""
_NOISE_HIDES = 2.0
"""Means that have moved by less than twice a frame's noise are not to be seen, either: what is seen anew is judged
anew, and what is forgotten then costs more than a mean that lags. The noise of a coefficient counts as far as the mean
of many frames is better by it than a single one: `dithered`."""
_HEARD = 0.15
"""Deviation of noise, in steps of DC coefficients, from which on what the network added to means fits them in another
light, too. Where they are hardly moved by noise, it depends on where in their cells they are."""
_UNSTEADY, _FOR = 0.01, 8
"""Change of luma's light from which on, for so many frames, frames deviate from their means by more than noise."""
_MOVES_CHROMA = 0.005
"""Change of luma's light from which on chroma, whose means are moved with it, counts as in another light, too."""
_GROWTH = 4
"""Times as many frames as before with which the network makes so much more of a mean that it pays to compute it: in
between, what is kept moves with the mean. With twice as many a still scene gains 0.01 dB more, and 0.03 where noise is
strong."""
_EVERY, _AT_FIRST = 32, (4, 16)
"""Frames from one to the next in which cells that agree are computed: what waits becomes better meanwhile, and is
computed less often. At the start of a stream, when all of it becomes better, they follow each other faster."""


class Activity:
    """Decides for one camera, frame by frame.

    Attributes:
        changes_of_light: of each component, whether the last frame was in another light than those before.
    """

    def __init__(self, grids: Sequence[tuple[int, int]]) -> None:
        """Begin with a picture of which nothing is known.

        Args:
            grids: blocks of each component, high and wide; luma's first.
        """
        side, shape = cell(grids), cells_of(grids)
        rows, columns = grids[0]
        self._sides = [(side[0] * down // rows, side[1] * across // columns) for down, across in grids]
        self._grids = tuple(grids)
        self._limits = [Limits() for _ in grids]
        self._doubted: list[NDArray[np.float16] | None] = [None] * len(grids)
        """Memory for the evidence of states that are doubted: fresh memory takes longer than the copy."""
        self._blocks = rows, columns
        self._contrast = Contrast()
        self._drift: Drift | None = None
        self._correlation: NDArray[np.floating] = np.zeros(shape)
        """Of the innovations in luma."""
        self._frames = np.zeros(shape)
        """Frames that each cell has agreed for: of such as the last one, finer ones count for more."""
        self._computed = np.zeros(shape)
        """The same when it was computed last."""
        self._frames_before = self._frames
        """Likewise, before the last frame."""
        self._alarms = np.zeros(shape)
        """How often noise carried each cell too far, of late: the gate did not doubt that it was as before."""
        self._disagreed = np.zeros(shape, np.bool_)
        """Cells that disagreed in the last frame, whether they had changed or not."""
        self._due = np.zeros(shape, np.bool_)
        """Cells to be computed in this frame because their states have become better than they were."""
        self._mixed = np.zeros(shape, np.uint8)
        """Frames to come until what each cell showed before it changed has no share in its means."""
        self._settled = np.zeros(shape, np.bool_)
        """Cells that had agreed for some frames before the last one."""
        self._changed = np.zeros(shape, np.bool_)
        """Cells that had changed in the last frame: that disagreed, and not by chance."""
        self._brighter = 0.0
        """Change of the last frame's light, as a share of it."""
        self._unsteady = 0
        """Frames to come in whose means there is another light, or more contrast."""
        self._stands = False
        """Whether most of the picture stood still in the last frame."""
        self._observation = 0.0
        """Evidence of the last frame."""
        self._seen = np.zeros((rows, columns, 64), np.int16)
        """Luma's means when the network saw them last."""
        self._shown = np.ones(shape, np.bool_)
        """Cells that it has seen in the last frame."""
        self._number = 0
        self.changes_of_light: tuple[bool, ...] = (False,) * len(grids)

    @property
    def noise(self) -> list[float]:
        """Variance of the sensor's noise in each component, as far as it is known, grey levels^2."""
        return [limits.noise for limits in self._limits]

    def choose(
        self,
        frame: Sequence[tuple[NDArray[np.int16], NDArray[np.uint16]]],
        states: Sequence[ComponentState],
    ) -> NDArray[np.bool_]:
        """The cells of a frame that the gate is to judge, `[cells_high, cells_wide]`: those that may need the network.

        Args:
            frame: coefficients and table of each component.
            states: of each component before the frame.
        """
        changed = np.zeros(self._frames.shape, np.bool_)
        for (coefficients, table), state, side, limits in zip(frame, states, self._sides, self._limits, strict=True):
            moved = limits.moved(coefficients, table, state, steady=self._unsteady == 0)
            changed |= to_cells(moved, side, changed.shape)
        changed = self._confirmed(changed, frame[0][1]) | self._drifts(*frame[0], states[0])
        fades, self._stands = self._fades(frame[0][1]), _share(changed) < 1 - _MOSTLY
        unsteady = fades or self._brighter > _UNSTEADY
        self._unsteady = _FOR if unsteady else max(0, self._unsteady - 1)
        if fades or _share(changed) > _NEARLY_ALL:
            changed[:] = True
        finer = self._count_anew(frame[0][1])
        self._settled = self._frames >= _SETTLED
        self._changed, self._frames_before = changed, self._frames
        self._frames = np.where(changed, 0, self._frames) + 1
        self._due = (self._grown(changed, at_once=finer) | self._strayed(*frame[0], states[0])) & ~changed
        return changed | self._due

    def lit(
        self, frame: Sequence[tuple[NDArray[np.int16], NDArray[np.uint16]]], states: Sequence[ComponentState]
    ) -> list[ComponentState]:
        """The states in the light of a frame, before it is chosen what is to be judged; see `light.py`.

        Args:
            frame: coefficients and table of each component.
            states: of each component before the frame.
        """
        change = change_of_light(frame, states, self.noise)
        self._brighter = abs(change.brighter)
        self.changes_of_light = (
            change.brighter != 0,
            *(abs(change.brighter) > _MOVES_CHROMA or tint != 0 for tint in change.tints),
        )
        if not change:
            return list(states)
        found = brightened(frame, states, self.noise, change)
        if change.brighter and self.noise[0] ** 0.5 >= _HEARD * frame[0][1][0]:
            brighten(self._seen, change, found[0].mean[..., 0] != states[0].mean[..., 0])
        return found

    def _strayed(
        self, coefficients: NDArray[np.int16], table: NDArray[np.uint16], state: ComponentState
    ) -> NDArray[np.bool_]:
        """The cells where luma's means have moved since the network saw them, farther than noise moves them."""
        shape, units = state.mean.shape[:2], np.maximum(table, _LEAST_STEP).astype(np.uint16)
        shown = np.ascontiguousarray(to_blocks(self._shown, self._sides[0], shape))
        distance = stray(coefficients, units, state, self._seen, shown)
        noise = self._limits[0].noise / np.square(units.astype(np.float64))  # of a frame
        heard = dithered(table, self._limits[0].noise)
        wandered = _NOISE_STRAYS * float(noise.sum()) / self._computed.clip(1, LONGEST)
        limit = _STRAYED + np.maximum(wandered, _NOISE_HIDES * float((noise * heard).sum()))
        return to_cells(distance > to_blocks(limit, self._sides[0], shape), self._sides[0], self._frames.shape)

    def _confirmed(self, disagree: NDArray[np.bool_], table: NDArray[np.uint16]) -> NDArray[np.bool_]:
        """The cells that disagree and do not do so by chance: those that are far, had others around them in this frame
        or any near them in the one before, or are beside such a cell.

        Noise carries single cells too far, now here and now there; what moves is more than that. But of what moves
        slowly coarse steps show no more, and where light changes slowly there are many such cells.
        """
        before, self._disagreed = self._disagreed, disagree
        if is_coarse(table):
            return disagree
        far = np.zeros(self._frames.shape, np.bool_)
        for limits, side in zip(self._limits, self._sides, strict=True):
            far |= to_cells(limits.far, side, self._frames.shape)
        bordered = np.zeros((disagree.shape[0] + 2, disagree.shape[1] + 2), np.float32)
        bordered[1:-1, 1:-1] = disagree
        together = 9 * around(bordered)[1:-1, 1:-1]
        confirmed = disagree & (far | widened(before) | (together > _FEW + 0.5))
        confirmed = disagree & widened(confirmed)
        return confirmed if _share(disagree & ~confirmed) < _CHANCE else disagree

    def _drifts(
        self, coefficients: NDArray[np.int16], table: NDArray[np.uint16], state: ComponentState
    ) -> NDArray[np.bool_]:
        """The cells in which luma drifts."""
        if not (lag := lag_for(table)):
            self._drift, self._correlation = None, np.zeros(self._frames.shape)
        else:
            self._drift = self._drift or Drift(self._blocks, self._spread)
            self._correlation = self._drift.follow(coefficients, table, state, lag)
        return self._correlation > DRIFTING

    def _fades(self, table: NDArray[np.uint16]) -> bool:
        """Whether luma has lost contrast, but for what has been covered, and a part that drifts."""
        luma, drifts = self._limits[0], self._correlation > DRIFTING
        shown = clear = np.zeros((1, 1), np.float32)
        if lag_for(table):  # where steps are fine each block shows by itself what it loses
            counts = ~luma.replaced
            if _share(drifts) < _NEARLY_ALL:
                counts &= ~to_blocks(drifts, self._sides[0], counts.shape)
            shown, clear = (np.where(counts, values, np.float32(0)) for values in luma.contrast)
        scatter = max(
            1 / 4, luma.noise / lowest_step(table) ** 2 + 1 / 12
        )  # between two cells, or across several of them
        return self._contrast.follow(shown, clear, scatter, lit=self.changes_of_light[0])

    def _spread(self, values: NDArray[np.float32]) -> NDArray[np.floating]:
        """Means over cells and some around them, of numbers of luma's blocks."""
        (high, wide), (down, across) = self._frames.shape, self._sides[0]
        padded = np.pad(values, [(0, high * down - len(values)), (0, wide * across - values.shape[1])], mode="edge")
        return around(around(padded.reshape(high, down, wide, across).mean(axis=(1, 3))))

    def doubt(self, states: Sequence[ComponentState]) -> list[ComponentState]:
        """The states as the frame that was chosen last is to see them: where it drifts, or has lost contrast, they have
        told less, and where it has certainly moved, or been covered, nothing.

        Args:
            states: of each component before the frame.

        Returns:
            States that are valid until it is called again.
        """
        held = trust(self._correlation) * self._contrast.trust
        luma = self._limits[0].replaced
        covered = to_cells(luma, self._sides[0], self._frames.shape)  # chroma has few outlines of its own
        found = list(states)
        for index, (state, side, limits) in enumerate(zip(states, self._sides, self._limits, strict=True)):
            shape = state.mean.shape[:2]
            without = luma if index == 0 else to_blocks(covered, side, shape)
            if limits.begun is not None:
                without = without | limits.begun
            if self._stands:
                without = without | limits.appeared | (limits.gone & to_blocks(self._settled, side, shape))
            share = np.where(without, 0, to_blocks(held, side, shape))
            if (share < 1).any():
                found[index] = doubted(state, share, self._doubted[index])
                self._doubted[index] = found[index].evidence
        return found

    def learn(self, believed: Sequence[NDArray[np.float32]]) -> NDArray[np.bool_]:
        """Learn how far noise carries blocks, and that cells which it carried too far have not changed.

        Args:
            believed: of each component, `[blocks_high, blocks_wide]`: the share of each block's past that the gate kept
                in the frame; 0 where it has not judged it.

        Returns:
            Of the cells that were chosen those that need the network. The gate does not doubt that the others are as
            they were, and noise seldom carries them too far.
        """
        moved, doubted = np.zeros((2, *self._frames.shape), np.bool_)
        for limits, shares, side in zip(self._limits, believed, self._sides, strict=True):
            steady = ~to_blocks(self._correlation > DRIFTING, side, shares.shape)
            limits.learn((shares > BELIEVED) & steady, steady)
            moved |= to_cells(shares < MOVED, side, moved.shape)
            doubted |= to_cells(shares <= BELIEVED, side, moved.shape)
        self._mixed -= self._mixed > 0
        self._mixed[self._changed & moved & (self._frames_before > 0)] = _MIXED
        unchanged = self._changed & ~moved
        self._frames[unchanged] = self._frames_before[unchanged] + 1
        self._alarms = (1 - 1 / OFTEN) * self._alarms + (self._changed & ~doubted)
        computed = self._changed & (doubted | (self._alarms > AGAIN)) | self._due
        self._computed[computed] = self._frames[computed]
        self._shown = computed
        return computed

    def mixed(self) -> list[NDArray[np.bool_]]:
        """Of each component the blocks, `[blocks_high, blocks_wide]`, that showed something else not long ago."""
        return blocks_of(self._mixed > 0, self._grids)

    def _count_anew(self, table: NDArray[np.uint16]) -> bool:
        """Count earlier frames as so many of a new table; the result is whether that one is finer."""
        new, old = float(observation(table).mean()), self._observation
        self._observation = new
        if old and new != old:
            self._frames *= old / new
            self._computed *= old / new
        return new > old > 0

    def _grown(self, changed: NDArray[np.bool_], *, at_once: bool) -> NDArray[np.bool_]:
        """Cells that agree, and whose states have become better than they were, if it is their turn."""
        known = np.maximum(self._computed, LEAST)
        growth = np.where(known < LONGEST, self._frames / (_GROWTH * known), (self._frames - known) / REFRESH)
        growth[changed] = 0
        self._number += 1
        in_turn = at_once or self._number % _EVERY == 0 or self._number in _AT_FIRST
        return (growth >= 1) & in_turn


def _share(cells: NDArray[np.bool_]) -> float:
    """The share of cells that are True."""
    return np.count_nonzero(cells) / cells.size
