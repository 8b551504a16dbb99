"""All cameras of a settings file, on the nodes of a cluster. It does for them what `Fleet` does in one process."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol

from mjpeg_restore.errors import ClusterError, MjpegRestoreError
from mjpeg_restore.fleet.fleet import PATIENCE, Changes
from mjpeg_restore.fleet.settings import CameraSettings, FleetSettings, NetworkChoice
from mjpeg_restore.fleet.spread.group import LEASE
from mjpeg_restore.fleet.spread.keeper import Keeper
from mjpeg_restore.fleet.spread.placement import HEADROOM, Cost, Share, grouped, largest_group, reserved, room, share_of
from mjpeg_restore.fleet.spread.remote import RemoteCamera
from mjpeg_restore.fleet.spread.survey import Survey
from mjpeg_restore.serve import WebSink

if TYPE_CHECKING:
    from mjpeg_restore.cluster import Call, Cluster


_log = logging.getLogger(__name__)


class Audience(Protocol):
    """Displays cameras that run elsewhere; a server does."""

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
        self._leaving: list[tuple[Keeper, Call | None]] = []
        """Keepers without cameras, whose groups are finishing their outputs."""
        self._survey: Survey | None = None
        self._unplaceable: set[str] = set()
        """Cameras that no node can run, until there are other settings."""
        self._costs: dict[NetworkChoice, Cost] = {}
        self._begun: dict[str, int] = {}
        """See `Sight.begun`: of all groups so far."""
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
            if not staying:
                self._keepers.remove(keeper)
                self._leaving.append((keeper, keeper.close()))
            elif len(staying) < len(keeper.cameras) or any(camera.name not in kept for camera in staying):
                keeper.set(staying)
        self._unplaceable.clear()
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
            MjpegRestoreError: no node can run the network of the first cameras. Of later ones it is logged.
        """
        if self._survey:
            self._advance_survey(self._survey)
        for keeper in self._keepers:
            keeper.advance()
        for keeper, call in [*self._leaving]:
            if call is None or call.done:
                if call:
                    with suppress(MjpegRestoreError):  # the process has died
                        keeper.finish(call.result())
                keeper.kill()
                self._leaving.remove((keeper, call))

    def close(self, patience: float = PATIENCE) -> bool:
        """Stop all cameras, and wait until their outputs are finished.

        Args:
            patience: seconds to wait at most.

        Returns:
            Whether all have finished.
        """
        until = self._clock() + patience
        calls = [*self._leaving, *((keeper, keeper.close()) for keeper in self._keepers)]
        late: list[str] = []
        for keeper, call in calls:
            if call is None:
                continue
            try:
                keeper.finish(call.result(max(until - self._clock(), 0.1)))
            except MjpegRestoreError as error:
                late += keeper.cameras
                _log.warning("%s: %s", ", ".join(keeper.cameras), error, extra={"event": "late_end"})
        for keeper in [*self._keepers, *(keeper for keeper, _ in self._leaving)]:
            with suppress(MjpegRestoreError):
                keeper.kill()
        self._keepers, self._leaving = [], []
        return not late

    def _look_for_places(self) -> None:
        """Begin to survey the cameras that no group has, unless a survey goes on."""
        placed = {name for keeper in self._keepers for name in keeper.cameras}
        homeless = [camera.settings for name, camera in self._cameras.items() if name not in placed | self._unplaceable]
        if homeless and self._survey is None:
            self._survey = Survey(self._cluster, homeless, self._costs)

    def _advance_survey(self, survey: Survey) -> None:
        try:
            if not survey.advance():
                return
            self._place(survey)
        except MjpegRestoreError as error:
            if not self._keepers:
                raise
            names = [one.name for one in survey.cameras]
            _log.error("%s: %s", ", ".join(names), error, extra={"event": "not_placed"})
            self._unplaceable.update(names)
            for name in names:
                if name in self._cameras:
                    self._cameras[name].trouble = str(error)
        self._survey = None
        self._look_for_places()

    def _place(self, survey: Survey) -> None:
        self._costs |= survey.costs
        nodes = self._cluster.nodes
        if not nodes:
            raise ClusterError("the cluster has no node any more")
        known = [one for one in survey.cameras if one.name in self._cameras]
        shares = [share_of(survey.loads[one.name], survey.costs[one.network]) for one in known]
        has, taken = [Share(node.cpus, node.gpus) for node in nodes], [keeper.share for keeper in self._keepers]
        largest = largest_group(shares, [node.cpus for node in nodes])
        groups = grouped(known, survey.loads, survey.costs, largest)
        self._warn_of_large_cameras(known, shares, largest)
        self._warn_of_overload(shares, has)
        for placement in reserved(groups, room(has, taken)):
            members = [self._cameras[one.name] for one in placement.cameras]
            keeper = Keeper(
                self._cluster,
                members,
                placement,
                self._run,
                begun=self._begun,
                lease=self._lease,
                clock=self._clock,
            )
            self._keepers.append(keeper)
            _log.info(
                "%s: share a process with %s",
                ", ".join(one.name for one in members),
                placement.share,
                extra={"event": "placed"},
            )

    def _warn_of_large_cameras(
        self, cameras: Sequence[CameraSettings], shares: Sequence[Share], largest: Share
    ) -> None:
        """Name the cameras that are more than one process can restore."""
        for camera, share in zip(cameras, shares, strict=True):
            if not (busy := _busy(share)).within(largest):
                words = "%s: needs %s, more than one process has: late pictures will be dropped"
                _log.warning(words, camera.name, busy, extra={"event": "overload"})

    def _warn_of_overload(self, shares: Sequence[Share], nodes: Sequence[Share]) -> None:
        """Say if cameras that are to be placed are more than all nodes can restore."""
        has, busy = sum(nodes, Share(0.0)), _busy(sum(shares, Share(0.0)))
        if not busy.within(has):
            _log.warning(
                "these cameras need %s, and the cluster has %s: late pictures will be dropped",
                busy,
                has,
                extra={"event": "overload"},
            )


def _busy(share: Share) -> Share:
    """A share without its headroom."""
    return Share(share.cpus * HEADROOM, share.gpus * HEADROOM)
