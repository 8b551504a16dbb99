"""One camera's use of a network with a state, in the host's memory: what has not changed is not computed again."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from contextlib import suppress
from functools import lru_cache
from itertools import zip_longest
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mjpeg_restore.runtime.base import Inputs, Planes
from mjpeg_restore.runtime.cpu import state as on_blocks
from mjpeg_restore.runtime.cpu.activity import Activity, cell
from mjpeg_restore.runtime.cpu.part_sizes import Grids, PartSizes, Prepares, Size, rounded, unit
from mjpeg_restore.runtime.cpu.rectangles import Rectangle, cover
from mjpeg_restore.runtime.cpu.state import ComponentState, keep

MARGIN = 2
"""Blocks of luma around a rectangle that are computed and not kept, at least, or an MCU if that is more. The network's
reach is larger; but what lies beyond changes one sample in thousands, by one grey level."""

LEAST_PART = 300
"""Blocks of luma from which on it pays to compute a part of a frame by itself."""

Frame = list[tuple[NDArray[np.int16], NDArray[np.uint16]]]
"""Coefficients and table of each component."""


class VideoSession:
    """A camera's frames, restored one after the other: a `Camera`.

    Attributes:
        computed: share of the last frame that the network computed, 0..1, without margins.
    """

    def __init__(
        self,
        run: Callable[[Inputs], Planes],
        pool: Executor,
        most: int,
        network: Prepares | None = None,
    ) -> None:
        """Begin without a past.

        Args:
            run: a network whose graph has a state; computes a frame or a part of one.
            pool: its threads compute.
            most: blocks of luma that the network may be given at a time.
            network: what compiles it for the sizes of parts; None if that is not needed, and one is computed at a time.
        """
        self._run, self._most = run, most
        self._sizes = PartSizes(network.prepare, pool) if network else None
        self._pool, self._at_once = pool, network.at_once if network else 1
        self._turns = _Turns(pool)
        self._states: list[ComponentState] = []
        self._activity: Activity | None = None
        self.computed = 1.0

    def submit(self, inputs: Inputs, *, past: bool, evidence: bool) -> Future[Planes]:
        """Begin to restore the next frame; see `Camera`."""
        frame = list(zip(inputs[::2], inputs[1::2], strict=True))
        return self._turns.submit(lambda: self._next(frame, past=past, evidence=evidence))

    def close(self) -> None:
        """Nothing is to be freed, and frames under way may be finished later."""

    def _next(self, frame: Frame, *, past: bool, evidence: bool) -> Planes:
        shapes = [coefficients.shape for coefficients, _ in frame]
        if not past or [known.mean.shape for known in self._states] != shapes:
            self._states = [ComponentState.empty(high, wide) for high, wide, _ in shapes]
            self._activity = None
        if not evidence:
            kept = self._states
            self._states = [ComponentState(one.mean.copy(), one.evidence.copy(), one.correction.copy()) for one in kept]
            try:
                return self._whole(frame, alone=not past)
            finally:
                self._states = kept
        if on_blocks.native is None:
            return self._whole(frame)
        if self._activity is None:
            self._activity = Activity([(high, wide) for high, wide, _ in shapes])
        cells = self._activity.choose(frame, self._states)
        believed = [np.zeros(coefficients.shape[:2], np.float32) for coefficients, _ in frame]
        planes = self._parts(frame, cells, believed)
        self._activity.learn(believed)
        return planes

    def _whole(self, frame: Frame, *, alone: bool = False) -> Planes:
        grids = [coefficients.shape[:2] for coefficients, _ in frame]
        high, wide = (-(-length // blocks) for length, blocks in zip(grids[0], cell(grids), strict=True))
        return self._parts(frame, np.ones((high, wide), np.bool_), alone=alone)

    def _parts(
        self,
        frame: Frame,
        cells: NDArray[np.bool_],
        believed: Sequence[NDArray[np.float32]] = (),
        *,
        alone: bool = False,
    ) -> Planes:
        """Restore a frame, with the network where the cells say so.

        Args:
            frame: the frame.
            cells: those that need the network.
            believed: of each component, filled with the share of its past that the gate kept of each block.
            alone: it is a picture by itself, for whose size nothing is prepared.
        """
        self.computed = float(cells.mean())
        grids = [coefficients.shape[:2] for coefficients, _ in frame]
        planes = tuple(np.empty((8 * high, 8 * wide), np.uint8) for high, wide in grids)
        agrees = [np.ones(grid, np.bool_) for grid in grids]
        areas = self._areas(cells, tuple(grids), None if alone else self._sizes)
        # The network sees the state before the frame, in its margins too: nothing is changed before all has been cut.
        for area, restored in zip(areas, self._all_restored(frame, areas), strict=True):
            parts = [(restored[index], *restored[len(planes) + 3 * index :][:3]) for index in range(len(planes))]
            for index, (plane, *after) in enumerate(parts):
                inner, cut = area.inner[index], area.cut[index]
                planes[index][_samples(inner)] = plane[_samples(cut)]
                if believed:
                    believed[index][inner] = _kept(self._states[index].evidence[inner], after[1][cut], frame[index][1])
                for known, found in zip(_arrays(self._states[index]), after, strict=True):
                    known[inner] = found[cut]
                agrees[index][inner] = False
        for (coefficients, table), known, same, plane in zip(frame, self._states, agrees, planes, strict=True):
            if same.any():
                keep(coefficients, table, known, same, plane)
        return planes

    def _areas(self, cells: NDArray[np.bool_], grids: Grids, sizes: PartSizes | None) -> list[_Area]:
        """Areas that have all of the cells: about as many blocks of each as are computed at once, if it pays."""
        blocks, (down, across) = cell(grids), _lengths(grids)
        rectangles = cover(cells, down, across)
        together = sum(down[one.bottom - one.top] * across[one.right - one.left] for one in rectangles)
        share = -(-together // self._at_once)
        most = min(self._most, max(LEAST_PART, share + share // 5)) if self._at_once > 1 else self._most

        def divided(one: Rectangle) -> list[_Area]:
            wanted = _outer(one, grids)
            high, wide = one.bottom - one.top, one.right - one.left
            if wanted[0] * wanted[1] <= most or high == wide == 1:
                return [_Area(one, grids, sizes.fit(wanted, grids) if sizes else wanted)]
            tall = high * blocks[0] >= wide * blocks[1]
            parts = one.cut_across(one.top + (high + 1) // 2) if tall else one.cut_down(one.left + (wide + 1) // 2)
            return [found for part in parts for found in divided(part)]

        return [area for one in rectangles for area in divided(one)]

    def _all_restored(self, frame: Frame, areas: Sequence[_Area]) -> list[Planes]:
        """What the network's graph gives for several areas."""
        if self._at_once == 1 or len(areas) < 2:
            return [self._restored(frame, area) for area in areas]
        first, *others = areas
        begun: list[Future[Planes]] = []
        with suppress(RuntimeError):  # the pool takes no more work: the rest is done here
            begun += (self._pool.submit(self._restored, frame, area) for area in others)
        results = [self._restored(frame, first)]
        for area, future in zip_longest(others, begun):
            # All threads of the pool may wait like this one: what none of them has begun is done here.
            if future is None or future.cancel():
                results.append(self._restored(frame, area))
            else:
                results.append(future.result())
        return results

    def _restored(self, frame: Frame, area: _Area) -> Planes:
        """What the network's graph gives for an area and its margin."""
        inputs: list[NDArray[Any]] = []
        for (coefficients, table), place in zip(frame, area.outer, strict=True):
            inputs += [np.ascontiguousarray(coefficients[place]), table]
        for known, place in zip(self._states, area.outer, strict=True):
            inputs += [np.ascontiguousarray(part[place]) for part in _arrays(known)]
        return self._run(inputs)


Place = tuple[slice, slice]
"""Rows and columns of a component's blocks."""


class _Area:
    """Some cells of a picture.

    Attributes:
        inner: their blocks, of each component.
        outer: their blocks and the margin around them, as far as the picture goes.
        cut: the place of `inner` in `outer`.
    """

    def __init__(self, cells: Rectangle, grids: Grids, size: Size) -> None:
        """Find the blocks of each component, which has so many, for a part of that size with its margin."""
        ends = ((cells.top, cells.bottom), (cells.left, cells.right))
        spans = [_spans(*pair, grids, axis, size[axis]) for axis, pair in enumerate(ends)]
        self.inner, self.outer, self.cut = (
            [(down[part], across[part]) for down, across in zip(*spans, strict=True)] for part in range(3)
        )


def _margin(grids: Grids) -> tuple[int, int]:
    """Blocks of luma around a part that are computed as well, down and across."""
    return max(MARGIN, unit(grids, 0)), max(MARGIN, unit(grids, 1))


@lru_cache(16)
def _lengths(grids: Grids) -> tuple[list[int], list[int]]:
    """Blocks of luma, down and across, that are computed for parts of 0, 1, 2... cells with their margins."""
    down, across = (
        [rounded(number * blocks + 2 * margin, grids, axis) for number in range(-(-grids[0][axis] // blocks) + 1)]
        for axis, (blocks, margin) in enumerate(zip(cell(grids), _margin(grids), strict=True))
    )
    return down, across


def _outer(cells: Rectangle, grids: Grids) -> Size:
    """Blocks of luma of some cells with their margin, as far as the picture goes."""
    ends = ((cells.top, cells.bottom), (cells.left, cells.right))
    high, wide = (
        min(last * blocks + margin, grid) - max(first * blocks - margin, 0)
        for (first, last), blocks, margin, grid in zip(ends, cell(grids), _margin(grids), grids[0], strict=True)
    )
    return high, wide


def _spans(first: int, last: int, grids: Grids, axis: int, size: int) -> list[tuple[slice, slice, slice]]:
    """`inner`, `outer` and `cut` of `_Area` along an axis, for each component."""
    luma, blocks = grids[0][axis], cell(grids)[axis]
    start, stop = first * blocks, min(last * blocks, luma)
    # Near an edge it reaches farther on the other side, to be of the same size as elsewhere.
    begin = min(max(start - _margin(grids)[axis], 0), luma - size)
    found: list[tuple[slice, slice, slice]] = []
    for grid in grids:
        inner, outer = (
            slice(a * grid[axis] // luma, b * grid[axis] // luma) for a, b in ((start, stop), (begin, begin + size))
        )
        found.append((inner, outer, slice(inner.start - outer.start, inner.stop - outer.start)))
    return found


def _samples(place: Place) -> Place:
    """The samples of blocks."""
    rows, columns = (slice(8 * one.start, 8 * one.stop) for one in place)
    return rows, columns


def _kept(before: NDArray[np.float16], after: NDArray[np.float16], table: NDArray[np.uint16]) -> NDArray[np.float32]:
    """The share of their past that was kept of blocks `[high, wide]`, by the evidence of their first coefficients.

    It is 0 where there was no past, or one so small beside the frame that the sum's rounding to a float16 hides it.
    """
    first = [0, 1, 8]
    one = on_blocks.observation(table)[first]
    known, now = (evidence[..., first].astype(np.float32) for evidence in (before, after))
    shares = np.where(known > one / 16, now - one, 0) / np.maximum(known, on_blocks.LEAST)
    return shares.mean(axis=2)


def _arrays(known: ComponentState) -> tuple[NDArray[Any], ...]:
    """What a graph gives of a state, in its order."""
    return known.mean, known.evidence, known.correction


class _Turns:
    """Calls one after the other, on the threads of a pool."""

    def __init__(self, pool: Executor) -> None:
        self._pool = pool
        self._lock = threading.Lock()
        self._waiting: deque[tuple[Callable[[], Planes], Future[Planes]]] = deque()
        self._at_work = False

    def submit(self, call: Callable[[], Planes]) -> Future[Planes]:
        """Begin a call once those before it have ended."""
        future: Future[Planes] = Future()
        with self._lock:
            self._waiting.append((call, future))
            begin, self._at_work = not self._at_work, True
        if begin:
            try:
                self._pool.submit(self._work).add_done_callback(self._forget_dropped)
            except RuntimeError:  # the pool takes no more work
                self._forget()
                raise
        return future

    def _forget_dropped(self, work: Future[None]) -> None:
        """Cancel what waits for work that the pool has dropped."""
        if work.cancelled():
            self._forget()

    def _forget(self) -> None:
        with self._lock:
            waiting, self._waiting, self._at_work = self._waiting, deque(), False
        for _, future in waiting:
            future.cancel()

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    self._at_work = False
                    return
                call, future = self._waiting.popleft()
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(call())
            except BaseException as error:  # raised where the result is asked for
                future.set_exception(error)
