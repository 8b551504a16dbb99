"""All cameras of a settings file, on the nodes of a cluster. It does for them what `Fleet` does in one process."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import Protocol

from mjpeg_restore.cluster import Cluster
from mjpeg_restore.errors import ClusterError, MjpegRestoreError
from mjpeg_restore.fleet.fleet import PATIENCE, Changes
from mjpeg_restore.fleet.settings import FleetSettings, NetworkChoice
from mjpeg_restore.fleet.spread.group import LEASE
from mjpeg_restore.fleet.spread.keeper import Keeper
from mjpeg_restore.fleet.spread.placement import Cost, Share, grouped
from mjpeg_restore.fleet.spread.remote import RemoteCamera
from mjpeg_restore.fleet.spread.survey import Survey
from mjpeg_restore.serve import WebSink

_LARGEST = Share(4.0, 1.0)
"""Of one process: Python's global lock lets no more cores be busy, and what a crash takes with it is limited."""

_log = logging.getLogger(__name__)


class Audience(Protocol):
    """Who watches cameras that run elsewhere, such as a server."""

    def show(self, camera: RemoteCamera, sink: WebSink) -> None:
        """Note a new camera, also in the place of one of the same name."""
        ...

    def remove(self, name: str) -> None:
        """Note that a camera is gone."""
        ...


class SpreadFleet:
    """Runs cameras on nodes until it is closed. All calls come from one thread, which calls `advance` all the time."""

    def __init__(
        self,
        settings: FleetSettings,
        cluster: Cluster,
        *,
        audience: Audience | None = None,
        lease: float = LEASE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin.

        Args:
            settings: of the cameras.
            cluster: where they run.
            audience: who watches them, if anybody does.
            lease: see `group.LEASE`.
            clock: seconds.
        """
        self._cluster, self._audience, self._lease, self._clock = cluster, audience, lease, clock
        self._run = settings.run
        self._cameras: dict[str, RemoteCamera] = {}
        self._keepers: list[Keeper] = []
        self._survey: Survey | None = None
        self._costs: dict[NetworkChoice, Cost] = {}
        self.apply(settings)

    @property
    def cameras(self) -> Mapping[str, RemoteCamera]:
        """The cameras by their names, in the order of the settings."""
        return MappingProxyType(self._cameras)

    @property
    def placed(self) -> bool:
        """Whether all cameras have a group."""
        return self._survey is None

    def apply(self, settings: FleetSettings) -> Changes:
        """Run these cameras from now on. Those that are there stay in their groups, and in their groups' shares."""
        before = self._cameras
        wanted = {camera.name: camera for camera in settings.cameras}
        kept = [name for name in wanted if name in before and before[name].settings == wanted[name]]
        self._cameras = {
            name: before[name] if name in before else RemoteCamera(camera) for name, camera in wanted.items()
        }
        for name, camera in wanted.items():
            self._cameras[name].settings = camera
            if name not in before and self._audience:
                self._audience.show(self._cameras[name], self._cameras[name].sink)
        for name in before:
            if name not in wanted and self._audience:
                self._audience.remove(name)
        for keeper in [*self._keepers]:
            staying = [self._cameras[name] for name in keeper.cameras if name in wanted]
            if len(staying) < len(keeper.cameras) or any(camera.name not in kept for camera in staying):
                keeper.set(staying)
        self._look_for_places()
        return Changes(
            started=tuple(name for name in wanted if name not in before),
            stopped=tuple(name for name in before if name not in wanted),
            restarted=tuple(name for name in wanted if name in before and name not in kept),
            kept=tuple(kept),
        )

    def advance(self) -> None:
        """Take what the nodes say, place what can be placed, and ask again what it is time for. Does not wait.

        Raises:
            MjpegRestoreError: cameras cannot be placed: no node can run their network.
        """
        if self._survey and self._survey.advance():
            self._place(self._survey)
            self._survey = None
            self._look_for_places()
        for keeper in self._keepers:
            keeper.advance()

    def close(self, patience: float = PATIENCE) -> bool:
        """Stop all cameras, and wait until their outputs are finished.

        Args:
            patience: seconds to wait at most.

        Returns:
            Whether all have finished.
        """
        until = self._clock() + patience
        calls = [(keeper, call) for keeper in self._keepers if (call := keeper.close())]
        late: list[str] = []
        for keeper, call in calls:
            try:
                keeper.finish(call.result(max(until - self._clock(), 0.1)))
            except MjpegRestoreError as error:
                late += keeper.cameras
                _log.warning("%s: %s", ", ".join(keeper.cameras), error, extra={"event": "late_end"})
        for keeper in self._keepers:
            with suppress(MjpegRestoreError):
                keeper.kill()
        self._keepers = []
        return not late

    def _look_for_places(self) -> None:
        """Begin to survey the cameras that no group has, unless a survey goes on."""
        placed = {name for keeper in self._keepers for name in keeper.cameras}
        homeless = [camera.settings for name, camera in self._cameras.items() if name not in placed]
        if homeless and self._survey is None:
            self._survey = Survey(self._cluster, homeless, self._costs)

    def _place(self, survey: Survey) -> None:
        self._costs |= survey.costs
        nodes = self._cluster.nodes
        if not nodes:
            raise ClusterError("the cluster has no node any more")
        # Of half a node at most: what runs on one that dies has to find room on the others.
        most = max(node.cpus for node in nodes)
        largest = Share(max(min(_LARGEST.cpus, most / 2), 0.5), _LARGEST.gpus)
        known = [one for one in survey.cameras if one.name in self._cameras]
        for placement in grouped(known, survey.loads, survey.costs, largest):
            members = [self._cameras[one.name] for one in placement.cameras]
            keeper = Keeper(self._cluster, members, placement.share, self._run, lease=self._lease, clock=self._clock)
            self._keepers.append(keeper)
            _log.info(
                "%s: share a process with %s",
                ", ".join(one.name for one in members),
                placement.share,
                extra={"event": "placed"},
            )
