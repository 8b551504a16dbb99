"""Cameras on a cluster of two nodes, of which one dies: the others do not notice, its own go on, nothing is recorded
twice."""

from __future__ import annotations

import hashlib
import os
import signal
import time
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.lacking import needs, needs_linux

ray = needs("ray")

from cameras.http import HttpCamera
from cameras.pictures import NumberedPictures
from ray.cluster_utils import Cluster as SimulatedCluster

from mjpeg_restore.cluster import Cluster
from mjpeg_restore.errors import ClusterError, MjpegRestoreError, UnknownModel
from mjpeg_restore.fleet import load_settings
from mjpeg_restore.fleet.serving import Serving
from mjpeg_restore.fleet.spread.fleet import SpreadFleet
from tests.cli.test_live import numbers
from tests.fleet.clusters import breaks, fails
from tests.patience import PATIENCE
from tests.serve.clients import ask

pytestmark = [pytest.mark.network, pytest.mark.slow]

NAMES = ("a", "b", "c", "d")
SMALL = NumberedPictures((64, 48))
DEFAULTS = """\
[defaults]
model = "decode"
device = "onnxruntime"
output = "{camera}.mkv"
segment = "1s"
drop = "never"
"""
QUICK = {
    "health_check_initial_delay_ms": 0,
    "health_check_period_ms": 300,
    "health_check_timeout_ms": 3000,
    "health_check_failure_threshold": 3,
}
"""Ray notices a death within seconds, not within twenty."""
LEASE = 15.0


class Nodes:
    """A cluster of two nodes of one core each."""

    def __init__(self) -> None:
        head = {"num_cpus": 0, "include_dashboard": False, "_system_config": QUICK}
        self.simulated = SimulatedCluster(initialize_head=True, head_node_args=head)
        self.nodes: dict[str, Any] = {}
        self.add()
        self.add()
        self.cluster = Cluster(str(self.simulated.address))

    def add(self) -> None:
        node = self.simulated.add_node(num_cpus=1)
        self.nodes[node.node_id] = node

    def kill(self, id: str) -> None:
        self.simulated.remove_node(self.nodes.pop(id), allow_graceful=False)

    @contextmanager
    def cut_off(self, id: str) -> Generator[None]:
        """Have the cluster lose a node whose processes go on."""
        raylet = self.nodes.pop(id).all_processes["raylet"][0].process.pid
        os.kill(raylet, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(raylet, signal.SIGCONT)

    def close(self) -> None:
        self.cluster.close()
        self.simulated.shutdown()


class Clock:
    """The machine's clock, of which a test skips what it need not wait for."""

    def __init__(self) -> None:
        self._skipped = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self._skipped

    def skip(self, seconds: float) -> None:
        self._skipped += seconds


@pytest.fixture(scope="module")
def nodes() -> Generator[Nodes]:
    nodes = Nodes()
    try:
        yield nodes
    finally:
        nodes.close()


@pytest.fixture
def cameras() -> Generator[dict[str, HttpCamera]]:
    with ExitStack() as stack:
        yield {name: stack.enter_context(HttpCamera(SMALL, fps=20)) for name in NAMES}


@pytest.fixture
def settings(cameras: dict[str, HttpCamera], tmp_path: Path) -> Path:
    path = tmp_path / "cameras.toml"
    text = "".join(f'[cameras.{name}]\nsource = "{one.url}"\n' for name, one in cameras.items())
    path.write_text(DEFAULTS + text)
    return path


def go(fleet: SpreadFleet, until: Callable[[], bool], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not until():
        assert time.monotonic() < end, {name: one.status for name, one in fleet.cameras.items()}
        fleet.advance()
        time.sleep(0.02)


def segments(folder: Path, name: str) -> list[Path]:
    return sorted(folder.glob(f"{name}-*.mkv"))


def finished_segments(folder: Path, name: str) -> list[Path]:
    return segments(folder, name)[:-1]


def running(fleet: SpreadFleet, frames: int) -> bool:
    return all(one.status.state == "running" and one.report.frames >= frames for one in fleet.cameras.values())


def check_recording(camera: HttpCamera, files: list[Path], *, connections: int) -> None:
    """What each connection has sent is recorded from its beginning, without a gap, and once.

    Args:
        camera: its first connection was that of the survey, its numbers go on in the next one.
        files: in their order.
        connections: that were recorded.
    """
    recorded = [number for path in files for number in numbers(path)]
    assert len({*recorded}) == len(recorded)
    found = 0
    for connection in range(2, 2 + connections):
        sent = [one.number for one in camera.sent if one.connection == connection]
        taken = [number for number in recorded if number in sent]
        assert taken == sent[: len(taken)] != []
        found += len(taken)
    assert found == len(recorded)


def test_a_node_dies(nodes: Nodes, cameras: dict[str, HttpCamera], settings: Path, tmp_path: Path) -> None:
    clock = Clock()
    with Serving("127.0.0.1", 0) as serving:
        fleet = SpreadFleet(load_settings(settings), nodes.cluster, audience=serving, lease=LEASE, clock=clock)
        go(
            fleet,
            lambda: fleet.placed and running(fleet, 50) and all(finished_segments(tmp_path, name) for name in NAMES),
        )
        groups: dict[str, set[str]] = {}
        for keeper in fleet._keepers:
            groups.setdefault(keeper._node, set()).update(keeper.cameras)
        assert {*groups} == {*nodes.nodes}  # both have their part

        server: Any = serving._server
        for path in ("/cameras", "/metrics"):
            assert all(f'"{name}"' in ask(server, path).text for name in NAMES)
        assert 'mjpeg_restore_healthy{camera="a"} 1.0' in ask(server, "/metrics").text

        victim = next(iter(groups))
        finished = {path: digest(path) for name in NAMES for path in finished_segments(tmp_path, name)}
        assert {path.name[0] for path in finished} == {*NAMES}
        dead = [keeper for keeper in fleet._keepers if keeper._node == victim]
        nodes.kill(victim)
        go(fleet, lambda: all(keeper.moves for keeper in dead))
        clock.skip(LEASE)  # the node is not merely cut off
        go(fleet, lambda: running(fleet, 50))
        assert {keeper._node for keeper in fleet._keepers} == {*nodes.nodes}
        assert fleet.close()

    assert {path: digest(path) for path in finished} == finished
    for name in NAMES:
        one = fleet.cameras[name]
        assert (one.status.state, one.status.restarts) == ("stopped", int(name in groups[victim]))
        check_recording(cameras[name], segments(tmp_path, name), connections=1 + (name in groups[victim]))


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@needs_linux
def test_a_node_is_cut_off_and_goes_on_for_a_while(
    nodes: Nodes, cameras: dict[str, HttpCamera], settings: Path, tmp_path: Path
) -> None:
    nodes.add()
    fleet = SpreadFleet(load_settings(settings), nodes.cluster, lease=LEASE)
    go(fleet, lambda: fleet.placed and running(fleet, 30))
    victim = fleet._keepers[0]._node
    moved = {name for keeper in fleet._keepers if keeper._node == victim for name in keeper.cameras}
    with nodes.cut_off(victim):
        go(fleet, lambda: all(keeper._node != victim for keeper in fleet._keepers) and running(fleet, 30))
        assert fleet.close()
    for name in NAMES:
        check_recording(cameras[name], segments(tmp_path, name), connections=1 + (name in moved))


def test_a_process_crashes(nodes: Nodes, cameras: dict[str, HttpCamera], settings: Path, tmp_path: Path) -> None:
    fleet = SpreadFleet(load_settings(settings), nodes.cluster)
    go(fleet, lambda: fleet.placed and running(fleet, 30))
    ray.kill(fleet._keepers[0]._actor._handle, no_restart=False)
    crashed = {*fleet._keepers[0].cameras}
    go(fleet, lambda: fleet._keepers[0].moves > 0 and running(fleet, 30))
    assert fleet.close()
    for name, one in fleet.cameras.items():
        assert one.status.restarts == (name in crashed)
        check_recording(cameras[name], segments(tmp_path, name), connections=1 + (name in crashed))


def test_new_settings_start_stop_and_restart(nodes: Nodes, settings: Path) -> None:
    text = settings.read_text()
    settings.write_text(text.partition("[cameras.c]")[0])
    fleet = SpreadFleet(load_settings(settings), nodes.cluster)
    try:
        go(fleet, lambda: fleet.placed and running(fleet, 10))
        settings.write_text(text.replace("[cameras.a]", "[cameras.e]"))
        changes = fleet.apply(load_settings(settings))
        assert (changes.started, changes.stopped, changes.kept) == (("e", "c", "d"), ("a",), ("b",))
        go(fleet, lambda: fleet.placed and running(fleet, 10))
        assert [*fleet.cameras] == ["e", "b", "c", "d"]
        assert fleet.cameras["b"].status.restarts == 0
    finally:
        assert fleet.close()


def test_what_no_node_can_run_is_one_line(nodes: Nodes, settings: Path) -> None:
    settings.write_text(settings.read_text().replace('"onnxruntime"', '"cuda"'))
    fleet = SpreadFleet(load_settings(settings), nodes.cluster)
    with pytest.raises(ClusterError, match="no node of the cluster has a GPU"):
        go(fleet, lambda: False)
    fleet.close()


def only_here() -> None:
    """Of a module that the nodes do not find: pytest imports tests by their names alone."""


def test_errors_pass_between_processes(nodes: Nodes) -> None:
    with pytest.raises(UnknownModel, match="no model 'x'"):
        nodes.cluster.task(fails, cpus=0).result(PATIENCE)
    with pytest.raises(ClusterError) as caught:
        nodes.cluster.task(breaks, cpus=0).result(PATIENCE)
    assert str(caught.value) == "on a node: ValueError: a fault"
    with pytest.raises(ClusterError, match="a node lacks mjpeg-restore"):
        nodes.cluster.task(only_here, cpus=0).result(PATIENCE)
    with pytest.raises(MjpegRestoreError, match=r"no answer in 0\.1 s"):
        nodes.cluster.task(breaks, cpus=64).result(0.1)
