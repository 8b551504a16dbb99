"""The short way in: restore one picture, or iterate over all pictures of a source."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Executor
from fractions import Fraction
from functools import lru_cache
from types import TracebackType
from typing import Self, TypedDict

from mjpeg_restore import catalogue
from mjpeg_restore.frames import Picture
from mjpeg_restore.jpeg import read, scan
from mjpeg_restore.ordered import Halt
from mjpeg_restore.orientation import upright
from mjpeg_restore.pipeline import PipelineSettings, restore_pictures
from mjpeg_restore.restorer import Restorer
from mjpeg_restore.sources import LiveSettings, SoundChoice, Source, Spec, open_source

_PATIENCE = 2.0
"""Seconds that `Stream.close` waits for the threads, which poll every 0.05 to 0.1 s."""


def restore(
    data: bytes,
    model: str | Restorer = catalogue.DEFAULT,
    *,
    device: str = "auto",
    texture: float = 0.0,
    seed: int = 0,
) -> Picture:
    """Restore one JPEG.

    The network is loaded at the first call and kept for the next ones. Safe from several threads.

    Args:
        data: the coded picture; foreign bytes may stand around it.
        model: a name from the catalogue, "stream" by default, or a `Restorer`, whose own settings then stand for those
            that follow.
        device: "auto", "cuda" for an NVIDIA GPU, "openvino" and so on; see `Restorer`.
        texture: amount of invented texture, 0..1; "qgac" only.
        seed: which of many possible pictures; "one-to-many" only.

    Returns:
        The restored picture, turned upright by its EXIF orientation; `to_ndarray("rgb")` is uint8 `[height, width, 3]`.
        A picture that is cut off or broken is restored as far as it goes: `damage` names the missing rows.

    Raises:
        JpegError: the picture is broken, of an unsupported kind, or too large.
        UnknownModel, RuntimeUnavailable: the network cannot be run.
    """
    header = scan(data)
    restorer = model if isinstance(model, Restorer) else _restorer(model, device, texture, seed)
    picture = restorer.restore(read(data, header=header))
    return upright(picture, header.orientation)


class StreamOptions(TypedDict, total=False):
    """The keyword arguments of `open`, for functions that pass them on."""

    device: str
    fps: Fraction | None
    start: Fraction | None
    duration: Fraction | None
    track: int | None
    audio_track: SoundChoice | None
    live: bool
    camera: LiveSettings | None
    settings: PipelineSettings | None
    pool: Executor | None


def open(
    source: Spec,
    model: str | Restorer = catalogue.DEFAULT,
    *,
    device: str = "auto",
    fps: Fraction | None = None,
    start: Fraction | None = None,
    duration: Fraction | None = None,
    track: int | None = None,
    audio_track: SoundChoice | None = None,
    live: bool = False,
    camera: LiveSettings | None = None,
    settings: PipelineSettings | None = None,
    pool: Executor | None = None,
) -> Stream:
    """Open a recording or a camera as an iterator over its restored pictures, upright and with their fields woven.

        with mjpeg_restore.open("cam.mjpeg") as pictures:
            for picture in pictures:
                show(picture.to_ndarray("bgr"))

    Args:
        source: a path, "-", a glob pattern, bytes, a binary file, or a camera's URL or device; see `open_source`.
        model: a name from the catalogue, or a `Restorer`, which several recordings can share, and which has more
            settings: `Restorer("qgac", texture=0.7)`.
        device: "auto", "cuda" for an NVIDIA GPU, "openvino" and so on; ignored with a `Restorer`, which has its own.
        fps: frame rate for sources without time stamps, 25 if None; rate of polling a snapshot camera, 1 if None.
        start, duration: seconds to skip and to keep.
        track, audio_track: which tracks of a container, from 1, or "all" of the sound; see `open_source`. The chosen
            sound is in `source.sound`.
        live: a pipe or file object is a camera; see `open_source`.
        camera: what concerns cameras alone, such as how long to wait for one; the defaults if None.
        settings: the policies for damaged, late and missing pictures; the defaults if None.
        pool: threads that many cameras share; see `Stream`.

    Raises:
        SourceError: the source cannot be opened or holds no Motion-JPEG, or `fps`, `start`, `duration` or a track is
            impossible.
        UnknownModel: no such model.
        RuntimeUnavailable: no such device.
    """
    restorer = model if isinstance(model, Restorer) else Restorer(model, device)
    opened = open_source(
        source,
        fps=fps,
        start=start,
        duration=duration,
        track=track,
        audio_track=audio_track,
        live=live,
        camera=camera,
    )
    return Stream(opened, restorer, settings, pool)


class Stream:
    """The restored pictures of a source. It can be iterated once, and closes at the end or as a context manager.

    Safe from several threads. Threads that iterate share the pictures: each picture goes to one of them, and the first
    thread that leaves its loop ends it for all. Leaving the loop, by `break` or an exception, and closing the stream
    never wait for a silent camera. A file object given by the caller stays open, but its position is undefined: the
    source reads ahead. A forked process has to open the recording itself.

    Python discards what a signal raises while a `break` releases the stream, such as the exception of Ctrl-C. With
    `with` it is not lost: the stream is then released at the end of the block.

    Attributes:
        source: the source of the packets.
    """

    def __init__(
        self,
        source: Source,
        restorer: Restorer,
        settings: PipelineSettings | None = None,
        pool: Executor | None = None,
    ) -> None:
        """Prepare; nothing is read yet.

        Args:
            source: closed with the stream.
            restorer: the network, which several streams can share.
            settings: policies; the defaults if None.
            pool: threads that restore, shared by many cameras. Each camera then has one picture in them at a time,
                begun when it is asked for. None: the stream has threads of its own, which work ahead.
        """
        self.source = source
        self._halt = Halt(source.stop)
        self._pictures = restore_pictures(source, restorer, settings, halt=self._halt, pool=pool)
        self._turn = threading.Lock()
        self._entered = False

    def __iter__(self) -> Iterator[Picture]:
        """Yield the pictures, in order; none once the stream is closed.

        Raises:
            SourceError: the source cannot be read, or not one picture could be restored.
        """
        try:
            while (picture := self._next()) is not None:
                yield picture
            self.close()
        finally:
            # Of a loop that is left this is a finaliser, from which no exception gets out: that of Ctrl-C, while the
            # threads are waited for, would be lost. `__exit__` is none.
            if self._entered:
                self.stop()
            else:
                self.close()

    def _next(self) -> Picture | None:
        with self._turn:  # a generator takes one thread at a time
            return None if self._halt.requested else next(self._pictures, None)

    def stop(self) -> None:
        """End the iteration without waiting; from any thread. The source is released by whoever iterates, or closes."""
        self._halt.request()

    def close(self) -> None:
        """End the iteration and release the source; from any thread, also while others iterate, and more than once.

        A picture that takes seconds to read is finished in the background; the source is then released with the last
        reference to it.
        """
        self.stop()
        if self._halt.wait(_PATIENCE) and self._turn.acquire(timeout=_PATIENCE):
            try:
                self._pictures.close()
                self.source.close()
            finally:
                self._turn.release()

    def __enter__(self) -> Self:
        """Return the stream itself."""
        self._entered = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the stream."""
        self.close()


@lru_cache(maxsize=4)
def _restorer(model: str, device: str, texture: float, seed: int) -> Restorer:
    return Restorer(model, device, texture=texture, seed=seed)
