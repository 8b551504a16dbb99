"""Cameras that are more than a process or a cluster can restore: the log says so, and they run."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest

from mjpeg_restore.fleet import FleetSettings, RunSettings
from mjpeg_restore.fleet.spread.fleet import SpreadFleet
from mjpeg_restore.fleet.spread.measuring import Probe, probe
from mjpeg_restore.fleet.spread.placement import Cost, Load
from tests.fleet.clusters import Node, ScriptedCluster
from tests.fleet.scripted import camera


def placed(load: Load, nodes: int, cpus: float) -> SpreadFleet:
    """Two cameras of that load on nodes with that many cores, of which one restores 10 megapixels/s."""

    def task(function: Callable[..., Any], node: str | None, *arguments: Any) -> Any:
        return {name: Probe(load, (b"jpeg",)) for name in ("door", "yard")} if function is probe else Cost(0.1)

    cluster: Any = ScriptedCluster(*(Node(str(number), cpus) for number in range(nodes)), task=task)
    fleet = SpreadFleet(FleetSettings((camera("door"), camera("yard")), RunSettings()), cluster)
    fleet.advance()
    assert fleet.placed
    return fleet


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def test_enough_room_is_not_worth_a_line(caplog: pytest.LogCaptureFixture) -> None:
    placed(Load(1000, 1000, 20), nodes=2, cpus=8)  # 2 cores each
    assert warnings(caplog) == []


def test_a_camera_that_is_more_than_a_process_has(caplog: pytest.LogCaptureFixture) -> None:
    fleet = placed(Load(1000, 1000, 60), nodes=2, cpus=32)
    assert warnings(caplog) == [
        f"{name}: needs 6 CPU, more than one process has: late pictures will be dropped" for name in ("door", "yard")
    ]
    assert len(fleet._keepers) == 2


def test_cameras_that_are_more_than_the_cluster_has(caplog: pytest.LogCaptureFixture) -> None:
    placed(Load(1000, 1000, 20), nodes=1, cpus=3)
    assert "these cameras need 4 CPU, and the cluster has 3 CPU: late pictures will be dropped" in warnings(caplog)
