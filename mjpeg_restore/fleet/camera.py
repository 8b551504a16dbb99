"""One camera of many: a thread that runs it, and runs it again if it fails."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Literal, Protocol

from mjpeg_restore.errors import MjpegRestoreError, SinkError, reason_of
from mjpeg_restore.fleet.keys import worded
from mjpeg_restore.fleet.reopening import Opened, Reopening
from mjpeg_restore.fleet.settings import CameraSettings, OutputChoice
from mjpeg_restore.frames import Frame
from mjpeg_restore.futures import while_wanted
from mjpeg_restore.orientation import upright_aspect
from mjpeg_restore.outlets import Outlet
from mjpeg_restore.outputs import outlet_of
from mjpeg_restore.pipeline import run
from mjpeg_restore.report import Report
from mjpeg_restore.restorer import Restorer
from mjpeg_restore.retries import Delays, Retries
from mjpeg_restore.sinks import BaseSink, OutputSettings, Stills, Target, following, held_open, open_sink
from mjpeg_restore.sources import BaseSource, Paced, Source, open_source
from mjpeg_restore.threads import JoinableThread

State = Literal["starting", "running", "stalled", "failed", "ended", "stopped"]
"""Of a camera. "starting": no picture yet; "stalled": none at present, and it is connected again; "failed": it is run
again in a while; "ended": its source was a recording; "stopped": on request."""

_DELAYS = Delays(shortest=1.0, longest=60.0, share=1.0, steady=30.0)
_DELAYS_OF_PIPES = replace(_DELAYS, longest=4.0)
"""Whether somebody reads a named pipe is soon seen."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Status:
    """How a camera fares at a moment."""

    state: State
    reason: str = ""
    """Why it failed or, of one that runs or has ended, which output could not be written; empty where all is well."""
    retry_in: float | None = None
    """Seconds until a failed camera is run again."""
    restarts: int = 0
    """Times that it was run again after a failure."""


class _Nowhere(BaseSink):
    """The sink of a camera without outputs, whose pictures are only counted."""

    instant = True

    def write(self, frame: Frame) -> None:
        """Do nothing."""


Opener = Callable[[CameraSettings], Source]
"""Opens a camera's source."""


def open_camera(settings: CameraSettings) -> Source:
    """Open a camera's source by its settings; see `open_source`."""
    return open_source(settings.source, fps=settings.fps, live=settings.live, camera=settings.connection)


class Audience(Protocol):
    """Who watches cameras, such as a server. All calls but `outlets` come from the thread that drives the fleet."""

    def add(self, camera: Camera) -> None:
        """Note a new camera, also in the place of one of the same name."""
        ...

    def outlets(self, camera: Camera) -> Sequence[Outlet]:
        """Outlets for a run of the camera's that begins, on its thread; `camera.report` is that run's. None where the
        camera has been removed, or another one added in its place, meanwhile."""
        ...

    def remove(self, name: str) -> None:
        """Note that a camera is gone."""
        ...


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a camera has in common with others."""

    pool: Executor
    """Its threads restore."""
    audience: Audience | None = None
    open: Opener = open_camera
    changed: Callable[[], None] = lambda: None
    """Called from a camera's thread when it has ended for good."""
    begun: dict[str, Stills | int] = field(default_factory=dict[str, Stills | int])
    """Places of the outputs that were opened, in this process or in one before it; each with its sink if it is a folder
    of pictures, or with the number of the last picture there, -1 for none. Whichever camera writes there next replaces
    no recording of those before, and what others have left there is not touched."""


class Camera:
    """Runs one camera until it is stopped. What concerns one run alone ends with it; the camera goes on.

    Attributes:
        settings: of the camera.
        report: of the present run, or of the last one.
        address: of the source for messages, without credentials; empty before it has been opened.
        live: whether the source is a camera; True before it has been opened.
    """

    def __init__(
        self,
        settings: CameraSettings,
        restorer: Restorer,
        surroundings: Surroundings,
        predecessors: Sequence[Camera] = (),
    ) -> None:
        """Prepare; `start` begins.

        Args:
            settings: of the camera.
            restorer: its network, which others use, too.
            surroundings: what it has in common with others.
            predecessors: must have ended before this one begins: they may hold its device, and write its files.
        """
        self.settings = settings
        self.report = Report()
        self.address = ""
        self.live = True
        self._restorer, self._surroundings, self._predecessors = restorer, surroundings, predecessors
        self._retries = Retries(_DELAYS)
        self._stop = threading.Event()
        self._source: Source | None = None
        self._outputs: list[Reopening] = []
        self._end: State | None = None
        """How it ended for good; None before."""
        self._failure = ""
        """Why the last run failed; empty while one is going on."""
        self._restarts = 0
        self._entered = False
        """Whether the present run, or the last one, could open the source."""
        self._thread = JoinableThread(self._watch, self.name)

    @property
    def name(self) -> str:
        """The camera's name."""
        return self.settings.name

    @property
    def ended(self) -> bool:
        """Whether it does nothing any more."""
        return self._end is not None

    @property
    def status(self) -> Status:
        """How it fares now."""
        troubles = "; ".join(f"{one.name}: {one.failure}" for one in [*self._outputs] if one.failure)
        if self._end:
            return Status(self._end, troubles, None, self._restarts)
        if self._failure:
            return Status("failed", self._failure, self._retries.wait, self._restarts)
        connection = self.report.connection
        state: State = "running" if self.report.frames else "starting"
        if state == "running" and connection and not connection.connected:
            state = "stalled"
        return Status(state, troubles, None, self._restarts)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Ask for the end; the outputs are finished. Does not wait."""
        self._stop.set()
        if source := self._source:
            source.stop()

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until it has ended, for so many seconds at most; whether it has."""
        return self._thread.wait(seconds)

    def _watch(self) -> None:
        """Run the camera again and again, on its thread, and tell its end, whatever that is."""
        try:
            self._run_repeatedly()
        finally:
            self._end = "stopped" if self._stop.is_set() else "ended"
            self._surroundings.changed()

    def _run_repeatedly(self) -> None:
        for one in self._predecessors:
            one.wait()
        self._predecessors = ()
        while not self._stop.is_set():
            began = time.monotonic()
            failure = self._run()
            if failure is None or self._stop.is_set():
                break
            self._fail(failure, time.monotonic() - began)
            self._stop.wait(self._retries.wait)
            self._restarts += not self._stop.is_set()
        if not self._stop.is_set():
            self._note(logging.INFO, "ended", f"ended after {self.report.frames} frames")

    def _run(self) -> str | None:
        """Run the camera once; why it failed, if it did."""
        self._failure, self._outputs, self.report = "", [], Report()
        again, self._entered = self._entered, False
        settings, surroundings = self.settings, self._surroundings
        try:
            found = while_wanted(
                partial(surroundings.open, settings), lambda: not self._stop.is_set(), lambda late: late.close()
            )
            if found is None:  # its outputs may be another camera's by now
                return None
            with found as opened:
                # Who watches a recording wants it at its pace.
                source = opened if opened.info.live or not surroundings.audience else Paced(opened)
                self._enter(source, again=again)
                watching = surroundings.audience.outlets(self) if surroundings.audience else ()
                self._outputs = [self._output(choice, source) for choice in settings.outputs]
                live = source.info.live
                outlets = [
                    outlet_of(output, choice.parsed, live=live)
                    for output, choice in zip(self._outputs, settings.outputs, strict=True)
                ]
                run(
                    source,
                    self._restorer,
                    [*watching, *outlets] or _Nowhere(),
                    settings.policies,
                    report=self.report,
                    stop=self._stop,
                    pool=surroundings.pool,
                )
        except MjpegRestoreError as error:
            return worded(error)
        except BaseException as error:  # a fault of the program's, or a `sys.exit()`: it is this camera's alone
            _log.exception("%s: a fault of the program", self.name)
            return f"{type(error).__name__}: {error}"
        finally:
            self._source = None
        gave_up = self.report.connection is not None and self.report.connection.gave_up
        return self.report.truncated if gave_up else None

    def _enter(self, source: Source, *, again: bool) -> None:
        """Begin to read a source, unless the end has been asked for meanwhile.

        Args:
            source: the camera's.
            again: the run before could open it, too, which is no news: a wrong password is noticed only later.
        """
        self._entered = True
        self.address, self.live = source.info.name, source.info.live
        if not again:
            targets = ", ".join(choice.name for choice in self.settings.outputs)
            writing = f", writing {targets}" if targets else ""
            self._note(logging.INFO, "starting", f"reading {self.address}{writing}")
        if isinstance(source, BaseSource):  # from here on its messages name the camera
            source.info = replace(source.info, name=self.name)
        self._source = source
        if self._stop.is_set():
            source.stop()

    def _output(self, choice: OutputChoice, source: Source) -> Reopening:
        info = source.info
        settings = replace(
            choice.settings,
            fps=info.fps,
            sample_aspect=upright_aspect(info.sample_aspect, info.rotation),
            live=info.live,
        )

        open = partial(_open_output, self.name, choice, settings, source, self._surroundings.begun)
        delays = _DELAYS_OF_PIPES if choice.parsed.is_pipe else _DELAYS
        return Reopening(self.name, choice.name, open, delays)

    def _fail(self, failure: str, lasted: float) -> None:
        self._failure = failure.removeprefix(f"{self.name}: ")
        if self._retries.failed(self._failure, lasted if self.report.frames else None):
            self._note(logging.ERROR, "failed", f"{self._failure}; trying again")

    def _note(self, level: int, event: str, message: str) -> None:
        _log.log(level, "%s: %s", self.name, message, extra={"event": event, "source": self.name})


def _open_output(
    camera: str,
    choice: OutputChoice,
    settings: OutputSettings,
    source: Source,
    begun: dict[str, Stills | int],
) -> Opened:
    """Open an output. The reader of a named pipe is not waited for: the camera's other outputs would have to wait, too.

    Args:
        camera: its name.
        choice: what is to be opened.
        settings: all of them.
        source: the camera's.
        begun: see `Surroundings`.

    Raises:
        SinkError: see `open_sink`; or nobody reads the pipe, or the folder that pictures get theirs in is missing.
    """
    place = choice.parsed.where
    try:
        # A sink makes all folders, which would be on the root disk while another one is not mounted.
        if choice.parsed.pattern and (missing := choice.parsed.unwritable):
            raise SinkError(f"{missing}: is its disk mounted?")
        with held_open(place) if choice.parsed.is_pipe else nullcontext(True) as is_read:
            if not is_read:
                raise SinkError(f"nobody reads {place}")
            key = choice.parsed.place
            target = following(choice.target, settings) if key in begun else choice.target
            sink = open_sink(target, settings, source.sound, source.paths, camera, begun.get(key))
            begun[key] = sink if isinstance(sink, Stills) else -1
            return Opened(sink, "" if target == choice.target else Target.parse(target, settings).where)
    except OSError as error:
        raise SinkError(f"cannot write to {place} ({reason_of(error)})") from error
