"""A session over a ring of buffers: while a device computes one picture, the next goes up, the one before comes down.

A slot is what one picture under way needs: memory of the host that the device reads and writes, memory of the device,
and events. Starting a picture in a slot only enqueues work, in the order of the pictures. Its end is waited for on the
pool, where several pictures can be copied out at the same time.

A graph with a state finds it on the device, where the slots share it: pictures are computed one after the other.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from typing import Protocol

from mjpeg_restore.errors import RuntimeUnavailable
from mjpeg_restore.runtime.base import Inputs, Planes, Shapes

SLOTS = 3
"""Pictures under way at the same time: one goes up, one is computed, one comes down."""

CAPTURE_AFTER = 2 * SLOTS
"""Pictures of one size after which a device's work is captured as a CUDA graph: pictures of many sizes, as in a folder,
are not worth it."""

ALIGNMENT = 256
"""Of tensors in a block of memory, bytes: what an allocation of their own would have."""


class Slot(Protocol):
    """The buffers of one picture under way."""

    def start(self, inputs: Inputs, *, past: bool, evidence: bool) -> None:
        """Copy the inputs to memory that the device reads, and enqueue all work.

        The session calls it in the order of the pictures, one call at a time.

        Args:
            inputs: of the graph, without its state.
            past: whether the state, if there is one, is of this picture's scene; if not, it is cleared first.
            evidence: whether the state after the picture takes its place.
        """
        ...

    def finish(self) -> Planes:
        """Wait until the work is done, and copy its result, which the caller owns. May be called on any thread."""
        ...

    def settle(self) -> None:
        """Wait until the device works on nothing any more, where `start` or `finish` failed or `finish` was not called.

        It raises no error of the device's: after one that nothing helps, no work is under way either.
        """
        ...


class RingSession:
    """One camera's use of a network on a device with memory of its own: a `Session` or, with a state, a `Camera`."""

    def __init__(
        self, allocate: Callable[[Shapes], Sequence[Slot]], release: Callable[[], None], pool: Executor
    ) -> None:
        """Prepare a session, which allocates with its first picture.

        Args:
            allocate: makes the slots for inputs of these shapes, and frees those of the shapes before.
            release: frees all slots.
            pool: its threads wait for the device.
        """
        self._allocate, self._release, self._pool = allocate, release, pool
        self._order = threading.Lock()  # held while a picture is started
        self._changed = threading.Condition()  # a slot was freed
        self._shapes: Shapes | None = None
        self._slots: list[Slot] = []
        self._free: list[Slot] = []
        self._closed = False

    def submit(
        self,
        inputs: Inputs,
        *,
        past: bool = False,
        evidence: bool = False,
        begun: Callable[[float], None] | None = None,
    ) -> Future[Planes]:
        """Start a picture once a slot is free; see `Session` and `Camera`."""
        with self._order:
            if self._closed:
                raise RuntimeUnavailable("the session is closed")
            shapes = tuple(array.shape for array in inputs)
            if shapes != self._shapes:
                self._drain()
                self._shapes, self._slots = None, []
                self._slots = list(self._allocate(shapes))
                self._shapes, self._free = shapes, list(self._slots)
            slot = self._take()
            try:
                slot.start(inputs, past=past, evidence=evidence)
            except BaseException:
                self._settle(slot)
                raise
            if begun:
                begun(1.0)  # all of it: on a GPU, finding what need not be computed takes longer than it would save
        done = False

        def finish() -> Planes:
            nonlocal done
            planes = slot.finish()
            done = True
            return planes

        def free(_: object) -> None:
            if done:
                self._give_back(slot)
            else:  # it failed, or the pool dropped the task: the device may still work in the slot
                self._settle(slot)

        # Without the lock: a pool that waits on this very thread lets others start their pictures meanwhile.
        try:
            finished = self._pool.submit(finish)
        except BaseException:
            free(None)
            raise
        finished.add_done_callback(free)
        return finished

    def close(self) -> None:
        """Wait for the pictures under way, and free the memory. Nothing can be submitted any more."""
        with self._order:
            if not self._closed:
                self._closed = True
                self._drain()
                self._release()

    def _take(self) -> Slot:
        with self._changed:
            self._changed.wait_for(lambda: self._free)
            return self._free.pop(0)  # the one that was freed first

    def _settle(self, slot: Slot) -> None:
        """Give a slot back in which the device may still work, once it does not."""
        try:
            slot.settle()
        finally:
            self._give_back(slot)

    def _give_back(self, slot: Slot) -> None:
        with self._changed:
            self._free.append(slot)
            self._changed.notify_all()

    def _drain(self) -> None:
        """Wait until no picture is under way."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._free) == len(self._slots))
            self._free = []
