"""What is asked before cameras are placed: what they send, and what their networks cost on the nodes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mjpeg_restore.errors import ClusterError, SettingsError, SourceError, UnknownModel
from mjpeg_restore.fleet import CameraSettings, NetworkChoice
from mjpeg_restore.fleet.spread import refuse_local
from mjpeg_restore.fleet.spread.measuring import Probe, measure, probe
from mjpeg_restore.fleet.spread.placement import Cost, Load
from mjpeg_restore.fleet.spread.survey import TYPICAL, Survey
from mjpeg_restore.sources import Source
from mjpeg_restore.testing import ListSource, jpegs
from tests.fleet.clusters import Clock, Node, ScriptedCluster, Waiting
from tests.fleet.scripted import NETWORK, camera, settings


def surveyed(cluster: Any, *cameras: CameraSettings, known: dict[NetworkChoice, Cost] | None = None) -> Survey:
    survey = Survey(cluster, cameras, known or {})
    assert survey.advance()
    return survey


def answering(costs: dict[str, Any], seen: tuple[str, ...] = ()) -> Callable[..., Any]:
    """Tasks: probes of the cameras that answer, and costs by node."""

    def task(function: Callable[..., Any], node: str | None, *arguments: Any) -> Any:
        if function is probe:
            return {name: Probe(Load(640, 480, 10), (b"jpeg",)) for name in seen}
        return costs[node or ""]

    return task


# ---- cameras ----


def test_the_rate_and_size_of_cameras_are_measured_all_at_once() -> None:
    def open(one: CameraSettings) -> Source:
        if one.name == "off":
            raise SourceError("nobody there")
        if one.name == "dark":
            return ListSource([], live=True)
        size, step = {"fast": ((64, 48), 20), "slow": ((96, 64), 100)}[one.name]
        return ListSource(jpegs(61, size), (step * index for index in range(61)), live=True)

    found = probe([camera(name) for name in ("fast", "slow", "off", "dark")], open)
    assert sorted(found) == ["fast", "slow"]
    fast, slow = found["fast"].load, found["slow"].load
    assert (fast.width, fast.height, slow.width, slow.height) == (64, 48, 96, 64)
    assert fast.fps > slow.fps > 1
    assert slow.fps < 11
    assert found["slow"].pictures[0].startswith(b"\xff\xd8")


def test_a_camera_that_sends_one_picture_and_then_nothing_does_not_stop_the_survey(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("mjpeg_restore.fleet.spread.measuring._WAIT", 0.2)

    found = probe([camera("a")], lambda one: ListSource(jpegs(1), live=True, ends=False))
    assert found["a"].load.fps == 1


def test_a_camera_that_does_not_answer_is_taken_for_one_like_the_others(caplog: pytest.LogCaptureFixture) -> None:
    cluster = ScriptedCluster(task=answering({"1": Cost(0.1)}, ("on",)))
    assert surveyed(cluster, camera("on"), camera("off")).loads == dict.fromkeys(("on", "off"), Load(640, 480, 10))
    assert "placed as if of 640x480 at 10 frames/s, for they send nothing now: off" in caplog.text
    cluster = ScriptedCluster(task=answering({"1": Cost(0.1)}))
    assert surveyed(cluster, camera("off")).loads == {"off": TYPICAL}


# ---- nodes ----


def test_a_network_costs_cores_and_less_than_a_second_for_a_megapixel_of_decode() -> None:
    cost = measure(NETWORK, jpegs(4))
    assert cost.cpu > 0
    assert cost.gpu == 0
    assert measure(NETWORK, jpegs(4), gpu=True).gpu > 0


def test_the_dearest_node_counts() -> None:
    cluster = ScriptedCluster(Node("1"), Node("2"), Node("3", cpus=0), task=answering({"1": Cost(0.1), "2": Cost(0.3)}))
    assert surveyed(cluster, camera("a")).costs == {NETWORK: Cost(0.3)}


def test_a_node_that_cannot_run_it_is_passed_over_and_none_is_an_error() -> None:
    costs: dict[str, Any] = {"1": UnknownModel("no model 'x'"), "2": Cost(0.3)}
    nodes = Node("1"), Node("2")
    assert surveyed(ScriptedCluster(*nodes, task=answering(costs)), camera("a")).costs == {NETWORK: Cost(0.3)}
    costs["2"] = costs["1"]
    with pytest.raises(UnknownModel):
        surveyed(ScriptedCluster(*nodes, task=answering(costs)), camera("a"))


def test_a_node_that_does_not_answer_is_waited_for_and_not_for_ever() -> None:
    cluster: Any = ScriptedCluster(Node("1"), Node("2"), task=answering({"1": Waiting(None), "2": Cost(0.3)}))
    clock = Clock()
    survey = Survey(cluster, [camera("a")], {}, clock)
    assert not survey.advance()
    clock.now += 3600
    assert survey.advance()
    assert survey.costs == {NETWORK: Cost(0.3)}


@pytest.mark.parametrize(
    ("device", "asked"),
    [("auto", "gpu"), ("cuda:0", "gpu"), ("openvino", "cpu"), ("tensorrt", "gpu"), ("torch:cpu", "cpu")],
)
def test_networks_are_measured_where_they_will_run(device: str, asked: str) -> None:
    cluster = ScriptedCluster(
        Node("cpu"), Node("gpu", gpus=1, cpus=0), task=answering({"cpu": Cost(0.1), "gpu": Cost(0.01, 0.001)})
    )
    choice = NetworkChoice("stream", device)
    assert bool(surveyed(cluster, camera("a", network=choice)).costs[choice].gpu) == (asked == "gpu")


def test_a_gpu_that_no_node_has_is_an_error() -> None:
    with pytest.raises(ClusterError, match="no node of the cluster has a GPU"):
        surveyed(ScriptedCluster(task=answering({})), camera("a", network=NetworkChoice("stream", "cuda")))


def test_what_is_known_is_not_measured_again() -> None:
    assert surveyed(ScriptedCluster(task=answering({})), camera("a"), known={NETWORK: Cost(0.2)}).costs == {
        NETWORK: Cost(0.2)
    }


# ---- what cannot run elsewhere ----


def test_devices_pipes_and_recordings_are_refused_all_at_once() -> None:
    cameras = settings(
        camera("web", source="https://cam/video"),
        camera("stick", source="/dev/video0"),
        camera("usb", source="v4l2:/dev/cam"),
        camera("pipe", source="/run/cam", live=True),
        camera("tape", source="/srv/tape.avi"),
    )
    with pytest.raises(SettingsError) as caught:
        refuse_local(cameras, "cameras.toml")
    assert [line.split(": ")[1] for line in caught.value.mistakes] == [
        f"cameras.{name}.source" for name in ("stick", "usb", "pipe", "tape")
    ]
    with pytest.raises(SettingsError, match="tape") as caught:
        refuse_local(cameras, "cameras.toml", here=True)
    assert len(caught.value.mistakes) == 1
    refuse_local(settings(*cameras.cameras[:1]), "cameras.toml")
