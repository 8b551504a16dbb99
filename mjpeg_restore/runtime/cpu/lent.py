"""Memory for pictures of one size, kept for the next one."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Generic, Protocol, TypeVar

from mjpeg_restore.runtime.cpu.part_sizes import Grids

_FEW = 4
"""As many pictures are computed at the same time, at most: so much memory is kept while no thread has it."""
_MOST_IDLE = 500_000_000
"""Bytes up to which the memory of more pictures is kept, for streams of several sizes."""
_LONG = 100
"""Pictures after which memory is given up that none of them needed: that of a size which has gone."""


class HasBytes(Protocol):
    """Memory of so many bytes."""

    @property
    def nbytes(self) -> int:
        """Bytes of its arrays."""
        ...


Memory = TypeVar("Memory", bound=HasBytes)


class Lent(Generic[Memory]):
    """Memory for pictures, lent to one thread at a time each. Safe from several threads."""

    def __init__(self, new: Callable[[Grids], Memory]) -> None:
        """Begin without any; `new` makes it for pictures whose components have so many blocks."""
        self._new = new
        self._idle: list[tuple[Grids, Memory, int]] = []  # that used last comes last
        self._pictures = 0
        self._lock = threading.Lock()

    def nbytes(self, grids: Grids) -> int:
        """Bytes for a picture of these grids. The memory is asked for, but not used: more than there is has no end."""
        try:
            return self._new(grids).nbytes
        except MemoryError:
            return sys.maxsize

    @contextmanager
    def __call__(self, grids: Grids) -> Generator[Memory]:
        """Lend memory for a picture of these grids, whatever it holds. After an exception it is not lent again."""
        with self._lock:
            self._pictures += 1
            places = [place for place, (own, *_) in enumerate(self._idle) if own == grids]
            memory = self._idle.pop(places[-1])[1] if places else None
        if memory is None:
            memory = self._new(grids)
        yield memory
        with self._lock:
            self._idle.append((grids, memory, self._pictures))
            self._idle = [one for one in self._idle if self._pictures - one[2] < _LONG]
            while len(self._idle) > _FEW and sum(known.nbytes for _, known, _ in self._idle) > _MOST_IDLE:
                del self._idle[0]
