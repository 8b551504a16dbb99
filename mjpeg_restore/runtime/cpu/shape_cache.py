"""Compiled graphs by the shapes of their inputs.

A graph compiled for fixed shapes is an eighth faster than one for any shapes. But compilation takes as long as the
restoration of ten pictures, and each compiled graph keeps the memory of its features. So a session has graphs for a few
sizes: the first ones, and later frequent ones. A camera has one size, and so a graph of its own from the first picture
on. All other sizes share one graph for any shapes. What one session has compiled serves the others as well.
"""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Generic, TypeVar
from weakref import WeakValueDictionary

from mjpeg_restore.runtime.base import Shapes

Request = TypeVar("Request")
"""One run of a compiled graph at a time, such as OpenVINO's `InferRequest`."""

MAX_SIZES = 4
"""Sizes with a graph of their own at a time, for a session."""

MAX_MEMORY = 2
"""Memory of these graphs' features together, in units of that of the session's largest size so far."""

COMPILE_AFTER = 64
"""Pictures of a size after which it gets a graph: on the shared graph, so many cost the time of a compilation."""

MAX_COUNTED = 64
"""Sizes without a graph whose pictures are counted at a time."""

Compile = Callable[[Shapes | None], Callable[[], Request]]
"""Compiles a graph for some shapes, or for any if None. The result creates requests."""


class CompiledGraph(Generic[Request]):
    """A graph for some shapes, or for any: compiled by the first picture, with a request for each thread at work."""

    def __init__(self, shapes: Shapes | None) -> None:
        self._shapes = shapes
        self._lock = threading.Lock()
        self._create_request: Callable[[], Request] | None = None
        # Free requests. They are lent and not kept by threads: OpenVINO may abort the process if a thread that ends
        # frees one while the interpreter exits.
        self._free: list[Request] = []

    @property
    def is_compiled(self) -> bool:
        """Whether there has been a first picture."""
        return self._create_request is not None

    @contextmanager
    def request(self, compile: Compile[Request]) -> Generator[Request]:
        """Lend a request; no other thread has it meanwhile. After an exception it is not used again."""
        if self._create_request is None:
            with self._lock:
                self._create_request = self._create_request or compile(self._shapes)
        try:
            request = self._free.pop()
        except IndexError:
            request = self._create_request()
        yield request
        self._free.append(request)


class CompiledGraphs(Generic[Request]):
    """A network's compiled graphs; each for as long as a session keeps it. Safe from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._fixed: WeakValueDictionary[Shapes, CompiledGraph[Request]] = WeakValueDictionary()
        self.any = CompiledGraph[Request](None)
        """For any shapes."""

    def ready(self, shapes: Shapes) -> CompiledGraph[Request]:
        """The graph for these shapes alone, if somebody has had it compiled, else the one for any."""
        with self._lock:
            graph = self._fixed.get(shapes)
        return graph if graph and graph.is_compiled else self.any

    def fixed(self, shapes: Shapes) -> CompiledGraph[Request]:
        """The graph for these shapes alone."""
        with self._lock:
            graph = self._fixed.get(shapes)
            if graph is None:
                graph = self._fixed[shapes] = CompiledGraph(shapes)
            return graph


class ShapeCache(Generic[Request]):
    """The compiled graphs that a session uses. Safe from several threads.

    A picture whose size is compiled never waits for the compilation of another size.
    """

    def __init__(self, graphs: CompiledGraphs[Request]) -> None:
        """Begin without any of the network's graphs."""
        self._graphs = graphs
        self._lock = threading.Lock()
        self._fixed: OrderedDict[Shapes, CompiledGraph[Request]] = OrderedDict()  # least recently used first
        self._largest = 0  # blocks of luma
        self._counts: Counter[Shapes] = Counter()

    def graph_for(self, shapes: Shapes) -> CompiledGraph[Request]:
        """The graph for a picture whose inputs have these shapes."""
        with self._lock:
            self._largest = max(self._largest, _blocks(shapes))
            if shapes not in self._fixed:
                if not self._has_room(shapes) and not self._is_frequent(shapes):
                    return self._graphs.any
                while not self._has_room(shapes):
                    self._fixed.popitem(last=False)
                self._fixed[shapes] = self._graphs.fixed(shapes)
            self._fixed.move_to_end(shapes)
            return self._fixed[shapes]

    def _has_room(self, shapes: Shapes) -> bool:
        together = sum(map(_blocks, [*self._fixed, shapes]))
        return len(self._fixed) < MAX_SIZES and together <= MAX_MEMORY * self._largest

    def _is_frequent(self, shapes: Shapes) -> bool:
        """Count a picture without a graph of its own; True once its size is worth a compilation."""
        if shapes not in self._counts and len(self._counts) == MAX_COUNTED:
            self._counts.clear()
        self._counts[shapes] += 1
        if self._counts[shapes] < COMPILE_AFTER:
            return False
        del self._counts[shapes]
        return True


def _blocks(shapes: Shapes) -> int:
    high, wide, *_ = shapes[0]
    return high * wide
