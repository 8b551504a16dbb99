"""Sizes at which parts of a camera's pictures are computed.

A graph for one size is a quarter faster than one for any size, and takes as long to compile as ten pictures to restore.
So parts are computed at few sizes, each as large as the part or larger: what lies around it in the picture is computed
as well. A size is compiled once it would have saved that time, while frames are restored at those that there are, or by
the graph for any size where these are far too large.
"""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from contextlib import suppress

Size = tuple[int, int]
"""Blocks of luma, high and wide."""

Grids = tuple[tuple[int, int], ...]
"""Blocks of each component of a picture, high and wide; luma's first."""


STEPS = 16
"""Lengths, at most, between none and the picture's."""
COMPILATION = 40_000
"""Blocks that are computed in the time that a compilation takes."""
SLOWER = 0.3
"""Share of a part's blocks that are computed in the time by which a graph for any size is slower."""
FORGET = 1024
"""Parts after which what the sizes would have saved counts half."""
MOST = 12
"""Sizes at a time."""
MEMORY = 3
"""Blocks of these sizes together, in pictures."""
NEAR = 1.3
"""A size that is larger by this factor at most will do."""
FAR = 1.6
"""A size that is larger by this factor takes more time than a graph for any size."""


def unit(grids: Sequence[tuple[int, int]], axis: int) -> int:
    """Blocks of luma of which parts of a picture are made: whole blocks of each component, two at least."""
    return max(2, grids[0][axis] // min(grid[axis] for grid in grids))


def rounded(length: int, grids: Grids, axis: int) -> int:
    """The length, of those that there are, that holds so many blocks of luma along an axis."""
    whole, least = grids[0][axis], unit(grids, axis)
    step = -(-whole // (STEPS * least)) * least
    return min(-(-length // step) * step, whole)


class PartSizes:
    """The sizes of one camera. Safe from several threads."""

    def __init__(self, prepare: Callable[[Size, Grids], object], pool: Executor) -> None:
        """Begin without any.

        Args:
            prepare: compiles the graph for a size; what it returns is kept as long as the size is.
            pool: prepares while frames are restored.
        """
        self._prepare, self._pool = prepare, pool
        self._lock = threading.Lock()
        self._forget_all(())

    def _forget_all(self, grids: Grids) -> None:
        self._grids = grids
        self._ready: OrderedDict[Size, object] = OrderedDict()  # least recently used first
        self._lost: Counter[Size] = Counter()
        """What each size would have saved, in blocks."""
        self._begun: set[Size] = set()
        self._parts = 0

    def fit(self, wanted: Size, holds: Callable[[Size], bool], grids: Grids) -> Size:
        """The size at which a part is computed best now; it is prepared for what is wanted often.

        Args:
            wanted: the smallest that would do, of `rounded` lengths.
            holds: whether another one will do.
            grids: blocks of each component of the picture.
        """
        with self._lock:
            self._begin(wanted, grids)
            self._parts += 1
            if self._parts % FORGET == 0:
                self._lost = Counter({one: blocks // 2 for one, blocks in self._lost.items() if blocks > 1})
            best = self._best(wanted, holds)
            begin = (best is None or _blocks(best) > NEAR * _blocks(wanted)) and self._pays(wanted, best)
        if begin:
            with suppress(RuntimeError):  # the pool takes no more work: the stream ends
                self._pool.submit(self._add, wanted, grids)
        return best or wanted

    def near(self, wanted: Size, holds: Callable[[Size], bool], grids: Grids) -> Size:
        """The same for what takes so little time that nothing but the first size of all is prepared for it."""
        with self._lock:
            self._begin(wanted, grids)
            return self._best(wanted, holds) or wanted

    def _begin(self, wanted: Size, grids: Grids) -> None:
        """See that there is a size for pictures of these grids."""
        if grids != self._grids:
            self._forget_all(grids)
        if not self._ready:
            self._ready[wanted] = self._prepare(wanted, grids)

    def _best(self, wanted: Size, holds: Callable[[Size], bool]) -> Size | None:
        near = sorted((one for one in self._ready if _blocks(one) <= FAR * _blocks(wanted)), key=_blocks)
        best = next(filter(holds, near), None)
        if best:
            self._ready.move_to_end(best)
        return best

    def _pays(self, size: Size, instead: Size | None) -> bool:
        """Count what was lost with a part of a size that there is not; True once it is to be prepared."""
        blocks = _blocks(size)
        self._lost[size] += _blocks(instead) - blocks if instead else int(SLOWER * blocks)
        if self._lost[size] < COMPILATION or size in self._begun:
            return False
        self._begun.add(size)
        return True

    def _add(self, size: Size, grids: Grids) -> None:
        prepared = self._prepare(size, grids)
        with self._lock:
            if grids != self._grids:
                return
            self._begun.discard(size)
            self._lost.pop(size, None)
            self._ready[size] = prepared
            while len(self._ready) > MOST or sum(map(_blocks, self._ready)) > MEMORY * _blocks(grids[0]):
                self._ready.popitem(last=False)


def _blocks(size: Size) -> int:
    return size[0] * size[1]
