"""Which sizes of pictures a graph is compiled for.

Fixed shapes are an eighth faster than any shape, but to compile takes as long as it takes to restore ten pictures, and
each compiled graph keeps the memory that its features need. So a few sizes have a graph each: the first ones, and later
those that turn out to be frequent. All others share one for any shape.
"""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

Shapes = tuple[tuple[int, ...], ...]
"""Of a graph's inputs, luma's coefficients, `(blocks_high, blocks_wide, 64)`, first."""

Request = TypeVar("Request")
"""What one thread runs a compiled graph with."""

MOST_SIZES = 4
"""Sizes that have a graph of their own at a time."""

MOST_MEMORY = 2
"""What their features may take together, in units of what the largest size so far needs."""

WORTHWHILE = 64
"""Pictures of a size after which it takes another's place. So many of them lose what it costs to compile."""

WATCHED = 64
"""Sizes whose pictures are counted at a time."""

Compile = Callable[[Shapes | None], Callable[[], Request]]
"""Compiles a graph for some shapes, or, with None, for any. The result makes requests."""


class Compiled(Generic[Request]):
    """A graph for a size, or for any: compiled when the first picture comes, with requests for each thread."""

    def __init__(self, shapes: Shapes | None, compiling: threading.Lock) -> None:
        self._shapes, self._compiling = shapes, compiling
        self._make: Callable[[], Request] | None = None
        self._requests = threading.local()  # dies with this object, in every thread

    def request(self, compile: Compile[Request]) -> Request:
        """The calling thread's own request."""
        if not hasattr(self._requests, "own"):
            if self._make is None:
                with self._compiling:
                    self._make = self._make or compile(self._shapes)
            self._requests.own = self._make()
        return self._requests.own


class Sizes(Generic[Request]):
    """The compiled graphs of a network. May be used from several threads at once.

    A picture whose size is compiled never waits for the compilation of another's.
    """

    def __init__(self) -> None:
        self._choosing, self._compiling = threading.Lock(), threading.Lock()
        self._fixed: OrderedDict[Shapes, Compiled[Request]] = OrderedDict()  # the least recently used first
        self._any = Compiled[Request](None, self._compiling)
        self._largest = 0  # blocks of luma
        self._counts: Counter[Shapes] = Counter()

    def choose(self, shapes: Shapes) -> Compiled[Request]:
        """The graph for a picture with inputs of such shapes."""
        with self._choosing:
            self._largest = max(self._largest, _blocks(shapes))
            if shapes not in self._fixed:
                if not self._has_room(shapes) and not self._is_frequent(shapes):
                    return self._any
                while not self._has_room(shapes):
                    self._fixed.popitem(last=False)
                self._fixed[shapes] = Compiled(shapes, self._compiling)
            self._fixed.move_to_end(shapes)
            return self._fixed[shapes]

    def _has_room(self, shapes: Shapes) -> bool:
        together = sum(map(_blocks, [*self._fixed, shapes]))
        return len(self._fixed) < MOST_SIZES and together <= MOST_MEMORY * self._largest

    def _is_frequent(self, shapes: Shapes) -> bool:
        """Count a picture of a size without a graph of its own."""
        if shapes not in self._counts and len(self._counts) == WATCHED:
            self._counts.clear()
        self._counts[shapes] += 1
        if self._counts[shapes] < WORTHWHILE:
            return False
        del self._counts[shapes]
        return True


def _blocks(shapes: Shapes) -> int:
    high, wide, *_ = shapes[0]
    return high * wide
