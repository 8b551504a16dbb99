"""`VideoCapture`: the restored pictures of a source, for programs that were written for OpenCV's class of that name.

OpenCV is not needed; names and numbers are its own.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from fractions import Fraction
from math import isfinite
from types import TracebackType
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from mjpeg_restore import catalogue
from mjpeg_restore.errors import SourceError
from mjpeg_restore.frames import Picture
from mjpeg_restore.futures import while_wanted
from mjpeg_restore.pipeline import PipelineSettings
from mjpeg_restore.playback import Opening, Playback
from mjpeg_restore.restorer import Restorer
from mjpeg_restore.sources import LiveSettings, Spec, parse_rate

CAP_PROP_POS_MSEC: Final = 0
CAP_PROP_POS_FRAMES: Final = 1
CAP_PROP_FRAME_WIDTH: Final = 3
CAP_PROP_FRAME_HEIGHT: Final = 4
CAP_PROP_FPS: Final = 5
CAP_PROP_FOURCC: Final = 6
CAP_PROP_FRAME_COUNT: Final = 7
CAP_PROP_BUFFERSIZE: Final = 38
CAP_PROP_OPEN_TIMEOUT_MSEC: Final = 53
CAP_PROP_READ_TIMEOUT_MSEC: Final = 54

_GIVE_UP: Final = 30.0
"""Seconds without a picture after which a camera has ended, as in OpenCV."""
_MJPG: Final = int.from_bytes(b"MJPG", "little")

Image = NDArray[np.uint8]

_log = logging.getLogger(__name__)


class VideoCapture:
    """A recording or a camera, read as by `cv2.VideoCapture`, in whose place it can be put.

        capture = mjpeg_restore.VideoCapture("http://cam/video")
        found, image = capture.read()  # uint8 [height, width, 3], BGR

    What cannot be opened is not opened, and what cannot be read on is at its end: `error`, and the log, have the
    reason. Of a camera `read` restores the newest picture, and those that came meanwhile are left out. A connection
    that breaks is made again; after 30 seconds without a picture the camera is at its end.

    Threads may share it: each picture is read by one of them. `release` ends a `read` that waits on another thread.

    Attributes:
        error: why the source could not be opened, or not be read to its end; None if it could.
    """

    def __init__(
        self,
        filename: Spec | int | None = None,
        apiPreference: int = 0,
        params: Sequence[float] = (),
        *,
        model: str | Restorer = catalogue.DEFAULT,
        device: str = "auto",
        fps: Fraction | None = None,
        track: int | None = None,
        live: bool = False,
        camera: LiveSettings | None = None,
        settings: PipelineSettings | None = None,
    ) -> None:
        """Open a source, if one is given.

        Args:
            filename: what `mjpeg_restore.open` takes, or the number of a device: 0 is `/dev/video0`.
            apiPreference: ignored; there is one way to read each source.
            params: numbers of properties, each followed by its value: OPEN_TIMEOUT_MSEC and READ_TIMEOUT_MSEC, of which
                the longer one counts, FPS, and FRAME_WIDTH and FRAME_HEIGHT of a device. Others are ignored.
            model: a name from the catalogue, or a `Restorer`, which several captures can share.
            device: of the network; see `mjpeg_restore.open`, as for all that follow.
            fps: frame rate of a source without time stamps, or of a snapshot camera.
            track: which track of a container.
            live: a pipe or a file object is a camera.
            camera: time-outs of cameras; None: 30 seconds without a picture are the end.
            settings: policies for damaged, late and missing pictures.

        Raises:
            UnknownModel, RuntimeUnavailable: the network cannot be run.
            ValueError: the last one of `params` has no value.
        """
        self._turn = threading.RLock()
        """Held by the thread that opens or reads; not by `release`."""
        self.error: SourceError | None = None
        restorer = model if isinstance(model, Restorer) else Restorer(model, device)
        camera = camera or LiveSettings(give_up=_GIVE_UP)
        self._given = Opening("", restorer, settings or PipelineSettings(), camera, fps, track, live)
        self._opening = self._given
        """With the properties that were asked for."""
        self._asked: dict[int, float] = {}
        """Values of properties that were set for the device."""
        self._raises = False
        self._frames = 0
        self._playback: Playback | None = None
        self._use = object()
        """What was opened last, or is being opened; `release` puts another one in its place."""
        self._grabbed: Picture | None = None
        if filename is not None:
            self.open(filename, apiPreference, params)

    def open(self, filename: Spec | int, apiPreference: int = 0, params: Sequence[float] = ()) -> bool:
        """Open another source; see the constructor. It waits for the first picture, whose size `get` tells.

        Returns:
            Whether it is open.

        Raises:
            ValueError: the last one of `params` has no value.
        """
        if len(params) % 2:
            raise ValueError(f"params has {len(params)} numbers: each property needs a value after it")
        self.release()
        use = self._use
        spec = f"/dev/video{filename}" if isinstance(filename, int) else filename
        asked = {int(name): value for name, value in zip(params[::2], params[1::2], strict=True)}
        with self._turn:
            self._opening = _with(replace(self._given, spec=spec), asked)
            if error := self._start(self._opening, use):
                self._fail(error)
            return self.isOpened()

    def isOpened(self) -> bool:
        """Whether a source is open, be it read to its end or not."""
        return self._playback is not None and self._playback.shown is not None

    def grab(self) -> bool:
        """Take the next picture, restored, for `retrieve`; False at the end."""
        with self._turn:
            self._open_with_asked()
            playback, self._grabbed = self._playback, None
            if playback:
                try:
                    self._grabbed = playback.next()
                except SourceError as error:
                    self._fail(error)
            return self._grabbed is not None

    def retrieve(self, image: Image | None = None, flag: int = 0) -> tuple[bool, Any]:
        """The picture that was grabbed, uint8 `[height, width, 3]`, BGR, full range; `(False, None)` if none was.

        Args:
            image: filled and returned if it has the right shape.
            flag: ignored.
        """
        if self._grabbed is None:
            return False, None
        found = self._grabbed.to_ndarray("bgr")
        if image is not None and image.shape == found.shape:
            image[...] = found
            found = image
        return True, found

    def read(self, image: Image | None = None) -> tuple[bool, Any]:
        """Grab the next picture and retrieve it; `(False, None)` at the end."""
        with self._turn:
            self.grab()
            return self.retrieve(image)

    def get(self, propId: int) -> float:
        """The value of a property; 0.0 where there is none.

        POS_FRAMES is the number of the next picture, POS_MSEC the time of the last one. FRAME_COUNT may be an estimate.
        BUFFERSIZE is how many of a camera's pictures wait for a slow reader, at most. FPS of a camera is 0.0 where
        nobody states it.
        """
        self._open_with_asked()
        playback = self._playback
        if playback is None or playback.shown is None:
            return 0.0
        info, shown = playback.info, playback.shown
        known: dict[int, float] = {
            CAP_PROP_POS_MSEC: float(1000 * playback.time),
            CAP_PROP_POS_FRAMES: playback.position,
            CAP_PROP_FRAME_WIDTH: shown.width,
            CAP_PROP_FRAME_HEIGHT: shown.height,
            CAP_PROP_FPS: float(info.fps or 0),
            CAP_PROP_FOURCC: _MJPG,
            CAP_PROP_FRAME_COUNT: self._frames,
            CAP_PROP_BUFFERSIZE: self._opening.settings.waiting if info.live else 0,
        }
        return float(known.get(propId, 0))

    def set(self, propId: int, value: float) -> bool:
        """Set a property: POS_FRAMES or POS_MSEC of a recording; FRAME_WIDTH, FRAME_HEIGHT or FPS of a device.

        Positions are counted by the nominal frame rate. A recording is opened again for each, so that a pipe or a file
        object has none. A device is opened again with the next `read` or `get`; it keeps its size until both width and
        height are set, and where it lacks that size.

        Returns:
            Whether the property takes this value.
        """
        playback = self._playback
        if playback is None or not self.isOpened() or not isfinite(value):
            return False
        value = float(value)  # of NumPy's numbers most know nothing of fractions
        if propId in (CAP_PROP_POS_FRAMES, CAP_PROP_POS_MSEC):
            rate = playback.info.fps or Fraction(0)
            return self._seek(playback, value if propId == CAP_PROP_POS_FRAMES else Fraction(value) / 1000 * rate)
        if propId in (CAP_PROP_FRAME_WIDTH, CAP_PROP_FRAME_HEIGHT, CAP_PROP_FPS) and self._opening.is_device:
            self._asked[propId] = value
            return True
        return propId == CAP_PROP_FOURCC and value == _MJPG

    def release(self) -> None:
        """Close the source; from any thread, also while another one opens or reads it, and more than once."""
        self._use = object()
        self._asked.clear()
        self._close()

    def setExceptionMode(self, enable: bool) -> None:
        """Have `open`, `grab` and `read` raise what otherwise is in `error` alone. The end of a recording is none."""
        self._raises = enable

    def getExceptionMode(self) -> bool:
        """Whether errors are raised."""
        return self._raises

    def getBackendName(self) -> str:
        """The name of what reads the source."""
        return "MJPEG_RESTORE"

    def __iter__(self) -> Iterator[Image]:
        """Yield the pictures up to the end; see `read`."""
        while (image := self.read()[1]) is not None:
            yield image

    def __enter__(self) -> Self:
        """Return the capture itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the source."""
        self.release()

    def _start(self, opening: Opening, use: object) -> SourceError | None:
        """Open a source at its beginning, unless it is released meanwhile; the error if it cannot be opened."""
        self.error = self._grabbed = None
        try:
            playback = while_wanted(opening.start, lambda: self._use is use, Playback.close)
            if playback is None:
                return None
            self._playback = playback
            if self._use is use:  # or it was released in the line before
                playback.look()
        except SourceError as error:
            self._close()
            return error if self._use is use else None
        if self._use is not use:
            self._close()
            return None
        self._frames = playback.info.frames or 0
        return None

    def _close(self) -> None:
        playback, self._playback = self._playback, None
        if playback:
            playback.close()

    def _seek(self, playback: Playback, position: float | Fraction) -> bool:
        number, rate = max(round(position), 0), playback.info.fps
        if playback.info.live or not self._opening.is_repeatable or (number and not rate):
            return False
        try:
            other = self._opening.start(number, rate)
            if not other.look():
                return False
        except SourceError:  # it lies after the end
            return False
        with self._turn:
            if self._playback is not playback:  # another thread has released it
                other.close()
                return False
            self._close()
            self._playback, self._grabbed = other, None
        return True

    def _open_with_asked(self) -> None:
        """Open the device again, if something else was asked of it."""
        if not self._asked:  # without waiting for a thread that reads
            return
        use = self._use
        with self._turn:
            if (other := _with(self._opening, self._asked)) == self._opening:
                return
            self._close()  # a device is open once
            refusal = self._start(other, use)
            if refusal is None:
                self._opening = other
                return
            _log.warning("%s; it keeps its own", refusal)
            self._asked.clear()
            if error := self._start(self._opening, use):
                self._fail(error)

    def _fail(self, error: SourceError) -> None:
        self.error = error
        _log.error("%s", error)
        if self._raises:
            raise error


def _with(opening: Opening, asked: Mapping[int, float]) -> Opening:
    """How a source is opened with the properties asked for; impossible values are ignored, as by OpenCV."""
    camera, fps = opening.camera, opening.fps
    asked = {name: float(value) for name, value in asked.items() if isfinite(value)}
    timeout = max(asked.get(CAP_PROP_OPEN_TIMEOUT_MSEC, 0), asked.get(CAP_PROP_READ_TIMEOUT_MSEC, 0)) / 1000
    with suppress(ValueError):
        camera = replace(camera, give_up=timeout, stall_timeout=min(camera.stall_timeout, timeout))
    size = int(asked.get(CAP_PROP_FRAME_WIDTH, 0)), int(asked.get(CAP_PROP_FRAME_HEIGHT, 0))
    with suppress(ValueError):
        camera = replace(camera, size=size)
    with suppress(SourceError):
        fps = parse_rate(asked.get(CAP_PROP_FPS, 0))
    return replace(opening, camera=camera, fps=fps)
