"""Work of which a part is done in order, and another at the same time as that of others, on the threads of a pool."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Generator
from concurrent.futures import CancelledError, Executor, Future
from dataclasses import dataclass, field
from typing import Generic, TypeVar

Result = TypeVar("Result")

Work = Generator[None, None, Result]
"""Work in three steps: it yields twice, and returns its result. The first and the last step are done in the order of
the calls; the steps between at the same time as those of others."""


@dataclass(slots=True, eq=False)
class _Turn(Generic[Result]):
    work: Work[Result]
    future: Future[Result] = field(default_factory=lambda: Future())
    error: BaseException | None = None
    is_computed: bool = False

    def step(self) -> None:
        """Do the work up to its next `yield`."""
        try:
            next(self.work)
        except BaseException as error:  # raised where the result is asked for
            self.error = error

    def finish(self) -> None:
        """Do the last step, and give the result to whoever waits for it."""
        if self.error is None:
            try:
                next(self.work)
            except StopIteration as end:
                self.future.set_result(end.value)
                return
            except BaseException as error:
                self.error = error
        self.future.set_exception(self.error)


class Turns(Generic[Result]):
    """Does work in its turn. No thread ever waits for another one. Safe from several threads."""

    def __init__(self, pool: Executor, most: int, computed: int = 0) -> None:
        """Begin without any.

        Args:
            pool: its threads do the work.
            most: work that is under way at the same time.
            computed: how much more may be under way that has done its second step, and waits for its turn to finish.
        """
        self._pool, self._most, self._computed = pool, most, computed
        self._lock = threading.Lock()
        self._waiting: deque[_Turn[Result]] = deque()
        self._under_way: deque[_Turn[Result]] = deque()
        self._is_beginning = self._is_finishing = False

    @property
    def is_alone(self) -> bool:
        """Whether one at most is under way, and none waits."""
        with self._lock:
            return len(self._under_way) < 2 and not self._waiting

    def submit(self, work: Work[Result]) -> Future[Result]:
        """Begin work when that before it has done its first step; what is cancelled until then is left out.

        Raises:
            RuntimeError: the pool takes no more work.
        """
        turn = _Turn(work)
        with self._lock:
            self._waiting.append(turn)
            begin = self._may_begin()
        if begin:
            try:
                self._hand_over()
            except RuntimeError:
                self._forget()
                raise
        return turn.future

    def _may_begin(self) -> bool:
        """Whether the next one is to be begun now, by whoever asks; under the lock."""
        waits = min(self._computed, sum(turn.is_computed for turn in self._under_way))
        begin = bool(self._waiting) and not self._is_beginning and len(self._under_way) < self._most + waits
        self._is_beginning |= begin
        return begin

    def _hand_over(self) -> None:
        self._pool.submit(self._work).add_done_callback(self._forget_dropped)

    def _forget_dropped(self, work: Future[None]) -> None:
        """Cancel what waits for work that the pool has dropped, or, as one that is halted does, not done."""
        if work.cancelled() or isinstance(work.exception(), CancelledError):
            self._forget()

    def _forget(self) -> None:
        with self._lock:
            waiting, self._waiting, self._is_beginning = self._waiting, deque(), False
        for turn in waiting:
            turn.future.cancel()

    def _work(self) -> None:
        """Begin the next one, and hand over the one after it; until there is none to begin."""
        may_begin = True
        while may_begin:
            with self._lock:
                turn = self._next()
            if turn is None:
                return
            turn.step()
            with self._lock:
                self._is_beginning = False
            self._have_another_begun()
            if turn.error is None:
                turn.step()
            self._finish(turn)
            with self._lock:
                may_begin = self._may_begin()

    def _next(self) -> _Turn[Result] | None:
        """The next one that was not cancelled, as the last one under way; under the lock."""
        while self._waiting:
            turn = self._waiting.popleft()
            if turn.future.set_running_or_notify_cancel():
                self._under_way.append(turn)
                return turn
        self._is_beginning = False
        return None

    def _have_another_begun(self) -> None:
        """Hand the next one over, if it may begin. If the pool takes no more work, a thread that is at work does it."""
        with self._lock:
            if not self._may_begin():
                return
        try:
            self._hand_over()
        except RuntimeError:
            with self._lock:
                self._is_beginning = False

    def _finish(self, computed: _Turn[Result]) -> None:
        """Finish what is computed, and has none before it that is not."""
        with self._lock:
            computed.is_computed = True
            if self._is_finishing:
                return
            self._is_finishing = True
        while True:
            with self._lock:
                if not (self._under_way and self._under_way[0].is_computed):
                    self._is_finishing = False
                    return
                turn = self._under_way[0]
            turn.finish()
            with self._lock:
                self._under_way.popleft()
            self._have_another_begun()
