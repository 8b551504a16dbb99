"""What most programs need: one picture, or all pictures of a source."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from fractions import Fraction
from functools import lru_cache
from itertools import count
from types import TracebackType
from typing import Self

from mjpeg_restore import catalogue
from mjpeg_restore.frames import Picture
from mjpeg_restore.jpeg import read, scan
from mjpeg_restore.ordered import Halt
from mjpeg_restore.orientation import upright
from mjpeg_restore.pipeline import PipelineSettings, restore_pictures
from mjpeg_restore.restorer import Restorer
from mjpeg_restore.sources import SoundChoice, Source, Spec, open_source

_PATIENCE = 2.0
"""Seconds for which a stream that is closed waits for its threads; they look every twentieth or tenth of one."""


def restore(
    data: bytes, model: str = catalogue.DEFAULT, *, device: str = "auto", texture: float = 0.0, seed: int = 0
) -> Picture:
    """Restore one JPEG.

    The network is loaded at the first call and kept for the next ones. Safe from several threads.

    Args:
        data: the coded picture; foreign bytes may stand around it.
        model: a name from the catalogue, "stream" by default.
        device: "auto", "onnxruntime" or "openvino".
        texture: how much texture to invent, 0..1, for a model that can: "qgac".
        seed: which of many possible pictures, for a model that has them: "one-to-many".

    Returns:
        The restored picture, upright where EXIF says how it lies; `to_ndarray("rgb")` is uint8 `[height, width, 3]`.
        Of a picture that is cut off or broken, what there is of it: its `damage` says what is missing.

    Raises:
        JpegError: the picture is broken, of an unsupported kind, or too large.
        UnknownModel, RuntimeUnavailable: the network cannot be run.
    """
    header = scan(data)
    picture = _restorer(model, device, texture, seed).restore(read(data, header=header))
    return upright(picture, header.orientation)


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
    settings: PipelineSettings | None = None,
) -> Stream:
    """Open a recording, and iterate over its restored pictures, upright and with their fields woven.

        with mjpeg_restore.open("cam.mjpeg") as pictures:
            for picture in pictures:
                show(picture.to_ndarray("bgr"))

    Args:
        source: a path, "-", a glob pattern, bytes or a binary file; see `open_source`.
        model: a name from the catalogue, or a `Restorer`: several recordings can share a network that is loaded once,
            and it takes what a name does not say, `Restorer("qgac", texture=0.7)`.
        device: "auto", "onnxruntime" or "openvino"; a `Restorer` has its own.
        fps: frame rate of what has no time stamps, 25 if None.
        start, duration: seconds to skip and to keep.
        track, audio_track: which tracks of a container, from 1, or "all" of the sound; see `open_source`. The chosen
            sound is in `source.sound`.
        settings: what becomes of damaged pictures, and more.

    Raises:
        SourceError: the source cannot be opened, or holds no Motion-JPEG.
        UnknownModel: no such model.
    """
    restorer = model if isinstance(model, Restorer) else Restorer(model, device)
    opened = open_source(source, fps=fps, start=start, duration=duration, track=track, audio_track=audio_track)
    return Stream(opened, restorer, settings)


class Stream:
    """The restored pictures of a source, to be iterated once; closes itself at the end, and as a context manager.

    Safe from several threads. Threads that iterate share the pictures: each picture goes to one of them, and the first
    to leave its loop ends it for all. While a camera is silent a loop may be left, by `break`, by an exception or by
    giving the iterator up, and the stream may be closed: neither waits for the camera. A file that was handed over
    stays open; what was read ahead of the pictures is lost to its owner. A process that is forked has to open the
    recording itself.

    Attributes:
        source: where the packets come from.
    """

    def __init__(self, source: Source, restorer: Restorer, settings: PipelineSettings | None = None) -> None:
        self.source = source
        self._halt = Halt(source.stop)
        self._pictures = restore_pictures(source, restorer, settings, halt=self._halt)
        self._turn = threading.Lock()
        self._closings = count()

    def __iter__(self) -> Iterator[Picture]:
        """Yield the pictures, in order; none once the stream is closed.

        Raises:
            SourceError: the source cannot be read, or not one picture could be restored.
        """
        try:
            while (picture := self._next()) is not None:
                yield picture
        finally:
            self.close()

    def _next(self) -> Picture | None:
        with self._turn:  # a generator takes one thread at a time
            return None if self._halt.asked else next(self._pictures, None)

    def close(self) -> None:
        """Stop, and give back what is held: from any thread, also while others iterate, and as often as one likes.

        The iteration ends. Where a picture takes seconds to be read, it goes on behind, and what the source holds is
        given back with the last reference to it.
        """
        self._halt.ask()
        if self._halt.wait(_PATIENCE) and next(self._closings) == 0:
            self.source.close()

    def __enter__(self) -> Self:
        """Return the stream itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the stream."""
        self.close()


@lru_cache(maxsize=4)
def _restorer(model: str, device: str, texture: float, seed: int) -> Restorer:
    return Restorer(model, device, texture=texture, seed=seed)
