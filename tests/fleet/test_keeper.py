"""A group of cameras on a node that dies, is cut off, or has no room: who runs them, and when."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest

from mjpeg_restore.errors import ClusterLost, UnknownModel
from mjpeg_restore.fleet import RunSettings, Status
from mjpeg_restore.fleet.spread.fleet import SpreadFleet
from mjpeg_restore.fleet.spread.group import LogLine, Seen, Sight
from mjpeg_restore.fleet.spread.keeper import Keeper
from mjpeg_restore.fleet.spread.measuring import probe
from mjpeg_restore.fleet.spread.placement import Cost, Placement, Share
from mjpeg_restore.fleet.spread.remote import RemoteCamera
from mjpeg_restore.report import Report
from tests.fleet.clusters import Answered, Clock, Node, ScriptedActor, ScriptedCluster, Waiting
from tests.fleet.scripted import camera, settings

LEASE = 10.0
LOST = ClusterLost("no answer")


class Kept:
    """A keeper of one camera, with everything around it."""

    def __init__(self, *outputs: str, begun: dict[str, int] | None = None) -> None:
        self.cluster, self.clock = ScriptedCluster(Node("1"), Node("2")), Clock()
        self.camera = RemoteCamera(camera("door", *outputs))
        cluster: Any = self.cluster
        placement = Placement((), Share(0.5), 3)
        self.keeper = Keeper(
            cluster, [self.camera], placement, RunSettings(), begun=begun, lease=LEASE, clock=self.clock
        )

    @property
    def actor(self) -> ScriptedActor:
        (actor,) = self.cluster.actors
        return actor

    def go(self, seconds: float) -> None:
        for _ in range(round(seconds / 0.05)):
            self.keeper.advance()
            self.clock.now += 0.05

    def runs(self) -> int:
        return self.actor.methods.count("run")

    def told(self) -> dict[str, int]:
        """What was written before, as the group was told last."""
        return next(arguments[1] for method, arguments in reversed(self.actor.calls) if method == "run")


@pytest.fixture
def kept() -> Kept:
    """One that runs on node 1."""
    kept = Kept()
    kept.go(3)
    assert kept.actor.methods[:3] == ["look", "run", "look"] and kept.runs() == 1
    assert kept.camera.status == Status("running") and kept.camera.report.frames == 7
    return kept


def test_it_is_looked_at_each_second_and_ten_times_while_somebody_watches(kept: Kept) -> None:
    before = len(kept.actor.calls)
    kept.go(10)
    assert 8 <= len(kept.actor.calls) - before <= 11
    kept.camera.sink.watched = kept.camera.sink.original = True
    before = len(kept.actor.calls)
    kept.go(1)
    assert len(kept.actor.calls) - before >= 5
    assert kept.actor.calls[-1] == ("look", ({"door": True},))


def test_after_a_crash_the_cameras_begin_at_once(kept: Kept) -> None:
    kept.actor.die("1")
    kept.go(5)
    assert kept.runs() == 2
    assert kept.keeper.moves == 1
    assert kept.camera.status == Status("running", restarts=1)


def test_the_next_process_is_told_what_those_before_have_written(kept: Kept) -> None:
    assert kept.told() == {}
    for begun, known in (({"a": -1, "b": 7}, {"a": -1, "b": 7}), ({"b": 9}, {"a": -1, "b": 9})):
        kept.actor.begun = begun
        kept.go(2)
        kept.actor.die("1")
        kept.go(30)
        assert kept.told() == known


def test_a_group_that_takes_over_an_output_is_told_what_was_written_there() -> None:
    begun = {"/door.y4m": -1, "/pictures/%d.png": 7, "/yard.y4m": -1}
    kept = Kept("/door.y4m", "/pictures/", "/new.y4m", begun=begun)
    kept.actor.begun = {"/pictures/%d.png": 5, "/new.y4m": -1}
    kept.go(3)
    assert kept.told() == {"/door.y4m": -1, "/pictures/%d.png": 7}
    assert begun == {"/door.y4m": -1, "/pictures/%d.png": 7, "/yard.y4m": -1, "/new.y4m": -1}


@pytest.mark.parametrize("ends", ["well", "with its process"])
def test_a_camera_that_gets_another_name_goes_on_in_its_output(ends: str) -> None:
    def task(function: Callable[..., Any], node: str | None, *arguments: Any) -> Any:
        return {} if function is probe else Cost(0.1)

    scripted, clock = ScriptedCluster(task=task), Clock()
    cluster: Any = scripted
    outputs = "/door.y4m", "/pictures/"
    fleet = SpreadFleet(settings(camera("door", *outputs)), cluster, clock=clock)

    def told() -> dict[str, int]:
        for _ in range(100):
            fleet.advance()
            clock.now += 0.1
            if "run" in (methods := scripted.actors[-1].methods) and methods[-1] != "run":
                break
        return next(arguments[1] for method, arguments in scripted.actors[-1].calls if method == "run")

    fleet.advance()
    scripted.actors[0].begun = {"/door.y4m": -1}
    assert told() == {}
    fleet.advance()
    known = dict(scripted.actors[0].begun)
    scripted.actors[0].begun = {**known, "/pictures/%d.png": 7}  # since the last look
    if ends == "well":
        known = scripted.actors[0].begun
    else:
        scripted.actors[0].die("1")
    fleet.apply(settings(camera("gate", *outputs)))
    fleet.advance()
    assert len(scripted.actors) == 2 and told() == known
    assert scripted.actors[0].killed


def test_on_another_node_they_begin_when_the_lease_of_the_one_before_is_over(kept: Kept) -> None:
    kept.actor.die("2")
    kept.cluster.nodes = [Node("2")]
    kept.go(LEASE)
    assert kept.camera.status.reason.startswith("its process has ended: begins anew in ")
    assert kept.runs() == 1  # node 1 may be cut off, and record until then
    kept.go(4)
    assert kept.runs() == 2
    assert kept.camera.status == Status("running", restarts=1)


def test_the_lease_counts_from_the_last_call_that_may_have_arrived(kept: Kept) -> None:
    kept.actor.die("2")
    kept.cluster.nodes = [Node("2")]
    kept.actor.answers.extend([LOST, LOST])  # the cluster notices the death after a while
    kept.go(LEASE)
    assert kept.runs() == 1
    kept.go(8)
    assert kept.runs() == 2


def test_a_call_that_fails_while_the_process_lives_changes_nothing(kept: Kept) -> None:
    kept.actor.answers.append(LOST)
    while kept.camera.status.state == "running":
        kept.go(0.05)
    assert (kept.camera.status.state, kept.camera.status.reason) == ("failed", "no answer")
    kept.go(5)
    assert kept.runs() == 1 and kept.keeper.moves == 0
    assert kept.camera.status == Status("running")


def test_cameras_whose_lease_is_over_begin_anew(kept: Kept) -> None:
    kept.actor.running = False
    kept.go(4)
    assert kept.runs() == 2 and kept.camera.status == Status("running", restarts=1)


def test_one_that_crashes_all_the_time_is_told_ever_less_often(kept: Kept) -> None:
    for _ in range(600):
        if kept.actor.running:
            kept.actor.die("1")
        kept.go(1)
    assert 5 < kept.runs() < 60


def test_a_network_that_cannot_be_loaded_there_is_tried_again(kept: Kept) -> None:
    kept.actor.answers.append(UnknownModel("no model 'x'"))
    kept.keeper.set([kept.camera])
    kept.go(0.2)
    assert kept.camera.status.reason == "no model 'x'"
    kept.go(10)
    assert kept.runs() == 3 and kept.camera.status.state == "running"


def test_while_no_node_has_room_the_cameras_say_so() -> None:
    kept = Kept()
    kept.actor.answers.append(Waiting(None))
    kept.go(4)
    assert kept.camera.status.state == "starting"
    kept.go(4)
    assert kept.camera.status == Status("failed", "waits for a node that has 0.5 CPU free")


def test_after_a_death_they_say_so_too(kept: Kept) -> None:
    kept.actor.die("2")
    kept.actor.answers.append(Waiting(None))
    kept.go(12)
    assert kept.camera.status.reason == "waits for a node that has 0.5 CPU free"


def test_what_the_last_look_took_is_told_though_the_end_came_before_its_answer(
    kept: Kept, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    line = LogLine("mjpeg_restore.fleet", logging.INFO, "door: reading http://door/", "starting", "door")
    kept.actor.answers.append(Answered(Sight("1", (), (line,), {"/door.mkv": 3})))
    while kept.actor.answers:
        kept.go(0.05)
    close = kept.keeper.close()
    assert close is not None
    kept.keeper.finish(close.result())
    assert "door: reading http://door/" in caplog.messages
    assert kept.camera.report.frames == 7


@pytest.mark.parametrize("answer", [Answered(LOST), Waiting(None), Answered(None)])
def test_a_last_look_that_fails_takes_nothing_from_the_end(kept: Kept, answer: Answered) -> None:
    kept.actor.answers.append(answer)
    while kept.actor.answers:
        kept.go(0.05)
    kept.keeper.finish(Sight("1", (Seen("door", Status("stopped"), "http://door/", True, Report(frames=9)),)))
    assert kept.camera.report.frames == 9


def test_the_threads_of_a_group_are_those_of_its_placement(kept: Kept) -> None:
    told, _ = kept.actor.calls[1][1]
    assert told.run.threads == 3
    assert [one.name for one in told.cameras] == ["door"]
