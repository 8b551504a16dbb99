"""Many cameras in one process: they share threads and networks, and nothing else."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import MappingProxyType, TracebackType
from typing import Self

from mjpeg_restore.fleet.camera import Audience, Camera, Opener, Surroundings, open_camera
from mjpeg_restore.fleet.settings import CameraSettings, FleetSettings, NetworkChoice
from mjpeg_restore.restorer import Restorer
from mjpeg_restore.runtime import Progress, usable_cores

PATIENCE = 10.0
"""Seconds that the cameras get to finish their outputs."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Changes:
    """What new settings changed, by the cameras' names."""

    started: tuple[str, ...] = ()
    stopped: tuple[str, ...] = ()
    restarted: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    """They did not notice."""

    def __str__(self) -> str:
        words = {name: getattr(self, name) for name in ("started", "stopped", "restarted", "kept")}
        return "; ".join(f"{name}: {', '.join(names)}" for name, names in words.items() if names) or "no cameras"


class Fleet:
    """Runs cameras until they end or the fleet is closed. All calls come from one thread."""

    def __init__(
        self,
        settings: FleetSettings,
        *,
        audience: Audience | None = None,
        open: Opener = open_camera,
        progress: Progress | None = None,
        changed: Callable[[], None] = lambda: None,
        begun: Mapping[str, int] | None = None,
    ) -> None:
        """Start all cameras.

        Args:
            settings: of the cameras.
            audience: who watches them, if anybody does.
            open: opens their sources.
            progress: called while a network is made ready, if that takes long.
            changed: called from a camera's thread when that camera has ended for good.
            begun: see `apply`.
        """
        self._threads = settings.run.threads or usable_cores()
        self._pool = ThreadPoolExecutor(self._threads, "restore")
        self._surroundings = Surroundings(self._pool, audience, open, changed)
        self._progress = progress
        self._run = settings.run
        self._restorers: dict[NetworkChoice, Restorer] = {}
        self._cameras: dict[str, Camera] = {}
        self._leaving: list[Camera] = []
        """Those that were stopped, and may not have ended yet."""
        self.apply(settings, begun)

    @property
    def cameras(self) -> Mapping[str, Camera]:
        """The cameras by their names, in the order of the settings."""
        return MappingProxyType(self._cameras)

    @property
    def ended(self) -> bool:
        """Whether no camera does anything any more: all were recordings. A fleet without cameras waits for some."""
        return bool(self._cameras) and all(camera.ended for camera in self._cameras.values())

    @property
    def begun(self) -> dict[str, int]:
        """Places of the outputs that were opened; each with the number of the last picture there, -1 for none."""
        places = self._surroundings.begun.copy()  # cameras add to it
        return {place: last if isinstance(last, int) else last.last for place, last in places.items()}

    def apply(self, settings: FleetSettings, begun: Mapping[str, int] | None = None) -> Changes:
        """Stop cameras that are gone, start new ones, restart those whose settings have changed, and touch no other.

        Nobody waits: a camera begins when those that had its name, its source or one of its outputs have ended.

        Args:
            settings: of the cameras.
            begun: the `begun` of fleets in other processes that this one goes on for.
        """
        known = self.begun
        news = {place: last for place, last in (begun or {}).items() if place not in known or last > known[place]}
        self._surroundings.begun.update(news)
        before, audience = self._cameras, self._surroundings.audience
        wanted = {camera.name: camera for camera in settings.cameras}
        kept = [name for name, camera in wanted.items() if name in before and before[name].settings == camera]
        for name, camera in before.items():
            if name not in kept:
                camera.stop()
                self._leaving.append(camera)
                if audience and name not in wanted:
                    audience.remove(name)
        self._leaving = [camera for camera in self._leaving if not camera.ended]
        choices = {camera.network for camera in settings.cameras}
        self._restorers = {
            choice: self._restorers.get(choice) or self._restorer(choice, settings.cameras) for choice in choices
        }
        self._cameras = {
            name: before[name] if name in kept else self._camera(camera) for name, camera in wanted.items()
        }
        for name, camera in self._cameras.items():
            if name not in kept:
                if audience:
                    audience.add(camera)
                camera.start()
        return Changes(
            started=tuple(name for name in wanted if name not in before),
            stopped=tuple(name for name in before if name not in wanted),
            restarted=tuple(name for name in wanted if name in before and name not in kept),
            kept=tuple(kept),
        )

    def stop(self) -> None:
        """Ask all cameras for their end. Does not wait."""
        for camera in self._cameras.values():
            camera.stop()

    def close(self, patience: float = PATIENCE) -> bool:
        """Stop all cameras, and wait until they have finished their outputs.

        Args:
            patience: seconds to wait at most.

        Returns:
            Whether all have ended. One that has not is left to its thread.
        """
        self.stop()
        until = time.monotonic() + patience
        late = [
            camera.name
            for camera in [*self._cameras.values(), *self._leaving]
            if not camera.wait(max(until - time.monotonic(), 0.0))
        ]
        for name in late:
            _log.warning("%s: has not ended in %g s", name, patience, extra={"event": "late_end", "source": name})
        self._pool.shutdown(wait=False)
        return not late

    def __enter__(self) -> Self:
        """Return the fleet itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it; after an error, such as Ctrl-C, without waiting."""
        if kind is None:
            self.close()
        else:
            self.stop()
            self._pool.shutdown(wait=False)

    def _camera(self, settings: CameraSettings) -> Camera:
        predecessors = [camera for camera in self._leaving if _shares(camera.settings, settings)]
        return Camera(settings, self._restorers[settings.network], self._surroundings, predecessors)

    def _restorer(self, choice: NetworkChoice, cameras: Sequence[CameraSettings]) -> Restorer:
        # Each camera has one picture in the pool at a time: few cameras have several threads for each picture.
        sharing = sum(camera.network == choice for camera in cameras)
        return Restorer(
            choice.model,
            choice.device,
            threads=self._threads,
            streams=min(self._threads, sharing),
            progress=self._progress,
            engine_cache=self._run.engine_cache,
        )


def _shares(one: CameraSettings, other: CameraSettings) -> bool:
    """Whether two cameras cannot run at the same time."""
    places = [{choice.parsed.place for choice in camera.outputs} for camera in (one, other)]
    return one.name == other.name or one.source == other.source or not places[0].isdisjoint(places[1])
