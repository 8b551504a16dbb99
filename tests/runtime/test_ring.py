"""A session over a ring of buffers, with a device that finishes when it is told to."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor

import numpy as np
import pytest

from mjpeg_restore.errors import RuntimeUnavailable
from mjpeg_restore.futures import INLINE
from mjpeg_restore.ordered import Halt, Workers
from mjpeg_restore.runtime import Inputs, Planes
from mjpeg_restore.runtime.base import Shapes
from mjpeg_restore.runtime.ring import SLOTS, RingSession

LIMIT = 30
"""Seconds after which a test gives up."""


class Device:
    """Makes slots, and doubles numbers."""

    def __init__(self, slots: int = SLOTS) -> None:
        self.slots = slots
        self.go = threading.Event()
        self.go.set()
        self.started: list[int] = []
        self.allocated: list[Shapes] = []
        self.alive = self.under_way = 0
        self.fails = False

    def allocate(self, shapes: Shapes) -> Sequence[Buffers]:
        assert not self.under_way
        self.alive = 0
        self.allocated.append(shapes)
        if self.fails:
            raise RuntimeUnavailable("out of memory")
        self.alive = self.slots
        return [Buffers(self) for _ in range(self.slots)]

    def release(self) -> None:
        assert not self.under_way
        self.alive = 0


class Buffers:
    def __init__(self, device: Device) -> None:
        self.device = device
        self.number: np.ndarray | None = None

    def start(self, inputs: Inputs, *, past: bool, evidence: bool) -> None:
        assert self.number is None, "a slot that is in use"
        if inputs[0].flat[0] < 0:
            raise RuntimeUnavailable("a negative number")
        self.device.under_way += 1
        self.device.started.append(int(inputs[0].flat[0]))
        self.number = inputs[0].copy()

    def finish(self) -> Planes:
        assert self.number is not None
        assert self.device.go.wait(LIMIT)
        doubled = 2 * self.number
        if doubled.flat[0] == 26:
            raise RuntimeUnavailable("thirteen")
        if doubled.flat[0] == 28:
            raise MemoryError("fourteen")
        self.settle()
        return (doubled,)

    def settle(self) -> None:
        if self.number is not None:
            assert self.device.go.wait(LIMIT)
            self.number = None
            self.device.under_way -= 1


def number(value: int, size: int = 1) -> Inputs:
    return [np.full(size, value)]


def test_pictures_are_started_in_order_and_as_many_as_there_are_slots() -> None:
    device = Device()
    device.go.clear()
    with ThreadPoolExecutor(8) as pool:
        session = RingSession(device.allocate, device.release, pool)
        submitting = ThreadPoolExecutor(1)
        futures = [submitting.submit(session.submit, number(n)) for n in range(10)]
        for future in futures[:SLOTS]:
            assert not future.result(LIMIT).done()
        time.sleep(0.05)  # a further one would be started now
        assert device.started == list(range(SLOTS))
        device.go.set()
        assert [future.result(LIMIT).result(LIMIT)[0].item() for future in futures] == [2 * n for n in range(10)]
        assert device.started == list(range(10))
        session.close()
        submitting.shutdown()
    assert device.alive == 0


def test_another_size_waits_for_the_pictures_under_way() -> None:
    device = Device()
    with ThreadPoolExecutor(4) as pool:
        session = RingSession(device.allocate, device.release, pool)
        futures = [session.submit(number(n, 1 + n // 4 % 2)) for n in range(20, 36)]
        assert [future.result(LIMIT)[0].flat[0] for future in futures] == [2 * n for n in range(20, 36)]
        session.close()
    assert device.allocated == [((2,),), ((1,),)] * 2


def test_a_slot_is_free_again_whatever_its_end_raises() -> None:
    device, busy, closed = Device(), threading.Event(), threading.Event()
    with ThreadPoolExecutor(1) as pool:
        pool.submit(busy.wait, LIMIT)
        session = RingSession(device.allocate, device.release, pool)
        assert session.submit(number(14)).cancel()
        busy.set()
        threading.Thread(target=lambda: (session.close(), closed.set()), daemon=True).start()
        assert closed.wait(LIMIT)
    assert device.alive == 0


def test_it_works_without_threads() -> None:
    device = Device()
    session = RingSession(device.allocate, device.release, INLINE)
    assert [session.submit(number(n)).result()[0].item() for n in range(9)] == [2 * n for n in range(9)]
    session.close()


def test_several_threads_may_submit() -> None:
    device = Device()
    with ThreadPoolExecutor(4) as pool, ThreadPoolExecutor(6) as callers:
        session = RingSession(device.allocate, device.release, pool)
        found = callers.map(lambda n: session.submit(number(n, 1 + n % 2)).result(LIMIT)[0].flat[0], range(100, 200))
        assert list(found) == [2 * n for n in range(100, 200)]
        session.close()
    assert device.under_way == 0


def test_a_picture_that_fails_spoils_no_other() -> None:
    device = Device()
    session = RingSession(device.allocate, device.release, INLINE)
    for _ in range(2 * SLOTS):
        with pytest.raises(RuntimeUnavailable, match="negative"):
            session.submit(number(-1))
        with pytest.raises(RuntimeUnavailable, match="thirteen"):
            session.submit(number(13)).result()
        assert session.submit(number(4)).result()[0].item() == 8
    device.fails = True
    with pytest.raises(RuntimeUnavailable, match="memory"):
        session.submit(number(1, 5))
    device.fails = False
    assert session.submit(number(1, 5)).result()[0].tolist() == [2] * 5
    session.close()


def test_a_pool_that_drops_its_work_leaves_no_slot_in_use() -> None:
    device, halt = Device(), Halt()
    device.go.clear()
    pool = Workers(1, "dropping", halt)
    session = RingSession(device.allocate, device.release, pool)
    futures = [session.submit(number(n)) for n in range(SLOTS)]
    halt.request()
    device.go.set()
    for future in futures[1:]:
        with pytest.raises(CancelledError):
            future.result(LIMIT)
    session.close()  # would wait for ever
    pool.shutdown()
    assert device.under_way == device.alive == 0
    with pytest.raises(RuntimeUnavailable, match="closed"):
        session.submit(number(1))


def test_a_pool_that_was_shut_down_leaves_no_slot_in_use() -> None:
    device, pool = Device(), ThreadPoolExecutor(1)
    session = RingSession(device.allocate, device.release, pool)
    assert session.submit(number(1)).result(LIMIT)[0].item() == 2
    pool.shutdown()
    with pytest.raises(RuntimeError, match="shutdown"):
        session.submit(number(2))
    session.close()
    assert device.under_way == 0


def test_threads_that_wait_for_their_own_pictures_have_several_under_way() -> None:
    device = Device()
    device.go.clear()
    session = RingSession(device.allocate, device.release, INLINE)
    with ThreadPoolExecutor(SLOTS) as callers:
        futures = [callers.submit(session.submit, number(n)) for n in range(SLOTS)]
        until = time.monotonic() + LIMIT
        while len(device.started) < SLOTS and time.monotonic() < until:
            time.sleep(0.01)
        assert len(device.started) == SLOTS
        device.go.set()
        assert sorted(future.result(LIMIT).result()[0].item() for future in futures) == [2 * n for n in range(SLOTS)]
    session.close()
    assert device.alive == 0
