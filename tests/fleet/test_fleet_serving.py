"""A fleet in a browser: all cameras are there, also those that fail, and changes are seen."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from mjpeg_restore.fleet import Fleet
from mjpeg_restore.fleet.serving import Serving
from mjpeg_restore.serve import Access
from tests.fleet.scripted import Town, camera, running, settings
from tests.patience import until
from tests.serve.clients import Server, ask

pytestmark = pytest.mark.network
HERE = ("127.0.0.1", 0)


def server(serving: Serving) -> Server:
    return serving._server


def states(serving: Serving) -> dict[str, str]:
    return {one["name"]: one["state"] for one in ask(server(serving), "/cameras").json}


def test_all_cameras_are_shown_in_the_order_of_the_file(tmp_path: Path) -> None:
    town = Town(bad="refuses")
    cameras = [camera("yard"), camera("bad"), camera("door", tmp_path / "door.y4m")]
    with Serving(*HERE) as serving, Fleet(settings(*cameras), open=town.open, audience=serving) as fleet:
        until(lambda: running(fleet, "door", "yard"))
        until(lambda: states(serving)["yard"] == states(serving)["door"] == "live")
        assert [*states(serving)] == ["yard", "bad", "door"]
        assert ask(server(serving), "/camera/door/snapshot").status == 200
        until(lambda: states(serving)["bad"] == "waiting")
        bad = ask(server(serving), "/camera/bad/state").json
        assert bad["reason"].startswith("http://bad/ refuses the user name and password; trying again in ")
        assert bad["source"] == "http://bad/"
        health = ask(server(serving), "/healthz")
        assert (health.status, health.text) == (200, "1 of 3 cameras send no pictures\n")
        assert ask(server(serving), "/camera/door/healthz").status == 200
        assert ask(server(serving), "/camera/bad/healthz").status == 503
    assert (tmp_path / "door.y4m").exists()


def test_cameras_come_and_go_with_new_settings() -> None:
    with (
        Serving(*HERE) as serving,
        Fleet(settings(camera("a"), camera("b")), open=Town().open, audience=serving) as fleet,
    ):
        until(lambda: running(fleet, "a", "b"))
        fleet.apply(settings(camera("b"), camera("c")))
        until(lambda: running(fleet, "c"))
        until(lambda: states(serving) == {"b": "live", "c": "live"})


def test_a_camera_that_begins_after_its_removal_is_not_shown() -> None:
    with (
        Serving(*HERE) as serving,
        Fleet(settings(camera("a"), camera("b")), open=Town().open, audience=serving) as fleet,
    ):
        until(lambda: running(fleet, "a", "b"))
        removed, replaced = fleet.cameras["a"], fleet.cameras["b"]
        fleet.apply(settings(camera("b", source="http://other/")))
        assert not serving.outlets(removed)
        assert not serving.outlets(replaced)
        until(lambda: states(serving) == {"b": "live"})


def test_a_served_camera_has_no_thread_more() -> None:
    def names() -> list[str]:
        return [thread.name for thread in threading.enumerate()]

    with (
        Serving(*HERE) as serving,
        Fleet(settings(camera("a"), camera("b")), open=Town().open, audience=serving) as fleet,
    ):
        until(lambda: running(fleet, "a", "b"))
        assert "outlet" not in names()


def test_the_password_is_asked_for() -> None:
    cameras, access = settings(camera("a")), Access(token="t0ken")
    with Serving(*HERE, access) as serving, Fleet(cameras, open=Town().open, audience=serving):
        assert ask(server(serving), "/cameras").status == 401
        assert ask(server(serving), "/cameras", Authorization="Bearer t0ken").status == 200
        assert serving.remark is None


def test_the_folder_of_a_recording_is_not_told() -> None:
    recording = camera("yard", source="/srv/guard/yard.mjpeg")
    with Serving(*HERE) as serving, Fleet(settings(recording), open=Town().open, audience=serving):
        assert ask(server(serving), "/state").json["source"] == "yard.mjpeg"
