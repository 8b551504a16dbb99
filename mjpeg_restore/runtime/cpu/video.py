"""One camera's use of a network with a state, in the host's memory: what has not changed is not computed again.

A frame is restored in three steps. In the order of the frames it is compared with the state, and taken into it: where
it does not agree, as far as the gate believes the past. Then the network runs, where the gate has doubts, for several
frames at the same time. In order again the frame is restored, and its correction goes into the state. A frame that
comes alone is divided instead, for as many threads.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from functools import partial
from math import inf, prod

import numpy as np
from numpy.typing import NDArray

from mjpeg_restore.errors import Hint
from mjpeg_restore.runtime.base import Inputs, Planes, memory_errors, picture_size
from mjpeg_restore.runtime.cpu import state as on_blocks
from mjpeg_restore.runtime.cpu.activity import Activity
from mjpeg_restore.runtime.cpu.areas import Area, Fit, areas, lengths
from mjpeg_restore.runtime.cpu.cells import cell, cells_of
from mjpeg_restore.runtime.cpu.frame_parts import CellsOfFrame, Computed, PartOfFrame, Scene, beyond
from mjpeg_restore.runtime.cpu.history import History, before_finer, believed
from mjpeg_restore.runtime.cpu.part_sizes import Grids, PartSizes
from mjpeg_restore.runtime.cpu.parts import Frame, Parts, Sparse
from mjpeg_restore.runtime.cpu.rectangles import cover, filled
from mjpeg_restore.runtime.cpu.state import ComponentState, restore_still, take_still
from mjpeg_restore.runtime.cpu.team import ALONE, Team
from mjpeg_restore.runtime.cpu.turns import Turns, Work

ALL = 0.9
"""Share of the judged cells that need the network, from which on it is given what the gate was: to find other parts of
a frame, and sizes for them, takes longer than the rest of these."""
_RUNNING = Hint("try fewer {threads}", threads=None)
LEAST_PART = 300
"""Blocks of luma from which on it pays to compute a part of a frame by itself."""


class VideoSession:
    """A camera's frames, begun and finished one after the other: a `Camera`."""

    def __init__(self, parts: Parts, pool: Executor, most: int, memory: float = inf) -> None:
        """Begin without a past.

        Args:
            parts: of a network whose graph has a state.
            pool: its threads compute.
            most: blocks of luma that the network may be given at a time.
            memory: bytes that a picture may need whose cells are computed natively; larger ones are computed in parts.
        """
        self._parts, self._pool, self._most, self._memory = parts, pool, most, memory
        self._team = Team(pool, parts.at_once)
        self._sizes = PartSizes(parts.prepare, pool) if parts.prepare else None
        # Where frames are computed one by one, a graph may need what the frame before it has left when it was finished.
        self._turns: Turns[Planes] = Turns(pool, parts.at_once, computed=int(parts.at_once > 1))
        self._states: list[ComponentState] = []
        self._unneeded: list[Sequence[ComponentState]] = []
        """States that no frame refers to any more."""
        self._histories: Sequence[History] = []
        self._activity: Activity | None = None
        self._scene = object()
        """Another one for frames that do not continue those before."""
        self._shown: tuple[object, Planes] = None, ()
        """What was shown of the last frame that tells of those to come, and the scene that it is of."""
        self._frames = 0
        self._needed = 0.0
        """Share of the judged cells that needed the network, when part of a frame was judged last."""

    def submit(
        self, inputs: Inputs, *, past: bool, evidence: bool, begun: Callable[[float], None] | None = None
    ) -> Future[Planes]:
        """Begin to restore the next frame; see `Camera`."""
        frame = list(zip(inputs[::2], inputs[1::2], strict=True))
        return self._turns.submit(self._restored(frame, past=past, evidence=evidence, begun=begun))

    def close(self) -> None:
        """Nothing is to be freed, and frames under way may be finished later."""

    def _restored(
        self, frame: Frame, *, past: bool, evidence: bool, begun: Callable[[float], None] | None
    ) -> Work[Planes]:
        size = picture_size([coefficients for coefficients, _ in frame])
        with memory_errors(f"a picture of {size} cannot be restored", _RUNNING):
            return (yield from self._steps(frame, past=past, evidence=evidence, begun=begun))

    def _steps(
        self, frame: Frame, *, past: bool, evidence: bool, begun: Callable[[float], None] | None
    ) -> Work[Planes]:
        grids = tuple(coefficients.shape[:2] for coefficients, _ in frame)
        continues = past and _grids(self._states) == grids
        if not continues:
            self._scene = object()
            self._states = [ComponentState.empty(*grid) for grid in grids]
            self._activity, self._histories, self._frames = None, [History() for _ in grids], 0
        in_scene, earlier = self._scene, self._histories
        tables = [table for _, table in frame]
        before = [before_finer(*one) for one in zip(self._states, earlier, tables, strict=True)]
        after, last = self._following(before), self._states
        activity = self._learning(grids) if evidence and on_blocks.native else None
        cells = np.ones(cells_of(grids), np.bool_)
        if activity:
            before = activity.lit(frame, before)
            cells = activity.choose(frame, before)
            before = activity.doubt(before)

        scene = Scene(frame, grids, before, after, earlier, is_alone=not (past or evidence))
        judged = self._judging(cells, scene)
        self._team([part.take for part in judged])
        still = beyond(judged, grids)
        for component, known, found, agrees in zip(frame, before, after, still, strict=True):
            if agrees.any():
                take_still(*component, known, agrees, found, self._frames)
        of_graph = None if activity else next((part.histories for part in judged), None)
        needed = cells
        if activity:
            taken = zip(before, after, tables, still, strict=True)
            kept = [believed(one.evidence, now.evidence, table, ~agrees) for one, now, table, agrees in taken]
            needed = activity.learn(kept)
            for state, changed in zip(after, activity.mixed(), strict=True):
                state.changed = changed
        cells, computed = self._computing(cells, needed, judged, scene)
        if begun:
            begun(float(cells.mean()))
        noise = activity.noise if activity else [history.noise for history in earlier]
        changes = activity.changes_of_light if activity else [False] * len(frame)
        histories = of_graph or [
            history.following(table, variance, lit=lit)
            for history, table, variance, lit in zip(earlier, tables, noise, changes, strict=True)
        ]
        if evidence:
            self._states, self._histories, self._frames = after, histories, self._frames + 1
        number = self._frames
        yield
        self._team([part.run for part in computed])
        yield
        if not evidence:
            for state in after:
                state.correction = state.correction.copy()
        planes = tuple(np.empty((8 * high, 8 * wide), np.uint8) for high, wide in grids)
        self._team([partial(part.restore, planes, histories) for part in computed])
        still = beyond(computed, grids)
        for index, (component, agrees, history) in enumerate(zip(frame, still, histories, strict=True)):
            if agrees.any():
                known = before[index], after[index]
                told = history.noise, history.mean_tells
                scene_shown, planes_before = self._shown
                shown = planes_before[index] if scene_shown is in_scene and not changes[index] else None
                restore_still(*component, *known, agrees, planes[index], *told, number, shown)
        if evidence:
            self._shown = in_scene, planes
        self._unneeded.append(last if evidence else after)
        return planes

    def _following(self, before: Sequence[ComponentState]) -> list[ComponentState]:
        """States after these, which are not filled yet."""
        while self._unneeded:
            unneeded = self._unneeded.pop()
            if _grids(unneeded) == _grids(before):
                return [known.following(memory) for known, memory in zip(before, unneeded, strict=True)]
        return [known.following() for known in before]

    def _judging(self, cells: NDArray[np.bool_], scene: Scene) -> Sequence[Computed]:
        """What the gate judges of a frame, if these cells are to be."""
        if model := self._sparse(scene.grids):
            return self._natively(model, cells, scene)[1]
        return self._rectangles(cells, scene, network=self._alike)

    def _computing(
        self, cells: NDArray[np.bool_], needed: NDArray[np.bool_], judged: Sequence[Computed], scene: Scene
    ) -> tuple[NDArray[np.bool_], Sequence[Computed]]:
        """What the network computes.

        Args:
            cells: those that were to be judged.
            needed: those of them that need the network.
            judged: what the gate has judged.
            scene: of the frame.

        Returns:
            The cells that are computed, and the parts that they are in.
        """
        if model := self._sparse(scene.grids):
            return self._natively(model, needed, scene)
        share, alike = needed.sum() / max(1, cells.sum()), self._alike
        if cells.any() and not cells.all():
            self._needed = share
        if (alike and share > ALL) or not self._parts.divides:
            return cells, judged
        return needed, self._rectangles(needed, scene, network=True)

    def _sparse(self, grids: Grids) -> Sparse | None:
        """What computes cells of such pictures natively: it needs memory for the features of all of a picture."""
        model = self._parts.sparse
        return model if model and model.nbytes(grids) <= self._memory else None

    def _natively(
        self, model: Sparse, cells: NDArray[np.bool_], scene: Scene
    ) -> tuple[NDArray[np.bool_], Sequence[Computed]]:
        """Cells and those between them, and what computes them.

        For a frame that comes alone as many threads work as pictures are computed at once, if it pays.
        """
        cells = filled(cells, *lengths(scene.grids))
        threads = min(self._team.size, int(cells.sum()) * prod(cell(scene.grids)) // LEAST_PART)
        team = Team(self._pool, threads) if threads > 1 and self._turns.is_alone else ALONE
        return cells, [CellsOfFrame(model, cells, scene, team)] if cells.any() else []

    @property
    def _alike(self) -> bool:
        """Whether the network is to be given what the gate is."""
        return not self._parts.divides or self._needed > ALL

    def _rectangles(self, cells: NDArray[np.bool_], scene: Scene, *, network: bool) -> list[PartOfFrame]:
        """Parts that have the cells, for the network or for the gate alone."""
        sizes = None if scene.is_alone else self._sizes  # for the size of a picture by itself nothing is prepared
        fit = partial(sizes.fit if network else sizes.near, grids=scene.grids) if sizes else None
        return [PartOfFrame(self._parts.part(), area, scene) for area in self._areas(cells, scene.grids, fit)]

    def _learning(self, grids: Grids) -> Activity:
        """What is known of the stream's noise by now."""
        if self._activity is None:
            self._activity = Activity(grids)
        return self._activity

    def _areas(self, cells: NDArray[np.bool_], grids: Grids, fit: Fit | None) -> list[Area]:
        """Areas that have all of the cells; of a frame that comes alone as many as are computed at once, if it pays."""
        rectangles = cover(cells, *lengths(grids))
        most, at_once = self._most, self._parts.at_once
        if at_once > 1 and self._turns.is_alone:
            together = sum(area.size[0] * area.size[1] for area in areas(rectangles, grids, most))
            share = -(-together // at_once)
            most = min(most, max(LEAST_PART, share + share // 5))
        return areas(rectangles, grids, most, fit)


def _grids(states: Sequence[ComponentState]) -> Grids:
    """Blocks of each component, high and wide."""
    return tuple(known.mean.shape[:2] for known in states)
