"""Measures what placement needs: the load of each camera, and the cost of its network on the nodes."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from mjpeg_restore.errors import ClusterError, MjpegRestoreError
from mjpeg_restore.fleet.settings import CameraSettings, NetworkChoice
from mjpeg_restore.fleet.spread.measuring import Probe, measure, probe
from mjpeg_restore.fleet.spread.placement import Cost, Load
from mjpeg_restore.runtime.devices import AUTO, on_gpu

if TYPE_CHECKING:
    from mjpeg_restore.cluster import Call, Cluster, Node

TYPICAL = Load(1280, 720, 10.0)
"""Assumed load of a camera if none answers."""

_TOGETHER = 16
"""Cameras that one task looks at."""
_PATIENCE = 60.0
"""Seconds to wait for further nodes after the first has answered."""

_log = logging.getLogger(__name__)


def takes_gpu(choice: NetworkChoice, nodes: Sequence[Node]) -> bool:
    """Whether a network takes a share of a GPU; with the device "auto", it does where any node has one."""
    device = choice.device
    return on_gpu(device) or device.partition(":")[0] == "cuda" or (device == AUTO and any(one.gpus for one in nodes))


class Survey:
    """Asks the cluster, without waiting for it.

    Attributes:
        cameras: which are to be placed.
        loads: by the cameras' names, once it is done.
        costs: of their networks, likewise; of several nodes the dearest one's.
    """

    def __init__(
        self,
        cluster: Cluster,
        cameras: Sequence[CameraSettings],
        costs: Mapping[NetworkChoice, Cost],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin.

        Args:
            cluster: where to measure.
            cameras: see above.
            costs: what is known from earlier.
            clock: seconds.
        """
        self.cameras = tuple(cameras)
        self.loads: dict[str, Load] = {}
        self.costs = {choice: costs[choice] for choice in {one.network for one in cameras} if choice in costs}
        self._cluster, self._clock = cluster, clock
        chunks = [self.cameras[start : start + _TOGETHER] for start in range(0, len(self.cameras), _TOGETHER)]
        self._probes = [cluster.task(probe, chunk, cpus=0) for chunk in chunks]
        self._measures: dict[NetworkChoice, dict[Call, Node]] | None = None
        self._begun = clock()

    def advance(self) -> bool:
        """Go on; whether it is done. Does not wait.

        Raises:
            MjpegRestoreError: no node can run a network.
        """
        if self._measures is None:
            if not all(call.done for call in self._probes):
                return False
            self._measures = self._measure(self._answers())
            self._begun = self._clock()
        late = self._clock() - self._begun > _PATIENCE
        return all([self._settle(choice, calls, late=late) for choice, calls in self._measures.items()])

    def _answers(self) -> dict[str, Probe]:
        """Collect the probes, and set all loads; a silent camera gets the median of the others."""
        found: dict[str, Probe] = {}
        for call in self._probes:
            try:
                found |= call.result()
            except MjpegRestoreError as error:
                _log.warning("cameras cannot be looked at from a node (%s)", error, extra={"event": "not_probed"})
        known = sorted((one.load for one in found.values()), key=lambda load: load.megapixels)
        typical = known[len(known) // 2] if known else TYPICAL
        self.loads = {one.name: found[one.name].load if one.name in found else typical for one in self.cameras}
        if silent := [one.name for one in self.cameras if one.name not in found]:
            words = f"{typical.width}x{typical.height} at {typical.fps:.3g} frames/s"
            _log.warning(
                "placed as if of %s, for they send nothing now: %s", words, ", ".join(silent), extra={"event": "silent"}
            )
        return found

    def _measure(self, found: Mapping[str, Probe]) -> dict[NetworkChoice, dict[Call, Node]]:
        nodes = self._cluster.nodes
        calls: dict[NetworkChoice, dict[Call, Node]] = {}
        for choice in {one.network for one in self.cameras} - {*self.costs}:
            gpu = takes_gpu(choice, nodes)
            pictures = next(
                (found[one.name].pictures for one in self.cameras if one.network == choice and one.name in found), ()
            )
            able = [node for node in nodes if (node.gpus if gpu else node.cpus)]
            if not able:
                raise ClusterError(f"no node of the cluster has {'a GPU' if gpu else 'CPUs'}")
            calls[choice] = {
                # CPU time is counted, so a node that is busy need not be waited for; a GPU has to be seen.
                self._cluster.task(
                    _measured, choice, pictures, gpu, cpus=0, gpus=0.01 if gpu else 0, node=node.id
                ): node
                for node in able
            }
        return calls

    def _settle(self, choice: NetworkChoice, calls: Mapping[Call, Node], *, late: bool) -> bool:
        """Whether the cost of a network is known."""
        if choice in self.costs:
            return True
        ended = [call for call in calls if call.done]
        if len(ended) < len(calls) and not (late and ended):
            return False
        found: list[Cost] = []
        failure: MjpegRestoreError | None = None
        for call in ended:
            try:
                found.append(call.result())
            except MjpegRestoreError as error:
                failure = error
                _log.warning("node %s: %s", calls[call].address, error, extra={"event": "not_measured"})
        if not found:
            if failure and len(ended) == len(calls):
                raise failure
            return False
        self.costs[choice] = cost = Cost(max(one.cpu for one in found), max(one.gpu for one in found))
        _log.info("%s", _said(choice, cost, len(found)), extra={"event": "measured"})
        return True


def _measured(choice: NetworkChoice, pictures: Sequence[bytes], gpu: bool) -> Cost:
    return measure(choice, pictures, gpu=gpu)


def _said(choice: NetworkChoice, cost: Cost, nodes: int) -> str:
    words = f"{choice.model} on {choice.device}: {1 / cost.cpu:.1f} megapixels/s a core"
    if cost.gpu:
        words += f", {1 / cost.gpu:.0f} a GPU"
    return words + f" (the least of {nodes} nodes)" * (nodes > 1)
