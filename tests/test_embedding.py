"""Streams within other programs: whatever the camera does, a loop is left and a stream is closed at once."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import threading
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

import mjpeg_restore
from mjpeg_restore.frames import Packet, Picture
from mjpeg_restore.ordered import Halt
from mjpeg_restore.pipeline import restore_pictures
from mjpeg_restore.testing import ListSource
from tests.cli.command import mux
from tests.jpeg.pictures import encode
from tests.restorers import Counting
from tests.sources.silent import KINDS, LIMIT, RESPONSES, camera, case, within

PICTURES = [encode("4:2:0", (64, 48), seed) for seed in range(4)]
DATA = b"".join(PICTURES) + PICTURES[0][:200]
PLAIN = "decode"
"""What has nothing to do with the network is tested without one."""


def feeders() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.endswith("-feeder")]


def leave_by_break(file: Any) -> None:
    for picture in mjpeg_restore.open(file, PLAIN):
        if picture.index == 2:
            break


def leave_by_exception(file: Any) -> None:
    with contextlib.suppress(LookupError):
        for picture in mjpeg_restore.open(file, PLAIN):
            if picture.index == 2:
                raise LookupError


def give_up(file: Any) -> None:
    next(iter(mjpeg_restore.open(file, PLAIN)))


def give_up_in_a_cycle(file: Any) -> None:
    """The garbage collector finds it."""
    pictures = iter(mjpeg_restore.open(file, PLAIN))
    next(pictures)
    circle: list[Any] = [pictures]
    circle.append(circle)
    del pictures, circle
    gc.collect()


@pytest.mark.parametrize(
    ("leave", "kind"),
    [case(kind, leave_by_break) for kind in (*KINDS, *RESPONSES)]
    + [
        case(kind, leave)
        for kind in ("buffered pipe", "response in chunks")
        for leave in (leave_by_exception, give_up, give_up_in_a_cycle)
    ],
)
def test_a_loop_over_a_silent_camera_is_left(leave: Callable[[Any], None], kind: str, tmp_path: Path) -> None:
    with camera(kind, DATA, tmp_path) as file:
        within(lambda: leave(file))
        assert not feeders()
        assert not getattr(file, "closed", False)


@pytest.mark.parametrize("kind", [*map(case, ["pipe", "buffered pipe", "response in chunks", "object"])])
def test_a_loop_over_a_silent_container_is_left(kind: str, tmp_path: Path) -> None:
    clip = mux(tmp_path / "clip.avi", range(0, 12000, 40)).read_bytes()
    with camera(kind, clip[: len(clip) * 3 // 4], tmp_path) as file:
        within(lambda: leave_by_break(file))
        assert not feeders()


@pytest.mark.parametrize("kind", [*map(case, ["pipe", "buffered pipe", "response", "object"])])
def test_a_stream_is_closed_by_another_thread(kind: str, tmp_path: Path) -> None:
    with camera(kind, DATA, tmp_path) as file:
        stream = mjpeg_restore.open(file, PLAIN)
        enough = threading.Event()
        pictures: list[Picture] = []

        def iterate() -> None:
            for picture in stream:
                pictures.append(picture)
                if len(pictures) == 4:
                    enough.set()

        iterating = threading.Thread(target=iterate, daemon=True)
        iterating.start()
        assert enough.wait(LIMIT)
        closing = [threading.Thread(target=stream.close, daemon=True) for _ in range(2)]  # at the same time
        for thread in closing:
            thread.start()
        for thread in [*closing, iterating]:
            thread.join(LIMIT)
            assert not thread.is_alive()
        assert len(pictures) == 4
        assert list(stream) == []
        stream.close()


def test_a_stream_is_closed_while_it_reads_a_file(tmp_path: Path) -> None:
    path = mux(tmp_path / "clip.mkv", range(0, 40000, 40))
    for _ in range(5):
        stream = mjpeg_restore.open(path, PLAIN)
        counted = iter(stream)
        next(counted)
        closing = threading.Timer(0.02, stream.close)
        closing.start()
        assert within(lambda counted=counted: sum(1 for _ in counted)) < 999
        closing.join()


@pytest.mark.parametrize("live", [True, False], ids=["camera", "recording"])
def test_a_stream_with_a_pool_is_closed_by_another_thread(live: bool) -> None:
    with ThreadPoolExecutor(1) as pool:
        source = ListSource(PICTURES, live=live, ends=False)
        stream = mjpeg_restore.Stream(source, mjpeg_restore.Restorer(PLAIN), pool=pool)
        found: list[int] = []
        enough = threading.Event()

        def iterate() -> None:
            for picture in stream:
                found.append(picture.index)
                if len(found) == len(PICTURES):
                    enough.set()

        iterating = threading.Thread(target=iterate, daemon=True)
        iterating.start()
        assert enough.wait(LIMIT)
        within(stream.close)
        iterating.join(LIMIT)
        assert not iterating.is_alive()
        assert source.closed
    assert found == [*range(len(PICTURES))]
    assert not feeders()


def test_a_stream_is_closed_by_asyncio(tmp_path: Path) -> None:
    async def look(stream: mjpeg_restore.Stream) -> int:
        loop = asyncio.get_running_loop()
        seen: list[int] = []

        def count() -> int:
            seen.extend(picture.index for picture in stream)
            return len(seen)

        counted = loop.run_in_executor(None, count)
        while len(seen) < 4:
            await asyncio.sleep(0.01)
        await asyncio.wait_for(loop.run_in_executor(None, stream.close), LIMIT)
        return await asyncio.wait_for(counted, LIMIT)

    with camera("buffered pipe", DATA, tmp_path) as file:
        assert within(lambda: asyncio.run(look(mjpeg_restore.open(file, PLAIN)))) == 4


def test_threads_share_the_pictures_of_a_stream(tmp_path: Path) -> None:
    stream = mjpeg_restore.open(b"".join(PICTURES) * 25, PLAIN)
    found: list[list[int]] = [[], []]

    def take(index: int) -> None:
        found[index].extend(picture.index for picture in stream)

    threads = [threading.Thread(target=take, args=(index,), daemon=True) for index in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT)
    assert sorted(found[0] + found[1]) == list(range(100))
    assert all(indices == sorted(indices) for indices in found)


class Silent(ListSource):
    """Yields four pictures, then waits until it is stopped."""

    def __init__(self) -> None:
        super().__init__(PICTURES)
        self.woken = threading.Event()
        self.feeder: threading.Thread | None = None
        self.collected = False

    def __iter__(self) -> Iterator[Packet]:
        yield from super().__iter__()
        self.feeder = threading.current_thread()
        assert self.woken.wait(60)
        gc.collect()  # as it may come by anywhere
        self.collected = True

    def stop(self) -> None:
        super().stop()
        self.woken.set()


def test_the_collector_may_close_a_stream_on_the_streams_own_thread() -> None:
    source = Silent()
    stream = mjpeg_restore.Stream(source, mjpeg_restore.Restorer(PLAIN))
    pictures = iter(stream)
    assert len(list(islice(pictures, 4))) == 4
    gone = weakref.ref(stream)
    circle: list[Any] = [pictures]
    circle.append(circle)
    gc.disable()
    try:
        del pictures, stream, circle
        source.woken.set()
        assert source.feeder is not None
        source.feeder.join(LIMIT)
        assert not source.feeder.is_alive()
    finally:
        gc.enable()
    assert source.collected
    assert gone() is None
    assert source.stopped


def test_a_halt_ends_a_generator_that_is_used_directly() -> None:
    source = Silent()
    halt = Halt(source.stop)
    pictures = restore_pictures(source, mjpeg_restore.Restorer(PLAIN), halt=halt)
    assert len(list(islice(pictures, 4))) == 4
    asking = threading.Timer(0.05, halt.request)
    asking.start()
    assert within(lambda: list(pictures)) == []
    assert halt.wait(LIMIT)


def test_what_a_signal_raises_while_a_stream_is_released_after_a_break_is_not_lost() -> None:
    source = ListSource(PICTURES)
    stream = mjpeg_restore.Stream(source, mjpeg_restore.Restorer(PLAIN))
    wait = stream._halt.wait

    def interrupted(timeout: float | None = None) -> bool:
        stream._halt.wait = wait
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), stream:
        for _ in stream:
            stream._halt.wait = interrupted
            break
    stream.close()
    assert source.closed


def test_a_break_without_with_releases_the_source_at_once() -> None:
    source = ListSource(PICTURES)
    for _ in mjpeg_restore.Stream(source, mjpeg_restore.Restorer(PLAIN)):
        break
    assert source.closed


def test_closing_does_not_wait_for_a_slow_network() -> None:
    restorer = Counting(PLAIN)
    restorer.go.clear()
    stream = mjpeg_restore.Stream(ListSource(PICTURES), restorer)
    closing = threading.Thread(target=lambda: (restorer.begun.wait(60), stream.close()), daemon=True)
    closing.start()
    try:
        assert within(lambda: list(stream)) == []
        closing.join(LIMIT)
        assert not closing.is_alive()
    finally:
        restorer.go.set()
