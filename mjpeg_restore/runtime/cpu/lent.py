"""Memory for pictures of one size, kept for the next one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import Generic, Protocol, TypeVar

from mjpeg_restore.runtime.cpu.part_sizes import Grids

_FEW = 4
"""Pictures whose memory is kept while no thread has it, at least: as many as are computed at the same time."""
_MOST_IDLE = 500_000_000
"""Bytes that are kept of more of them."""


class HasBytes(Protocol):
    """Memory of so many bytes."""

    @property
    def nbytes(self) -> int:
        """Bytes of all of its arrays."""
        ...


Memory = TypeVar("Memory", bound=HasBytes)


class Lent(Generic[Memory]):
    """Memory for pictures, lent to one thread at a time each. Safe from several threads."""

    def __init__(self, new: Callable[[Grids], Sequence[Memory]]) -> None:
        """Begin without any; `new` makes it for pictures whose components have so many blocks."""
        self._new = new
        self._idle: list[tuple[Grids, Sequence[Memory]]] = []  # that used last comes last
        self._lock = threading.Lock()

    @contextmanager
    def __call__(self, grids: Grids) -> Generator[Sequence[Memory]]:
        """Lend memory for pictures of these grids, of which it is not known what it holds. After an exception it is not
        used again."""
        with self._lock:
            places = [place for place, (own, _) in enumerate(self._idle) if own == grids]
            memory = self._idle.pop(places[-1])[1] if places else None
        if memory is None:
            memory = self._new(grids)
        yield memory
        with self._lock:
            self._idle.append((grids, memory))
            while len(self._idle) > _FEW and sum(one.nbytes for _, known in self._idle for one in known) > _MOST_IDLE:
                del self._idle[0]
