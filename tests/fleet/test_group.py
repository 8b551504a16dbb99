"""The cameras of one process on a node: what is told of them, and their end when nobody asks after them."""

from __future__ import annotations

import pickle
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from mjpeg_restore.fleet import FleetSettings, OutputChoice
from mjpeg_restore.fleet.spread.group import Group, Sight
from mjpeg_restore.fleet.spread.remote import RemoteCamera
from mjpeg_restore.sinks import OutputSettings
from tests.fleet.scripted import Town, camera, settings
from tests.patience import until


def looking(group: Group, watched: dict[str, bool] | None = None) -> Sight:
    """A look as the driver sees it, which is another process."""
    return pickle.loads(pickle.dumps(group.look(watched or {})))


def states(sight: Sight) -> dict[str, str]:
    return {one.name: one.status.state for one in sight.cameras or ()}


def started(*cameras: str, lease: float = 60.0, **scripts: str) -> Group:
    group = Group(lambda: "node 1", lease, Town(**scripts).open)
    group.run(settings(*(camera(name) for name in cameras)), {})
    return group


def test_cameras_run_from_when_it_is_told_and_end_when_it_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "a.y4m"
    group = Group(lambda: "node 1", open=Town().open)
    assert looking(group) == Sight("node 1", None)
    group.run(settings(camera("a", path), camera("b")), {})
    until(lambda: states(looking(group)) == {"a": "running", "b": "running"})
    assert states(group.close()) == {"a": "stopped", "b": "stopped"}
    assert path.stat().st_size > 64 * 48
    assert looking(group).cameras is None


def test_new_settings_leave_the_others_alone() -> None:
    group = started("a", "b")
    until(lambda: [*states(looking(group)).values()] == ["running", "running"])
    (before,) = (one.report.packets for one in looking(group).cameras or () if one.name == "b")
    group.run(settings(camera("b"), camera("c")), {})
    until(lambda: states(looking(group)) == {"b": "running", "c": "running"})
    (after,) = (one.report.packets for one in looking(group).cameras or () if one.name == "b")
    assert after >= before > 0
    group.close()


def test_a_camera_that_begins_after_its_removal_takes_nobodys_place() -> None:
    group = started("a", "b")
    assert group._fleet
    removed, replaced = group._fleet.cameras["a"], group._fleet.cameras["b"]
    group.run(settings(camera("b", source="http://other/")), {})
    assert not group._audience.outlets(removed)
    assert not group._audience.outlets(replaced)
    assert [*group._audience.sinks] == ["b"]
    group.close()


def test_frames_pass_of_cameras_alone_that_are_watched() -> None:
    group = started("a", "b")
    until(lambda: [*states(looking(group)).values()] == ["running", "running"])
    driver = {name: RemoteCamera(camera(name)) for name in "ab"}
    driver["a"].sink.watched = True

    def look() -> bool:
        for one in looking(group, {"a": True}).cameras or ():
            driver[one.name].take(one)
        latest = driver["a"].sink.latest
        alive = driver["b"].sink.last is not None and len(driver["b"].sink.arrivals) > 0
        return alive and latest is not None and latest.original is not None

    until(look)
    assert driver["b"].sink.latest is None  # though it is alive
    latest = driver["a"].sink.latest
    assert latest and latest.arrived and 0 <= time.monotonic() - latest.arrived < 60
    driver["a"].sink.watched = False
    for one in looking(group).cameras or ():
        driver[one.name].take(one)
    assert driver["a"].sink.latest is None  # who watches next is not to see an old one
    group.close()


def test_cameras_that_nobody_asks_after_end_and_finish_their_outputs(tmp_path: Path) -> None:
    path = tmp_path / "a.y4m"
    group = Group(lambda: "node 1", 3.0, Town().open)
    group.run(settings(camera("a", path)), {})
    until(lambda: looking(group) and path.exists())
    fleet = group._fleet
    assert fleet
    until(lambda: fleet.cameras["a"].ended)
    size = path.stat().st_size
    sight = looking(group)
    assert sight.cameras is None
    assert sight.begun == {str(path): -1}  # whoever runs them next does not replace it
    assert "nobody asks after these cameras" in " ".join(line.message for line in sight.log)
    assert path.stat().st_size == size
    group.run(settings(camera("a")), {})
    until(lambda: states(looking(group)) == {"a": "running"})
    group.close()


def test_new_settings_after_the_lease_go_on_in_what_nobody_has_looked_at(tmp_path: Path) -> None:
    path = tmp_path / "a.y4m"
    settings_ = settings(replace(camera("a"), outputs=(OutputChoice(str(path), OutputSettings(overwrite=True)),)))
    group = Group(lambda: "node 1", 3.0, Town().open)
    group.run(settings_, {})
    until(path.exists)
    fleet = group._fleet
    assert fleet
    until(lambda: fleet.cameras["a"].ended)
    before = path.read_bytes()
    group.run(settings_, {})
    until(lambda: len([*tmp_path.glob("a-*.y4m")]) == 1)
    group.close()
    assert path.read_bytes() == before


@pytest.mark.parametrize("overwrite", [False, True])
def test_another_process_goes_on_in_what_one_has_written(tmp_path: Path, overwrite: bool) -> None:
    folder, others = tmp_path / "pictures", tmp_path / "others"
    others.mkdir()
    (others / "000000.png").write_bytes(b"somebody's")
    targets = [str(folder), f"{tmp_path}/a.y4m", f"raw:{tmp_path}/a.raw"]
    outputs = [OutputChoice(name, OutputSettings(overwrite=overwrite, threads=1)) for name in targets]
    a = replace(camera("a"), outputs=(*outputs, OutputChoice(str(others))))

    def recorded(begun: Mapping[str, int]) -> Mapping[str, int]:
        """What a process has told before it is killed."""
        before = len([*folder.glob("*.png")])
        group = Group(lambda: "node 1", open=Town().open)
        group.run(settings(a), begun)
        until(lambda: len([*folder.glob("*.png")]) >= before + 3)
        begun = looking(group).begun
        group.close()
        return begun

    begun = recorded({})
    files = {path: path.read_bytes() for path in tmp_path.glob("**/*.*")}
    recorded(begun)
    assert files.items() <= {path: path.read_bytes() for path in tmp_path.glob("**/*.*")}.items()
    assert len([*tmp_path.glob("a*.y4m")]) == len([*tmp_path.glob("a*.raw")]) == 2
    assert [path.name for path in others.iterdir()] == ["000000.png"]


def test_a_group_that_runs_goes_on_where_another_one_has_written(tmp_path: Path) -> None:
    for name in ("000000.png", "000001.png"):
        (tmp_path / name).write_bytes(b"of the other group")
    group = started("a")
    yard = replace(camera("yard"), outputs=(OutputChoice(f"{tmp_path}/", OutputSettings(overwrite=True)),))
    group.run(settings(camera("a"), yard), {yard.outputs[0].parsed.place: 0})
    until((tmp_path / "000002.png").exists)
    group.close()
    assert (tmp_path / "000000.png").read_bytes() == (tmp_path / "000001.png").read_bytes() == b"of the other group"


def test_a_recording_is_refused() -> None:
    group = started("tape", tape="recording")

    def reason() -> str:
        return "; ".join(one.status.reason for one in looking(group).cameras or ())

    until(lambda: bool(reason()))
    assert reason() == "http://tape/ is a recording: mjpeg-restore archive restores those"
    group.close()


def test_the_log_reaches_the_driver() -> None:
    group = started("bad", bad="refuses")
    lines = []
    until(lambda: lines.extend(looking(group).log) or any(line.event == "failed" for line in lines))
    (line,) = (line for line in lines if line.event == "failed")
    assert line.source == "bad"
    assert line.message.startswith("bad: http://bad/ refuses the user name and password")
    group.close()


@pytest.mark.parametrize("times", [1, 2])
def test_it_may_be_closed_without_cameras(times: int) -> None:
    group = Group(open=Town().open)
    group.run(FleetSettings(()), {})
    for _ in range(times):
        assert not group.close().cameras
