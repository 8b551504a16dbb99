"""Keeps one group of cameras running: Ray starts its process anew, here it is told again what to run."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from mjpeg_restore.errors import MjpegRestoreError
from mjpeg_restore.fleet.settings import FleetSettings, RunSettings
from mjpeg_restore.fleet.spread.group import LEASE, Group, Sight
from mjpeg_restore.fleet.spread.placement import Placement
from mjpeg_restore.fleet.spread.remote import RemoteCamera
from mjpeg_restore.retries import Delays, Retries

if TYPE_CHECKING:
    from mjpeg_restore.cluster import Call, Cluster

_LOOKS = 1.0
"""Seconds between two looks."""
_LOOKS_WHILE_WATCHED = 0.1
_WAITING = 5.0
"""Seconds without an answer after which the cameras are said to wait."""
_FINISHING = 1.0
"""Seconds from the end of a lease to the end of the outputs."""
_DELAYS = Delays(shortest=1.0, longest=60.0, share=1.0, steady=30.0)

_log = logging.getLogger(__name__)


class Keeper:
    """One actor, and what it is to run. `advance` never waits.

    Attributes:
        cameras: by their names.
        share: of a node.
        moves: times that the cameras began anew, because their process or its node had died, or had been cut off.
    """

    def __init__(
        self,
        cluster: Cluster,
        cameras: Iterable[RemoteCamera],
        placement: Placement,
        run: RunSettings,
        *,
        begun: dict[str, int] | None = None,
        lease: float = LEASE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Have Ray make the actor.

        Args:
            cluster: where.
            cameras: what it runs.
            placement: its share of a node, for as long as it lives, and its threads.
            run: the settings file's.
            begun: what all groups have told in `Sight.begun`; to be shared by their keepers.
            lease: see `group.LEASE`.
            clock: seconds.
        """
        self.cameras = {camera.name: camera for camera in cameras}
        self.share = placement.share
        self.moves = 0
        self._cluster, self._lease, self._clock = cluster, lease, clock
        self._run_settings = replace(run, threads=placement.threads, serve=None)
        self._actor = cluster.actor(Group, cluster.this_node, lease, cpus=self.share.cpus, gpus=self.share.gpus)
        self._retries = Retries(_DELAYS, clock)
        self._call: Call | None = None
        self._asks_to_run = False
        """Whether the call is `run`, else `look`."""
        self._asked = self._last_reach = clock() - _LOOKS
        """When the latest call was made, and the latest that may have reached the present process."""
        self._changed = True
        """Whether the group is still to be told what to run."""
        self._told = self._well = False
        """Whether it was told; whether it is known to run."""
        self._look_first = True
        """Whether it has to be looked at before it is told: there may be no process yet, or another one."""
        self._begun: dict[str, int] = {}
        """See `Sight.begun`: of all processes of this group so far."""
        self._begun_by_all = {} if begun is None else begun
        self._node = ""
        """Where it was seen last."""
        self._not_before = 0.0
        """When another process may begin with the cameras at the earliest."""

    def set(self, cameras: Iterable[RemoteCamera]) -> None:
        """Have other cameras, or the same with other settings."""
        self.cameras = {camera.name: camera for camera in cameras}
        self._changed = True

    def advance(self) -> None:
        """Take an answer if there is one, and ask again if it is time."""
        if self._call is None:
            self._ask()
        elif self._call.done:
            call, self._call = self._call, None
            try:
                answer = call.result()
            except MjpegRestoreError as error:
                self._fail(error)
            else:
                if isinstance(answer, Sight):
                    self._take(answer)
        elif self._look_first and self._clock() - self._asked > _WAITING:
            self._say(f"waits for a node that has {self.share} free")

    def close(self) -> Call | None:
        """Ask for the end of all outputs; the result is the last `Sight`. None: there is nothing to finish."""
        return self._actor.call("close") if self._told else None

    def finish(self, sight: Sight) -> None:
        """Note the last sight, and before it the one that was asked for when the end was: each log line is in one."""
        if self._call:
            with suppress(MjpegRestoreError):  # it had ended before the last sight was taken, if it ended well
                if isinstance(asked := self._call.result(_LOOKS), Sight):
                    self._show(asked)
        self._show(sight)

    def kill(self) -> None:
        """End the process."""
        self._actor.kill()

    def _ask(self) -> None:
        """Begin a call, if it is time for one."""
        now = self._clock()
        if self._retries.wait:
            return
        if self._changed and not self._look_first:
            if now < self._not_before:
                return
            settings = FleetSettings(tuple(one.settings for one in self.cameras.values()), self._run_settings)
            self._call = self._actor.call("run", settings, self._known)
            self._asks_to_run, self._changed, self._told = True, False, True
        elif now - self._asked >= (_LOOKS_WHILE_WATCHED if self._watched else _LOOKS):
            self._call = self._actor.call("look", self._watched)
            self._asks_to_run = False
        else:
            return
        self._asked = now

    @property
    def _watched(self) -> Mapping[str, bool]:
        return {name: one.sink.original for name, one in self.cameras.items() if one.sink.watched}

    @property
    def _known(self) -> dict[str, int]:
        """What the group has to know of what was written before."""
        # Places are paths without links, and a node may have other links than this machine: the group gets back all
        # that it has told, under its own names.
        known = {**self._begun}
        for place in {choice.parsed.place for one in self.cameras.values() for choice in one.settings.outputs}:
            if place in self._begun_by_all:
                known[place] = self._begun_by_all[place]
        return known

    def _take(self, sight: Sight) -> None:
        """Note what was seen."""
        self._look_first = False
        if sight.cameras is None and self._told:  # it is another process, or its lease is over
            self._begin_anew(sight.node)
        elif sight.cameras is not None:
            self._last_reach = self._asked
            if not self._well:
                self._well = True
                self._retries.succeeded()
        self._node = sight.node
        self._show(sight)

    def _begin_anew(self, node: str) -> None:
        """Have cameras begin that no process runs."""
        self.moves += 1
        self._told, self._well, self._changed = False, False, True
        if node == self._node or any(one.id == self._node for one in self._cluster.nodes):
            self._not_before = 0.0  # the node says that the process has ended
        else:  # the node may be merely cut off, and run them until the lease ends: nothing is recorded twice
            self._not_before = self._last_reach + self._lease + _FINISHING
        wait = max(self._not_before - self._clock(), 0.0)
        when = f" in {wait:.0f} s" if wait else ""
        self._say(f"its process has ended: begins anew{when}")
        _log.warning("%s: begin anew%s", ", ".join(self.cameras), when, extra={"event": "moved"})

    def _fail(self, error: MjpegRestoreError) -> None:
        """Note that a call failed, and ask again after a while."""
        self._look_first, self._last_reach = True, self._asked
        self._changed = self._changed or self._asks_to_run
        self._well = False
        self._say(str(error))
        if self._retries.failed(str(error)):
            _log.error("%s: %s; trying again", ", ".join(self.cameras), error, extra={"event": "group_failed"})

    def _say(self, trouble: str) -> None:
        for camera in self.cameras.values():
            camera.trouble = trouble

    def _show(self, sight: Sight) -> None:
        """Pass on what the cameras and the log say, and keep what the next process has to know."""
        self._begun.update(sight.begun)
        for place, last in sight.begun.items():
            self._begun_by_all[place] = max(last, self._begun_by_all.get(place, last))
        for seen in sight.cameras or ():
            if camera := self.cameras.get(seen.name):
                camera.take(seen, self.moves)
        for line in sight.log:
            extra = {"event": line.event, "source": line.source}
            logging.getLogger(line.logger).log(line.level, "%s", line.message, extra=extra)
