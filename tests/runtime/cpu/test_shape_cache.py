"""Sizes with a compiled graph of their own."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from mjpeg_restore.runtime.base import Shapes
from mjpeg_restore.runtime.cpu.shape_cache import COMPILE_AFTER, MAX_COUNTED, MAX_SIZES, CompiledGraphs, ShapeCache


class Request:
    """A request of a graph compiled for `shapes`."""

    def __init__(self, shapes: Shapes | None) -> None:
        self.shapes = shapes


class Compiler:
    """Stands in for a runtime, and records the compiled shapes in order."""

    def __init__(self) -> None:
        self.compiled: list[Shapes | None] = []
        self.cache: ShapeCache[Request] = ShapeCache(CompiledGraphs())

    def __call__(self, shapes: Shapes | None) -> Callable[[], Request]:
        self.compiled.append(shapes)
        return lambda: Request(shapes)

    def request(self, shapes: Shapes) -> Request:
        with self.cache.graph_for(shapes).request(self) as request:
            return request


def shapes(high: int, wide: int) -> Shapes:
    return ((high, wide, 64), (64,))


def small(count: int) -> list[Shapes]:
    """A large size, and others that need little memory in comparison."""
    return [shapes(100, 100), *(shapes(10, 10 + n) for n in range(count - 1))]


def test_each_of_a_few_sizes_is_compiled_once() -> None:
    compiler, few = Compiler(), small(MAX_SIZES)
    for _ in range(3):
        assert [compiler.request(size).shapes for size in few] == few
    assert compiler.compiled == few


def test_further_rare_sizes_share_the_graph_for_any_shapes() -> None:
    compiler, sizes = Compiler(), small(MAX_SIZES + 5)
    found = [compiler.request(size).shapes for _ in range(COMPILE_AFTER - 1) for size in sizes]
    assert found == [*sizes[:MAX_SIZES], *[None] * 5] * (COMPILE_AFTER - 1)
    assert compiler.compiled == [*sizes[:MAX_SIZES], None]


def test_a_frequent_size_replaces_the_least_recently_used() -> None:
    compiler, (first, second, *others) = Compiler(), small(MAX_SIZES + 1)
    for size in (first, second, *others[:-1], first):
        compiler.request(size)
    found = [compiler.request(others[-1]).shapes for _ in range(COMPILE_AFTER + 1)]
    assert found == [*[None] * (COMPILE_AFTER - 1), others[-1], others[-1]]
    assert compiler.request(first).shapes == first
    assert compiler.request(second).shapes is None


def test_alternating_sizes_are_compiled_rarely() -> None:
    compiler, sizes, rounds = Compiler(), [shapes(100, 100 - n) for n in range(5)], 10 * COMPILE_AFTER
    uncompiled = sum(compiler.request(size).shapes is None for _ in range(rounds) for size in sizes)
    assert len(compiler.compiled) <= 2 + 1 + uncompiled / (COMPILE_AFTER - 1)


def test_large_sizes_are_limited_by_memory() -> None:
    compiler, sizes = Compiler(), [shapes(100, 100 - n) for n in range(3)]
    assert [compiler.request(size).shapes for size in sizes] == [*sizes[:2], None]
    for _ in range(COMPILE_AFTER):
        compiler.request(sizes[2])
    assert [compiler.request(size).shapes for size in sizes] == [None, *sizes[1:]]
    huge = shapes(1000, 1000)
    assert compiler.request(huge).shapes == huge  # the others need a fiftieth of its memory
    assert compiler.request(sizes[0]).shapes == sizes[0]


def test_counts_are_cleared_after_many_sizes() -> None:
    compiler, rare = Compiler(), shapes(5, 5)
    for size in [*small(MAX_SIZES), *[rare] * (COMPILE_AFTER - 1)]:
        compiler.request(size)
    for n in range(MAX_COUNTED):
        compiler.request(shapes(10, 10 + MAX_SIZES + n))
    found = [compiler.request(rare).shapes for _ in range(COMPILE_AFTER)]
    assert found == [*[None] * (COMPILE_AFTER - 1), rare]


def test_threads_at_work_have_requests_of_their_own_and_one_graph() -> None:
    compiler, meeting = Compiler(), threading.Barrier(4, timeout=30)

    def work(_: int) -> Request:
        with compiler.cache.graph_for(shapes(2, 3)).request(compiler) as request:
            meeting.wait()
            return request

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(work, range(4)))
    assert len({*map(id, found)}) == 4
    assert compiler.compiled == [shapes(2, 3)]


def test_requests_are_used_again_and_none_is_freed_by_the_thread_that_used_it() -> None:
    compiler = Compiler()
    with ThreadPoolExecutor(1) as pool:
        used = weakref.ref(pool.submit(compiler.request, shapes(2, 3)).result(30))
    gc.collect()
    assert used() is not None  # although the thread has ended
    assert compiler.request(shapes(2, 3)) is used()


def test_a_request_that_failed_is_not_used_again() -> None:
    compiler = Compiler()
    with pytest.raises(MemoryError), compiler.cache.graph_for(shapes(2, 3)).request(compiler) as failed:
        raise MemoryError
    assert compiler.request(shapes(2, 3)) is not failed


def test_a_compiled_size_does_not_wait_for_a_compilation() -> None:
    compiler, begun, finish = Compiler(), threading.Event(), threading.Event()
    known, new = small(2)
    compiler.request(known)

    def slow(size: Shapes | None) -> Callable[[], Request]:
        begun.set()
        assert finish.wait(30)
        return compiler(size)

    def wait_for_it() -> Request:
        with compiler.cache.graph_for(new).request(slow) as request:
            return request

    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(wait_for_it)
        assert begun.wait(30)
        assert compiler.request(known).shapes == known
        finish.set()
        assert other.result(30).shapes == new


def test_requests_of_a_dropped_graph_are_freed() -> None:
    compiler, (first, second, third) = Compiler(), [shapes(100, 100 - n) for n in range(3)]
    with ThreadPoolExecutor(1) as pool:  # keeps its thread alive
        alive = [weakref.ref(compiler.request(first)), weakref.ref(pool.submit(compiler.request, first).result(30))]
        assert all(request() is not None for request in alive)
        compiler.request(second)
        for _ in range(COMPILE_AFTER):
            compiler.request(third)
        gc.collect()
        assert not any(request() is not None for request in alive)


def test_a_failed_compilation_is_tried_again() -> None:
    compiler = Compiler()

    def fails(_: Shapes | None) -> Callable[[], Request]:
        raise MemoryError

    with pytest.raises(MemoryError), compiler.cache.graph_for(shapes(2, 3)).request(fails):
        pass
    assert compiler.request(shapes(2, 3)).shapes == shapes(2, 3)


# ---- several sessions ----


def test_each_camera_has_a_graph_for_its_own_size_from_its_first_picture_on() -> None:
    graphs: CompiledGraphs[Request] = CompiledGraphs()
    compiler = Compiler()
    cameras = [ShapeCache(graphs) for _ in range(3 * MAX_SIZES)]
    sizes = [shapes(100 + n, 100) for n in range(len(cameras))]
    for _ in range(2):
        for cache, size in zip(cameras, sizes, strict=True):
            with cache.graph_for(size).request(compiler) as request:
                assert request.shapes == size
    assert compiler.compiled == sizes


def test_cameras_of_one_size_share_its_graph() -> None:
    graphs: CompiledGraphs[Request] = CompiledGraphs()
    compiler, size = Compiler(), shapes(30, 40)
    cameras = [ShapeCache(graphs) for _ in range(5)]
    for cache in cameras:
        with cache.graph_for(size).request(compiler) as request:
            assert request.shapes == size
    assert compiler.compiled == [size]


def test_a_graph_is_freed_with_the_last_camera_that_uses_it() -> None:
    graphs: CompiledGraphs[Request] = CompiledGraphs()
    one, other = ShapeCache(graphs), ShapeCache(graphs)
    size = shapes(30, 40)
    used = weakref.ref(one.graph_for(size))
    assert other.graph_for(size) is used()
    del one
    gc.collect()
    assert used() is not None
    del other
    gc.collect()
    assert used() is None
