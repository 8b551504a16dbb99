"""Cameras beside one another: what one does, fails at or changes does not concern the others."""

from __future__ import annotations

import logging
import os
import re
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from mjpeg_restore.fleet import CameraSettings, Fleet, FleetSettings, NetworkChoice, OutputChoice, RunSettings, Status
from mjpeg_restore.fleet.camera import Camera
from mjpeg_restore.frames import Packet
from mjpeg_restore.outlets import Outlet
from mjpeg_restore.sinks import OutputSettings
from mjpeg_restore.sources import LiveSettings, Source
from mjpeg_restore.testing import Collect
from tests.fleet.scripted import BASE, Scripted, Town, camera, running, settings
from tests.lacking import needs_named_pipes
from tests.patience import PATIENCE, until
from tests.streams import still


def test_cameras_share_a_network_and_a_pool(tmp_path: Path) -> None:
    before = threading.active_count()
    cameras = [camera(f"c{number}", tmp_path / f"{number}.y4m") for number in range(8)]
    with Fleet(settings(*cameras), open=Town().open) as fleet:
        until(lambda: running(fleet, *fleet.cameras))
        assert len({id(one._restorer) for one in fleet.cameras.values()}) == 1
        assert threading.active_count() - before <= 2 * 8 + 1  # each camera's own, and its dropping of late pictures
    assert {one.status.state for one in fleet.cameras.values()} == {"stopped"}
    for number in range(8):
        assert (tmp_path / f"{number}.y4m").stat().st_size > 64 * 48
    until(lambda: threading.active_count() <= before)  # fewer, if those of the tests before have ended


@pytest.mark.parametrize(("cameras", "streams"), [(1, 1), (2, 2), (9, 4)])
def test_few_cameras_have_several_threads_for_each_picture(cameras: int, streams: int) -> None:
    sharing = [camera(f"c{number}") for number in range(cameras)]
    other = camera("other", network=NetworkChoice("stream-lite", "onnxruntime"))
    with Fleet(FleetSettings((*sharing, other), RunSettings(threads=4)), open=Town().open) as fleet:
        assert fleet.cameras["c0"]._restorer.streams == streams
        assert fleet.cameras["other"]._restorer.streams == 1


@pytest.mark.parametrize("script", ["breaks", "refuses", "advises", "crashes", "exits", "gives up"])
def test_one_that_fails_is_run_again_and_leaves_the_others_alone(script: str, tmp_path: Path) -> None:
    town = Town(bad=script)
    cameras = [camera(name, tmp_path / f"{name}.y4m") for name in ("good", "bad", "fine")]
    with Fleet(settings(*cameras), open=town.open) as fleet:
        until(lambda: fleet.cameras["bad"].status.restarts > 0 and running(fleet, "good", "fine"))
        found: list[Status] = []
        until(lambda: found.append(fleet.cameras["bad"].status) or found[-1].state == "failed")
        status = found[-1]
        assert town.opened.count("bad") >= 2
        assert town.opened.count("good") == town.opened.count("fine") == 1
    assert (
        status.reason
        == {
            "breaks": "the wire is cut",
            "refuses": "http://bad/ refuses the user name and password",
            "advises": "http://bad/ is not to be trusted: insecure = true accepts any",
            "crashes": "RuntimeError: a fault of the program",
            "exits": "SystemExit: 3",
            "gives up": "nothing came for 5 s, gave up",
        }[script]
    )
    assert status.retry_in is not None


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_one_whose_thread_fails_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(one: Camera, failure: str, lasted: float) -> None:
        raise RuntimeError("no room for the log")

    monkeypatch.setattr(Camera, "_fail", fail)
    told = threading.Event()
    with Fleet(settings(camera("bad")), open=Town(bad="refuses").open, changed=told.set) as fleet:
        assert told.wait(PATIENCE)
        assert fleet.ended
        assert fleet.cameras["bad"].wait(PATIENCE)


def test_one_that_recovers_is_running_again() -> None:
    town = Town(bad="refuses")
    with Fleet(settings(camera("bad")), open=town.open) as fleet:
        until(lambda: fleet.cameras["bad"].status.state == "failed")
        town.scripts["bad"] = ""
        until(lambda: running(fleet, "bad"))
        assert fleet.cameras["bad"].status.restarts == 1


def test_an_output_that_fails_leaves_the_camera_and_its_other_outputs_alone(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.y4m", tmp_path / "none" / "bad.y4m"
    with Fleet(settings(camera("door", good, bad)), open=Town().open) as fleet:
        until(lambda: running(fleet, "door"))
        reason = fleet.cameras["door"].status.reason
        assert reason.startswith(f"{bad}: cannot write to {tmp_path}/none")
        bad.parent.mkdir()
        until(bad.exists)
    assert good.stat().st_size > bad.stat().st_size > 64 * 48


def test_a_folder_of_pictures_goes_on_when_its_camera_begins_anew_and_only_then(tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    door = replace(camera("door"), outputs=(OutputChoice(str(folder)),))
    with Fleet(settings(door), open=Town(door="breaks").open) as fleet:
        until(lambda: folder.is_dir() and len([*folder.iterdir()]) >= 10)
    names = sorted(path.name for path in folder.iterdir())
    assert names == [f"{number:06}.png" for number in range(len(names))]
    with Fleet(settings(door), open=Town().open) as fleet:
        until(lambda: running(fleet, "door"))
        assert f"{folder}: holds {len(names)} files already" in fleet.cameras["door"].status.reason
    assert sorted(path.name for path in folder.iterdir()) == names


def test_pictures_wait_for_the_folder_that_theirs_is_made_in(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    door = replace(camera("door"), outputs=(OutputChoice(f"{disk}/pictures/"),))
    with Fleet(settings(door), open=Town().open) as fleet:
        until(lambda: running(fleet, "door"))
        assert (
            fleet.cameras["door"].status.reason == f"{disk}/pictures/: there is no folder {disk}: is its disk mounted?"
        )
        assert not disk.exists()
        disk.mkdir()
        until(lambda: [*disk.glob("pictures/[0-9]*.png")])


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("name", ["door.y4m", "raw:door.bin", "door.mkv"])
def test_a_file_keeps_what_it_has_when_its_camera_begins_anew(
    name: str, overwrite: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    first = tmp_path / name.removeprefix("raw:")
    if overwrite:
        first.write_bytes(b"of another time")
    prefix = "raw:" if name.startswith("raw:") else ""
    door = replace(
        camera("door"), outputs=(OutputChoice(f"{prefix}{first}", OutputSettings(overwrite=overwrite, threads=1)),)
    )
    town = Town(door="breaks")
    with Fleet(settings(door), open=town.open) as fleet:
        until(lambda: len([*tmp_path.iterdir()]) >= 2 and fleet.cameras["door"].status.restarts >= 2)
    assert not fleet.cameras["door"].status.reason
    assert all(re.fullmatch(r"door(-.*T.*Z)?\.\w+", path.name) for path in tmp_path.iterdir())
    assert all(path.stat().st_size > 64 * 48 / 10 for path in tmp_path.iterdir())
    assert b"of another time" not in first.read_bytes()
    renamed = [line for line in caplog.messages if "is kept, what follows is" in line]
    assert {line.rpartition(" ")[2] for line in renamed} == {str(path) for path in tmp_path.iterdir() if path != first}


def test_files_that_cameras_exchange_keep_what_this_run_has_recorded(tmp_path: Path) -> None:
    x, y = tmp_path / "x.y4m", tmp_path / "y.y4m"
    with Fleet(settings(camera("a", x), camera("b", y)), open=Town().open) as fleet:
        until(lambda: x.exists() and y.exists() and running(fleet, "a", "b"))
        before = [path.stat().st_ino for path in (x, y)]
        fleet.apply(settings(camera("a", y), camera("renamed", x)))
        until(lambda: running(fleet, "a", "renamed"))
    assert [path.stat().st_ino for path in (x, y)] == before
    assert len([*tmp_path.glob("[xy]-*Z.y4m")]) == 2


def test_recordings_end_by_themselves(tmp_path: Path) -> None:
    ended = threading.Semaphore(0)
    town = Town(a="recording", b="recording")
    cameras = [camera(name, tmp_path / f"{name}.y4m") for name in "ab"]
    with Fleet(settings(*cameras), open=town.open, changed=ended.release) as fleet:
        for _ in cameras:
            assert ended.acquire(timeout=30)
        assert fleet.ended
        assert [one.status.state for one in fleet.cameras.values()] == ["ended", "ended"]
        assert [one.report.frames for one in fleet.cameras.values()] == [5, 5]


def test_a_fleet_without_cameras_waits_for_some() -> None:
    with Fleet(settings(), open=Town(door="recording").open) as fleet:
        assert not fleet.ended
        assert str(fleet.apply(settings())) == "no cameras"
        fleet.apply(settings(camera("door")))
        until(lambda: fleet.ended)


def test_a_live_camera_without_pictures_is_stalled() -> None:
    begin = threading.Event()

    class Quiet(Scripted):
        def __iter__(self) -> Iterator[Packet]:
            begin.wait(30)
            yield Packet(still(), 0, 0, BASE, arrived=time.monotonic())
            self._status.connected = False
            self._done.wait(30)

    with Fleet(settings(camera("door")), open=lambda one: Quiet(one, "")) as fleet:
        assert fleet.cameras["door"].status.state == "starting"
        begin.set()
        until(lambda: fleet.cameras["door"].status.state == "stalled")


# ---- new settings ----


def test_new_settings_touch_only_what_has_changed(tmp_path: Path) -> None:
    town = Town()
    kept, changed, gone, new = (camera(name, tmp_path / f"{name}.y4m") for name in ("kept", "changed", "gone", "new"))
    with Fleet(settings(kept, changed, gone), open=town.open) as fleet:
        until(lambda: running(fleet, "kept", "changed", "gone"))
        before = dict(fleet.cameras)
        report, thread = before["kept"].report, before["kept"]._thread
        again = replace(changed, connection=LiveSettings(stall_timeout=3))
        changes = fleet.apply(settings(new, again, replace(kept)))
        assert str(changes) == "started: new; stopped: gone; restarted: changed; kept: kept"
        assert [*fleet.cameras] == ["new", "changed", "kept"]
        until(lambda: running(fleet, "kept", "changed", "new"))
        frames = report.frames
        until(lambda: report.frames > frames)
        assert fleet.cameras["kept"] is before["kept"]
        assert (fleet.cameras["kept"].report, fleet.cameras["kept"]._thread) == (report, thread)
        assert before["gone"].wait(30) and before["changed"].wait(30)
        assert before["gone"].status.state == "stopped"
    assert sorted(town.opened) == ["changed", "changed", "gone", "kept", "new"]
    assert (tmp_path / "gone.y4m").stat().st_size > 64 * 48


@pytest.mark.parametrize("between", [[], [settings()]], ids=["at once", "after it was gone"])
def test_a_camera_that_is_restarted_begins_when_the_one_before_has_ended(between: list[FleetSettings]) -> None:
    holds = threading.Event()

    class Slow(Scripted):
        def close(self) -> None:
            holds.wait(30)

    opened: list[int] = []

    def open(one: CameraSettings) -> Source:
        opened.append(len(opened))
        return Slow(one, "")

    with Fleet(settings(camera("door")), open=open) as fleet:
        until(lambda: running(fleet, "door"))
        for then in between:
            fleet.apply(then)
        fleet.apply(settings(camera("door", live=True)))
        time.sleep(0.1)
        assert opened == [0]
        holds.set()
        until(lambda: opened == [0, 1])


@pytest.mark.parametrize("shared", ["output", "source"])
def test_a_camera_with_another_name_begins_when_what_it_needs_is_free(shared: str, tmp_path: Path) -> None:
    holds = threading.Event()
    opened: list[str] = []

    class Slow(Scripted):
        def close(self) -> None:
            holds.wait(30)

    def open(one: CameraSettings) -> Source:
        opened.append(one.name)
        return Slow(one, "")

    old = camera("old", tmp_path / "a.y4m")
    new = camera("new", *([tmp_path / "a.y4m"] if shared == "output" else []))
    new = replace(new, source=old.source) if shared == "source" else new
    with Fleet(settings(old), open=open) as fleet:
        until(lambda: running(fleet, "old"))
        fleet.apply(settings(new, camera("other")))
        until(lambda: "other" in opened)  # one that shares nothing does not wait
        assert fleet.cameras["new"]._predecessors
        assert opened == ["old", "other"]
        holds.set()
        until(lambda: "new" in opened)


def test_one_that_is_stopped_while_it_connects_leaves_the_output_to_its_heir(tmp_path: Path) -> None:
    answers, begins = threading.Event(), threading.Event()

    class Slow(Scripted):
        def __iter__(self) -> Iterator[Packet]:
            begins.wait(30)
            yield from super().__iter__()

    def open(one: CameraSettings) -> Source:
        if one.name == "new":
            return Slow(one, "")
        answers.wait(30)
        return Scripted(one, "")

    with Fleet(settings(camera("old", tmp_path / "a.y4m")), open=open) as fleet:
        old = fleet.cameras["old"]
        fleet.apply(settings(camera("new", tmp_path / "a.y4m")))
        until(lambda: any(tmp_path.iterdir()))
        answers.set()
        assert old.wait(30)
        begins.set()
        until(lambda: running(fleet, "new"))
    assert fleet.cameras["new"].status == Status("stopped")
    assert (tmp_path / "a.y4m").stat().st_size > 64 * 48


def test_one_whose_server_accepts_and_says_nothing_ends_at_once_and_is_closed_when_it_answers() -> None:
    asked, answers, closed = threading.Event(), threading.Event(), threading.Event()

    class Late(Scripted):
        def close(self) -> None:
            closed.set()

    def open(one: CameraSettings) -> Source:
        asked.set()
        answers.wait(60)
        return Late(one, "")

    fleet = Fleet(settings(camera("door")), open=open)
    assert asked.wait(30)
    assert fleet.close(30) and not answers.is_set()
    answers.set()
    assert closed.wait(30)


def test_new_settings_keep_the_networks_that_are_still_wanted() -> None:
    door, yard = camera("door"), camera("yard")
    with Fleet(settings(door), open=Town().open) as fleet:
        first = fleet.cameras["door"]._restorer
        other = replace(yard, network=NetworkChoice("decode"))
        fleet.apply(settings(replace(door, live=True), yard, replace(other, name="shed")))
        restorers = {name: one._restorer for name, one in fleet.cameras.items()}
        assert restorers["door"] is restorers["yard"] is first
        assert restorers["shed"] is not first


def test_a_camera_that_cannot_be_ended_does_not_hold_up_the_others(caplog: pytest.LogCaptureFixture) -> None:
    never = threading.Event()

    class Stuck(Scripted):
        def close(self) -> None:
            never.wait(2 * PATIENCE)

    def open(one: CameraSettings) -> Source:
        return Stuck(one, "") if one.name == "stuck" else Scripted(one, "")

    fleet = Fleet(settings(camera("stuck"), camera("door")), open=open)
    until(lambda: running(fleet, "stuck", "door"))
    assert fleet.close(2) is False
    until(lambda: fleet.cameras["door"].status.state == "stopped")
    assert not fleet.cameras["stuck"].ended
    warned = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert "stuck: has not ended in 2 s" in warned
    never.set()
    assert fleet.cameras["stuck"].wait(30)


# ---- who watches ----


class Watching:
    """Notes what a fleet tells it, and takes the frames."""

    def __init__(self) -> None:
        self.added: list[str] = []
        self.removed: list[str] = []
        self.sinks: dict[str, Collect] = {}
        self.reports: dict[str, object] = {}

    def add(self, camera: Camera) -> None:
        self.added.append(camera.name)

    def outlets(self, camera: Camera) -> Sequence[Outlet]:
        self.sinks[camera.name] = sink = Collect()
        self.reports[camera.name] = camera.report
        return [Outlet(sink, "the audience", when_full="drop")]

    def remove(self, name: str) -> None:
        self.removed.append(name)


def test_an_audience_gets_frames_and_hears_of_changes(tmp_path: Path) -> None:
    audience = Watching()
    door, yard = camera("door", tmp_path / "door.y4m"), camera("yard")
    with Fleet(settings(door, yard), open=Town().open, audience=audience) as fleet:
        until(lambda: running(fleet, "door", "yard"))
        until(lambda: all(sink.pictures for sink in audience.sinks.values()))
        assert audience.reports == {name: one.report for name, one in fleet.cameras.items()}
        fleet.apply(settings(replace(door, live=True)))
        until(lambda: running(fleet, "door"))
    assert audience.added == ["door", "yard", "door"]
    assert audience.removed == ["yard"]
    assert audience.sinks["door"].ended == ["closed"]


def test_messages_name_the_camera_and_its_address_is_kept(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    with Fleet(settings(camera("door")), open=Town().open) as fleet:
        until(lambda: running(fleet, "door"))
        assert fleet.cameras["door"].address == "http://door/"
        assert caplog.messages[0] == "door: reading http://door/"


def test_that_a_camera_begins_is_told_again_only_after_it_could_not(caplog: pytest.LogCaptureFixture) -> None:
    def begun() -> int:
        return caplog.messages.count("door: reading http://door/")

    caplog.set_level("INFO")
    town = Town(door="breaks")
    with Fleet(settings(camera("door")), open=town.open) as fleet:
        until(lambda: fleet.cameras["door"].status.restarts >= 2)
        town.scripts["door"] = "refuses"
        until(lambda: "refuses" in fleet.cameras["door"].status.reason)
        assert begun() == 1
        town.scripts["door"] = ""
        until(lambda: running(fleet, "door"))
    assert begun() == 2


def test_lines_about_outputs_name_the_camera(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    with socket.create_server(("127.0.0.1", 0)) as server:
        outputs = f"raw:{tmp_path}/door.raw", f"tcp://127.0.0.1:{server.getsockname()[1]}"
        with Fleet(settings(camera("door", *outputs)), open=Town().open) as fleet:
            until(lambda: running(fleet, "door") and len(told(caplog)) == 2)
    assert told(caplog) == {("output_format", "door"), ("output_connected", "door")}


def told(caplog: pytest.LogCaptureFixture) -> set[tuple[str, str | None]]:
    """Event and source of the lines about outputs."""
    return {
        (one.__dict__["event"], one.__dict__.get("source")) for one in [*caplog.records] if "output" in one.__dict__
    }


# ---- pipes ----


@needs_named_pipes
def test_a_pipe_without_a_reader_holds_up_neither_the_camera_nor_its_end(tmp_path: Path) -> None:
    pipe, file = tmp_path / "pipe", tmp_path / "door.y4m"
    os.mkfifo(pipe)
    with Fleet(settings(camera("door", file, pipe)), open=Town().open) as fleet:
        until(lambda: running(fleet, "door"))
        assert fleet.cameras["door"].status.reason == f"{pipe}: nobody reads {pipe}"
        with pipe.open("rb") as reader:
            assert reader.read(10) == b"YUV4MPEG2 "
        frames = fleet.cameras["door"].report.frames
        until(lambda: fleet.cameras["door"].report.frames > frames)
    assert fleet.cameras["door"].status.state == "stopped"
    assert file.stat().st_size > 64 * 48
