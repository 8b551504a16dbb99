"""An archive on a cluster of Ray's: several nodes on this machine, of which one is killed."""

from __future__ import annotations

import os
import random
import sys
import threading
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from mjpeg_restore.archive.on_ray import RayWorkers, find_workers
from mjpeg_restore.errors import ClusterError, MissingExtra
from tests.archive.comparing import InlineWorkers, archive, settings
from tests.archive.poisoned import Poisoned, node_file, resources, restore_part_on_a_node_that_is_killed
from tests.archive.recordings import PICTURES, damaged, muxed, raw, uneven
from tests.archive.test_archive_runs import files, lines
from tests.lacking import needs
from tests.patience import PATIENCE, until

ray = needs("ray")
cluster_utils = needs("ray.cluster_utils")

# Ray leaves sockets and files to the end of the process.
pytestmark = [pytest.mark.slow, pytest.mark.network, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(scope="module")
def cluster() -> Generator[Any]:
    """A head that does no tasks, and two nodes of one core."""
    os.environ["RAY_DISABLE_IMPORT_WARNING"] = "1"
    soon = {"health_check_initial_delay_ms": 0, "health_check_period_ms": 300, "health_check_failure_threshold": 3}
    head = {"num_cpus": 0, "include_dashboard": False, "_system_config": soon}
    cluster = cluster_utils.Cluster(initialize_head=True, head_node_args=head)
    try:
        for _ in range(2):
            cluster.add_node(num_cpus=1)
        yield cluster
    finally:
        ray.shutdown()
        cluster.shutdown()


@pytest.fixture(scope="module")
def connection(cluster: Any) -> Generator[Any]:
    """To the nodes."""
    from mjpeg_restore.cluster import Cluster

    with Cluster(cluster.address) as connection:
        yield connection


@pytest.fixture(scope="module")
def workers(connection: Any) -> RayWorkers:
    return RayWorkers(connection)


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    """Recordings of all kinds: long and short, damaged, with sound, and no recordings."""
    rng = random.Random(7)
    folder = tmp_path / "rec"
    (folder / "cam").mkdir(parents=True)
    muxed(folder / "cam" / "sound.mov", PICTURES, uneven, sound="pcm_s16le")
    broken = [damaged(rng, number) if rng.random() < 0.3 else data for number, data in enumerate(PICTURES)]
    muxed(folder / "cam" / "broken.mkv", broken)
    raw(folder / "cam" / "stream.mjpeg", PICTURES)
    raw(folder / "short.mjpeg", PICTURES[:7])
    raw(folder / "poison.mjpeg", PICTURES[:7])
    (folder / "notes.txt").write_text("nothing to see")
    return folder


def test_a_node_is_killed_in_the_middle(cluster: Any, workers: RayWorkers, recordings: Path, tmp_path: Path) -> None:
    out, chosen = tmp_path / "out", settings(codec="h264")
    assert workers.slots == 2
    watched = Poisoned(workers, restore_part=restore_part_on_a_node_that_is_killed)
    killed: list[str] = []

    def kill() -> None:
        until(lambda: node_file(out).exists() and node_file(out).read_text() != "")
        (node,) = (one for one in cluster.worker_nodes if one.node_id == node_file(out).read_text())
        cluster.remove_node(node, allow_graceful=False)
        killed.append(node.node_id)

    killing = threading.Thread(target=kill)
    killing.start()
    report, _ = archive(recordings, out, chosen, watched)
    killing.join()
    assert killed
    assert watched.done.count("restore_part") > 3
    assert (report.done, report.refused, report.failed) == (4, 1, 1)
    assert {name: line["status"] for name, line in lines(out).items() if line["status"] != "done"} == {
        "notes.txt": "refused",
        "poison.mjpeg": "failed",
    }
    (recordings / "poison.mjpeg").unlink()
    archive(recordings, tmp_path / "alone", chosen, InlineWorkers())
    restored = files(out)
    assert {name: data for name, data in restored.items() if not name.startswith(".")} == files(tmp_path / "alone")
    report, second = archive(recordings, out, chosen, InlineWorkers())
    assert second.tasks == []
    cluster.add_node(num_cpus=1)


def test_gpus_are_shared_and_cores_do_the_rest(cluster: Any, connection: Any) -> None:
    node = cluster.add_node(num_cpus=6, num_gpus=1)  # as Ray counts them: nothing is computed there
    try:
        for device, gpus, slots in (("auto", 4, 8), ("openvino", 0, 8), ("cuda", 4, 4)):
            chosen = RayWorkers(connection, device)
            until(lambda chosen=chosen, slots=slots: chosen.slots == slots)
            futures = [chosen.submit(resources) for _ in range(slots)]
            shares = [future.result(PATIENCE).get("GPU", 0) for future in futures]
            assert shares.count(0.25) == gpus
            assert shares.count(0) == slots - gpus
    finally:
        cluster.remove_node(node)


def only_here() -> None:
    """Workers cannot import this module."""


def test_a_machine_without_the_package(workers: RayWorkers) -> None:
    with pytest.raises(ClusterError, match="a node lacks mjpeg-restore"):
        workers.submit(only_here).result(PATIENCE)


def test_a_cluster_that_does_not_answer() -> None:
    with pytest.raises(ClusterError, match=r"no Ray cluster at 127\.0\.0\.1:1"):
        find_workers("127.0.0.1:1", "auto", None, InlineWorkers)


def test_processes_take_the_place_of_a_cluster_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr("mjpeg_restore.ray_address._CURRENT", Path("/nowhere"))
    inline = InlineWorkers()
    for address in ("off", "auto"):
        assert find_workers(address, "auto", None, lambda: inline) is inline
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    assert find_workers("auto", "auto", None, lambda: inline) is inline


def test_ray_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.delitem(sys.modules, "mjpeg_restore.cluster", raising=False)
    with pytest.raises(MissingExtra, match=r"needs Ray: pip install ray .*mjpeg-restore\[ray\]"):
        find_workers("local", "auto", None, InlineWorkers)
