"""Streams in asyncio programs: the event loop never waits, nothing is lost, and every end releases the source."""

from __future__ import annotations

import asyncio
import gc
import inspect
import threading
import time
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeVar

import pytest
from cameras.http import HttpCamera
from cameras.pictures import NumberedPictures

import mjpeg_restore
from mjpeg_restore import AsyncStream, PipelineSettings, Restorer, SourceError, SourceNotFound, Stream, aopen
from mjpeg_restore.api import StreamOptions
from mjpeg_restore.testing import ListSource, jpegs

DECODE = Restorer("decode")
LIMIT = 30.0
"""Seconds after which a wait counts as endless."""

Result = TypeVar("Result")


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    yield
    until = time.monotonic() + LIMIT
    while any(thread.name == "async-stream" for thread in threading.enumerate()):
        assert time.monotonic() < until
        time.sleep(0.01)


def run(program: Coroutine[Any, Any, Result]) -> Result:
    """Run a program that may take no longer than `LIMIT`."""

    async def limited() -> Result:
        async with asyncio.timeout(LIMIT):
            return await program

    return asyncio.run(limited())


def stream_of(source: ListSource, pool: ThreadPoolExecutor | None = None) -> AsyncStream:
    """Nothing is dropped, however slow the machine is."""
    return AsyncStream(lambda: Stream(source, DECODE, PipelineSettings(drop="never"), pool))


def silent() -> ListSource:
    """A camera that sends three pictures, and then nothing."""
    return ListSource(jpegs(3), live=True, ends=False)


def until_closed(source: ListSource) -> None:
    until = time.monotonic() + LIMIT
    while not source.closed:
        assert time.monotonic() < until
        time.sleep(0.01)


def test_every_picture_comes_while_another_camera_is_silent() -> None:
    async def indices(source: ListSource) -> list[int]:
        async with stream_of(source) as pictures:
            return [picture.index async for picture in pictures]

    async def program() -> list[int]:
        waiting = asyncio.create_task(indices(silent()))
        found = await indices(ListSource(jpegs(10)))
        assert not waiting.done()
        waiting.cancel()
        return found

    assert run(program()) == [*range(10)]


def test_open_and_aopen_take_the_same(tmp_path: Path) -> None:
    path = tmp_path / "clip.mjpeg"
    path.write_bytes(b"".join(jpegs(6)))

    async def program() -> list[mjpeg_restore.Picture]:
        async with aopen(path, DECODE, fps=Fraction(10)) as pictures:
            assert pictures.source.info.fps == 10
            return [picture async for picture in pictures]

    expected = list(mjpeg_restore.open(path, DECODE, fps=Fraction(10)))
    assert [picture.time for picture in run(program())] == [picture.time for picture in expected]
    keywords = [
        name for name, of in inspect.signature(mjpeg_restore.open).parameters.items() if of.kind is of.KEYWORD_ONLY
    ]
    assert [*StreamOptions.__annotations__] == keywords


def test_a_stream_may_be_iterated_without_being_entered() -> None:
    source = silent()

    async def program() -> None:
        async for picture in stream_of(source):
            if picture.index == 2:
                break
        gc.collect()
        await asyncio.to_thread(until_closed, source)

    run(program())


@pytest.mark.parametrize("entered", [True, False])
def test_a_stop_iteration_while_opening_is_an_error(entered: bool) -> None:
    def fail() -> Stream:
        raise StopIteration

    async def program() -> None:
        pictures = AsyncStream(fail)
        with pytest.raises(RuntimeError, match="the stream raised StopIteration"):
            await (pictures.__aenter__() if entered else anext(pictures))

    run(program())


def test_leaving_by_an_exception_releases_the_source() -> None:
    source = silent()

    async def program() -> None:
        with pytest.raises(LookupError):
            async with stream_of(source) as pictures:
                async for _ in pictures:
                    raise LookupError
        assert source.closed

    run(program())


def test_a_cancelled_task_releases_a_silent_camera() -> None:
    source = silent()
    seen: list[int] = []

    async def watch() -> None:
        async with stream_of(source) as pictures:
            async for picture in pictures:
                seen.append(picture.index)

    async def program() -> None:
        task = asyncio.create_task(watch())
        while len(seen) < 3:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert source.closed

    run(program())
    assert seen == [0, 1, 2]


def test_a_wait_that_is_cancelled_loses_no_picture() -> None:
    source = ListSource(jpegs(5), times=[0, 80, 160, 240, 320], live=True)

    async def program() -> tuple[list[int], int]:
        seen: list[int] = []
        impatient = 0
        pictures = stream_of(source)
        while True:
            try:
                seen.append((await asyncio.wait_for(anext(pictures), 0.02)).index)
            except TimeoutError:
                impatient += 1
            except StopAsyncIteration:
                return seen, impatient

    seen, impatient = run(program())
    assert seen == [0, 1, 2, 3, 4]
    assert impatient > 3


def test_tasks_share_the_pictures() -> None:
    async def program() -> list[int]:
        async with stream_of(ListSource(jpegs(30))) as pictures:

            async def take() -> list[int]:
                return [picture.index async for picture in pictures]

            return [index for indices in await asyncio.gather(take(), take(), take()) for index in indices]

    assert sorted(run(program())) == [*range(30)]


def test_closing_ends_the_wait_of_another_task() -> None:
    source = silent()

    seen: list[int] = []

    async def program() -> None:
        pictures = stream_of(source)

        async def take() -> None:
            async for picture in pictures:
                seen.append(picture.index)

        task = asyncio.create_task(take())
        while len(seen) < 3:
            await asyncio.sleep(0.01)
        await asyncio.gather(pictures.aclose(), pictures.aclose())
        await pictures.aclose()
        await task

    run(program())
    assert seen == [0, 1, 2]
    assert source.closed


def test_a_slow_task_stops_the_source() -> None:
    source = ListSource(jpegs(100))

    async def program() -> int:
        async with stream_of(source) as pictures:
            await anext(pictures)
            await asyncio.sleep(0.2)
            return source.yielded

    assert run(program()) < 20


def test_what_cannot_be_opened_is_said_where_it_is_entered(tmp_path: Path) -> None:
    async def program() -> None:
        missing = aopen(tmp_path / "none.avi", "decode")
        with pytest.raises(SourceNotFound, match="no such file"):
            async with missing:
                pass
        with pytest.raises(RuntimeError, match="not open yet"):
            _ = missing.source
        with pytest.raises(SourceNotFound, match="no such file"):
            await anext(aopen(tmp_path / "none.avi", "decode"))

    run(program())


def test_what_cannot_be_read_is_said_once() -> None:
    async def program() -> None:
        async with stream_of(ListSource([bytes(300)] * 3)) as pictures:
            with pytest.raises(SourceError, match="no picture could be restored"):
                await anext(pictures)
            assert [picture async for picture in pictures] == []

    run(program())


def test_a_task_that_is_cancelled_while_it_opens_leaves_nothing_open() -> None:
    source, go = silent(), threading.Event()

    def slow() -> Stream:
        assert go.wait(LIMIT)
        return Stream(source, DECODE)

    async def program() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1), AsyncStream(slow):
                pytest.fail("it is not open")
        go.set()
        await asyncio.to_thread(until_closed, source)

    run(program())


def test_a_program_may_end_while_a_stream_waits() -> None:
    """The loop is closed before the thread answers."""
    source = silent()
    held: list[AsyncStream] = []

    async def program() -> None:
        held.append(stream_of(source))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                async for _ in held[0]:
                    pass

    run(program())
    held.clear()
    until_closed(source)


def test_many_silent_cameras_share_a_pool_and_leave_the_executor_free() -> None:
    sources = [silent() for _ in range(40)]

    async def watch(source: ListSource, pool: ThreadPoolExecutor) -> None:
        async with stream_of(source, pool) as pictures:
            async for _ in pictures:
                pass

    async def program() -> int:
        with ThreadPoolExecutor(2) as pool:
            before = threading.active_count()
            tasks = [asyncio.create_task(watch(source, pool)) for source in sources]
            while sum(source.yielded for source in sources) < 3 * 40:
                await asyncio.sleep(0.01)
            count = threading.active_count() - before
            assert await asyncio.to_thread(lambda: 7) == 7
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        return count

    # Of each camera one thread waits for its pictures, and another one drops those that are late.
    assert run(program()) <= 2 * 40 + 2 + 1
    assert all(source.closed for source in sources)


@pytest.mark.network
def test_a_camera_by_its_url() -> None:
    async def program(url: str) -> list[int]:
        async with aopen(url, "decode") as pictures:
            return [(await anext(pictures)).index for _ in range(5)]

    with HttpCamera(NumberedPictures((64, 48)), fps=50) as camera:
        assert len(run(program(camera.url))) == 5


def test_a_stream_that_is_over_is_not_entered_again(tmp_path: Path) -> None:
    async def program() -> None:
        closed, missing = aopen(jpegs(1)[0], DECODE), aopen(tmp_path / "none.mjpeg", DECODE)
        async with closed:
            pass
        with pytest.raises(SourceNotFound):
            await missing.__aenter__()
        for stream in (closed, missing):
            with pytest.raises(RuntimeError, match="closed"):
                await stream.__aenter__()

    run(program())


def test_a_picture_that_another_loop_has_asked_for_is_not_waited_for() -> None:
    stream = aopen(jpegs(1)[0], DECODE)

    async def ask() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await anext(stream)

    async def ask_again() -> None:
        with pytest.raises(RuntimeError, match="another event loop"):
            await anext(stream)
        await stream.aclose()

    run(ask())
    run(ask_again())


def test_nor_is_it_while_that_loop_runs_and_the_stream_may_be_closed_from_any_loop() -> None:
    stream = stream_of(silent())

    async def in_another_loop() -> None:
        with pytest.raises(RuntimeError, match="another event loop"):
            await anext(stream)
        await stream.aclose()

    async def waiting() -> None:
        for _ in range(3):
            await anext(stream)
        fourth = asyncio.create_task(anext(stream))
        await asyncio.sleep(0)
        await asyncio.to_thread(run, in_another_loop())
        with pytest.raises(StopAsyncIteration):
            await fourth

    run(waiting())
