"""The pictures of a stream in asyncio programs: a thread waits for each of them, and the event loop never does."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from queue import SimpleQueue
from types import TracebackType
from typing import Self, TypeVar, Unpack

from mjpeg_restore import api, catalogue
from mjpeg_restore.api import Stream, StreamOptions
from mjpeg_restore.frames import Picture
from mjpeg_restore.restorer import Restorer
from mjpeg_restore.sources import Source, Spec

Result = TypeVar("Result")

_PATIENCE = 3.0
"""Seconds that `AsyncStream.aclose` waits for the thread, which takes two to close a stream at most."""


def aopen(source: Spec, model: str | Restorer = catalogue.DEFAULT, **options: Unpack[StreamOptions]) -> AsyncStream:
    """Open a recording or a camera in an asyncio program: `open` for `async with` and `async for`.

        async with mjpeg_restore.aopen("http://cam/video") as pictures:
            async for picture in pictures:
                await detect(picture.to_ndarray("bgr"))

    Opening may take seconds, as may the first picture, for which the network is loaded; the event loop goes on
    meanwhile. Errors are those of `open`, and are raised by `async with`, or by the first picture where there is none.

    Args:
        source: see `open`.
        model: likewise; many cameras share a `Restorer`.
        options: likewise; many cameras share a `pool`.
    """
    return AsyncStream(lambda: api.open(source, model, **options))


class AsyncStream:
    """The restored pictures of a source for one event loop, whose tasks may share them.

    A thread of the stream's own opens it, takes a picture each time a task asks for one, and closes it. So it does not
    work ahead of a slow task by more than a `Stream` does, and cameras that are silent occupy no thread of the loop's
    executor. A wait that is cancelled loses no picture: the next one gets it.

    Leaving `async with`, also by a cancellation, releases the source; so does dropping the last reference, as a `break`
    out of `async for picture in aopen(...)` does.
    """

    def __init__(self, open: Callable[[], Stream]) -> None:
        """Prepare; nothing is opened yet.

        Args:
            open: opens the stream, on its thread; for a source of one's own `lambda: Stream(source, restorer)`.
        """
        self._reader = _Reader(open)
        self._turn = asyncio.Lock()
        self._asked: asyncio.Future[Picture | None] | None = None

    @property
    def source(self) -> Source:
        """The source of the packets.

        Raises:
            RuntimeError: the stream is not open yet.
        """
        if self._reader.stream is None:
            raise RuntimeError("the stream is not open yet: enter it by `async with`, or ask for a picture")
        return self._reader.stream.source

    async def __aenter__(self) -> Self:
        """Open the stream.

        Raises:
            RuntimeError: it has been closed, or could not be opened before.
        """
        if self._reader.ended:
            raise RuntimeError("the stream is closed: call aopen again")
        try:
            await self._reader.call(self._reader.open)
        except BaseException:
            self._reader.end()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the stream."""
        await self.aclose()

    def __aiter__(self) -> Self:
        """Return the stream itself."""
        return self

    async def __anext__(self) -> Picture:
        """The next picture; the end once the stream is closed.

        Raises:
            SourceError: the source cannot be opened or read, or not one picture could be restored.
            RuntimeError: another event loop has asked for a picture, and will get it.
        """
        # Before the lock, for which the tasks of one loop alone can wait.
        if self._asked and self._asked.get_loop() is not asyncio.get_running_loop():
            raise RuntimeError("the stream belongs to another event loop: call aopen in this one")
        async with self._turn:
            if self._asked is None:
                if self._reader.ended:
                    raise StopAsyncIteration
                self._asked = self._reader.call(self._reader.next)
            await asyncio.wait([self._asked])  # its cancellation leaves the picture to the next wait
            asked, self._asked = self._asked, None
        picture = None
        try:
            picture = asked.result()
        finally:
            if picture is None:
                self._reader.end()
        if picture is None:
            raise StopAsyncIteration
        return picture

    async def aclose(self) -> None:
        """End the iteration, for all tasks, and release the source; more calls do nothing.

        It waits for a few seconds at most. A source that takes longer to open, or to end, is released in the
        background.
        """
        if self._reader.ended:
            return
        closed = self._reader.call(self._reader.close)
        self._reader.end()
        if asked := self._asked:
            _settle(asked, partial(asked.set_result, None))
        await asyncio.wait([closed], timeout=_PATIENCE)

    def __del__(self) -> None:
        self._reader.end()


class _Reader:
    """A stream, and the thread that opens, reads and closes it.

    It knows nothing of the `AsyncStream`, which can be collected while the thread waits.

    Attributes:
        stream: None until it is open.
        ended: True once nothing more is wanted.
    """

    def __init__(self, open: Callable[[], Stream]) -> None:
        self.stream: Stream | None = None
        self.ended = False
        self._open = open
        self._pictures: Iterator[Picture] = iter(())
        self._calls: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        # A daemon: a camera that is silent when the program ends does not delay that.
        self._thread = threading.Thread(target=self._work, name="async-stream", daemon=True)

    def call(self, function: Callable[[], Result]) -> asyncio.Future[Result]:
        """Have the thread call a function; for the running event loop."""
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()

        def answer() -> None:
            try:
                settle = partial(future.set_result, function())
            except StopIteration as error:  # no future takes it; a generator that raises it fails likewise
                failure = RuntimeError("the stream raised StopIteration")
                failure.__cause__ = error
                settle = partial(future.set_exception, failure)
            except BaseException as error:  # raised where the result is awaited
                settle = partial(future.set_exception, error)
            _settle(future, settle)

        self._calls.put(answer)
        if not self._thread.ident:
            self._thread.start()
        return future

    def end(self) -> None:
        """End the thread, even while it waits for a picture; does not wait. From any thread."""
        self.ended = True
        if self.stream:
            self.stream.stop()
        self._calls.put(None)

    def open(self) -> None:
        """Open the stream, unless it is open."""
        if self.ended or self.stream:
            return
        self.stream = self._open()
        self._pictures = iter(self.stream)
        if self.ended:  # meanwhile
            self.stream.stop()

    def next(self) -> Picture | None:
        """The next picture, of a stream that is opened if it is not; None at the end."""
        self.open()
        return next(self._pictures, None)

    def close(self) -> None:
        """Close the stream."""
        if self.stream:
            self.stream.close()

    def _work(self) -> None:
        while call := self._calls.get():
            call()
        self.close()


def _settle(future: asyncio.Future[Result], settle: Callable[[], None]) -> None:
    """Give a future its result, unless it has one; from any thread."""
    with suppress(RuntimeError):  # its loop is closed: nobody waits any more
        future.get_loop().call_soon_threadsafe(lambda: None if future.done() else settle())
