"""What the server answers."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator
from dataclasses import replace

import pytest

from mjpeg_restore.frames import Frame
from mjpeg_restore.serve import ServedCamera, WebSink
from tests.patience import until
from tests.serve.clients import Server, ask, pairs, parts, shade, streaming
from tests.serve.served import ORIGINAL, RESTORED, SIZE, camera, picture, playing, write

pytestmark = pytest.mark.network


@pytest.fixture
def door() -> ServedCamera:
    return camera("door")


@pytest.fixture
def server(door: ServedCamera) -> Generator[Server]:
    with Server([door], port=0) as server:
        yield server


# ---- pictures ----


def test_a_snapshot_is_the_newest_picture(server: Server, door: ServedCamera) -> None:
    for luma in (30, 90, 150):
        write(door, luma=luma)
        answer = ask(server, "/snapshot")
        assert (answer.status, answer.headers["content-type"]) == (200, "image/jpeg")
        assert shade(answer.body) == luma


def test_before_the_first_picture_a_snapshot_says_when_to_ask_again(server: Server) -> None:
    answer = ask(server, "/snapshot")
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")


def test_a_camera_that_sends_frames_on_demand_is_asked_for_one_by_a_snapshot(server: Server) -> None:
    far = replace(camera("elsewhere"), sink=WebSink(on_demand=True))
    server.add(far)
    until(lambda: ask(server, "/camera/elsewhere/snapshot").status == 503)
    far.sink.last = time.monotonic()  # it is alive, and its frames stay where they are

    def bring() -> None:
        until(lambda: far.sink.watched)
        write(far, luma=70)

    thread = threading.Thread(target=bring)
    thread.start()
    answer = ask(server, "/camera/elsewhere/snapshot")
    thread.join()
    assert (answer.status, shade(answer.body)) == (200, 70)
    until(lambda: not far.sink.watched)


def test_a_snapshot_that_has_not_changed_is_not_sent_again(server: Server, door: ServedCamera) -> None:
    write(door)
    tag = ask(server, "/snapshot").headers["etag"]
    assert ask(server, "/snapshot", If_None_Match=tag).status == 304
    write(door)
    assert ask(server, "/snapshot", If_None_Match=tag).status == 200


def test_a_stream_has_each_picture_while_it_is_new(server: Server, door: ServedCamera) -> None:
    write(door, luma=10)
    with streaming(server, "/stream") as response:
        assert (response.headers.get_content_type(), response.headers["cache-control"]) == (
            "multipart/x-mixed-replace",
            "no-store",
        )
        pictures = parts(response)
        assert shade(next(pictures)) == 10
        for luma in range(20, 220, 20):
            write(door, luma=luma)
            assert shade(next(pictures)) == luma


def test_a_stream_ends_with_the_run(server: Server, door: ServedCamera) -> None:
    write(door, luma=10)
    with streaming(server, "/stream") as response:
        pictures = parts(response)
        next(pictures)
        write(door, luma=100)
        door.sink.close()
        assert [shade(last) for last in pictures] in ([100], [])  # the last one, unless the end came first
        assert list(pictures) == []
    assert ask(server, "/snapshot").status == 200


def test_originals_are_asked_of_the_run_only_while_somebody_watches_them(server: Server, door: ServedCamera) -> None:
    write(door)
    assert not door.sink.original
    with streaming(server, "/stream"):
        until(lambda: ask(server, "/state").json["viewers"] == 1)
        assert not door.sink.original
    with streaming(server, "/original/stream") as response:
        until(lambda: door.sink.original)
        write(door)
        assert shade(next(parts(response))) == ORIGINAL
    until(lambda: not door.sink.original)


def test_the_pictures_of_a_pair_are_of_one_frame(server: Server, door: ServedCamera) -> None:
    write(door)
    with streaming(server, "/pairs") as response:
        both = pairs(response)
        restored, original = next(both)  # at once, although there is no original yet
        assert (shade(restored), original) == (RESTORED, b"")
        for luma in range(20, 200, 20):
            door.sink.write(Frame(picture(luma), picture(luma + 50), time.monotonic()))
            restored, original = next(both)
            assert (shade(restored), shade(original)) == (luma, luma + 50)


def test_the_original_of_a_frame_that_is_there_is_sent_at_once(server: Server, door: ServedCamera) -> None:
    door.sink.write(Frame(picture(RESTORED), picture(ORIGINAL), time.monotonic()))
    assert shade(ask(server, "/snapshot").body) == RESTORED  # encoded without its original
    assert shade(ask(server, "/original/snapshot").body) == ORIGINAL


def test_a_snapshot_of_the_original_waits_for_one(server: Server, door: ServedCamera) -> None:
    write(door)
    with playing(door):
        assert shade(ask(server, "/original/snapshot").body) == ORIGINAL
    until(lambda: not door.sink.original)


def test_a_run_without_originals_has_no_snapshot_of_one(server: Server, door: ServedCamera) -> None:
    write(door)
    door.sink.close()
    assert ask(server, "/original/snapshot").status == 503


def test_a_picture_that_cannot_be_encoded_is_left_out(server: Server, door: ServedCamera) -> None:
    write(door, luma=10)
    with streaming(server, "/stream") as response:
        pictures = parts(response)
        assert shade(next(pictures)) == 10
        write(door, size=(65534, 2))  # JPEG could hold it, and FFmpeg's encoder does not
        write(door, luma=20)
        assert shade(next(pictures)) == 20


def test_sizes_may_change(server: Server, door: ServedCamera) -> None:
    for size in ((64, 48), (16, 16), (2, 2), (322, 182)):
        write(door, size=size, luma=77)
        assert shade(ask(server, "/snapshot").body) == 77


# ---- methods ----


@pytest.mark.parametrize("path", ["/", "/stream", "/pairs", "/snapshot", "/state", "/metrics", "/healthz"])
def test_head_has_the_headers_alone(server: Server, door: ServedCamera, path: str) -> None:
    write(door)
    answer = ask(server, path, "HEAD")
    assert (answer.status, answer.body) == (200, b"")
    assert answer.headers["content-type"]


def test_nothing_can_be_changed(server: Server) -> None:
    assert ask(server, "/state", "OPTIONS").headers["allow"] == "GET, HEAD, OPTIONS"
    assert ask(server, "/state", "POST").status == 405
    assert ask(server, "/nothing").status == 404


def test_no_answer_is_stored_or_may_load_anything_from_elsewhere(server: Server, door: ServedCamera) -> None:
    write(door)
    for path in ("/", "/assets/camera.js", "/snapshot", "/state", "/metrics", "/nothing"):
        headers = ask(server, path).headers
        assert headers["cache-control"] == "no-store"
        assert headers["content-security-policy"].startswith("default-src 'none'; ")
        assert headers["x-content-type-options"] == "nosniff"
        assert "access-control-allow-origin" not in headers


# ---- state and health ----


def test_the_state_has_the_report_of_the_run(server: Server, door: ServedCamera) -> None:
    write(door)
    state = ask(server, "/state").json
    assert (state["name"], state["state"], state["viewers"], state["live"]) == ("door", "live", 0, True)
    assert state["report"]["frames"] == 1
    assert state["report"]["size"] == list(SIZE)
    assert "samples" not in state


def test_samples_are_taken(server: Server, door: ServedCamera) -> None:
    write(door)
    until(lambda: ask(server, "/state?since=0").json["samples"]["last"] > 0)
    samples = ask(server, "/state?since=0").json["samples"]
    assert samples["quality"][0] == 40
    for since in ("nonsense", "", "-1", "9" * 5000):
        assert "samples" not in ask(server, f"/state?since={since}").json


def test_a_camera_that_starts_is_healthy() -> None:
    with Server([camera()], port=0) as server:
        answer = ask(server, "/healthz")
        assert (answer.status, answer.text) == (200, "ok\n")


def test_health_turns_when_pictures_stop() -> None:
    door = camera(stall=0.2, grace=0.2)
    with Server([door], port=0) as server:
        until(lambda: ask(server, "/healthz").status == 503)
        assert ask(server, "/healthz").text == "1 of 1 cameras send no pictures\n"
        assert ask(server, "/camera/door/healthz").text.startswith("no picture has come in")
        with playing(door):
            until(lambda: ask(server, "/healthz").status == 200)
        until(lambda: ask(server, "/healthz").status == 503)
        door.sink.close()
        assert ask(server, "/camera/door/healthz").text == "the run has ended\n"


# ---- several cameras ----


def test_several_cameras_have_their_own_urls() -> None:
    cameras = [camera("door"), camera("yard")]
    for luma, one in zip((40, 80), cameras, strict=True):
        write(one, luma=luma)
    with Server(cameras, port=0) as server:
        assert shade(ask(server, "/camera/door/snapshot").body) == 40
        assert shade(ask(server, "/camera/yard/snapshot").body) == 80
        assert ask(server, "/camera/yard/state").json["name"] == "yard"
        assert [one["name"] for one in ask(server, "/cameras").json] == ["door", "yard"]
        assert ask(server, "/camera/yard", "GET").headers["location"] == "yard/"
        assert ask(server, "/camera/yard/assets/camera.js").status == 200
        for path in ("/snapshot", "/stream", "/state", "/camera/attic/snapshot", "/camera/attic/"):
            answer = ask(server, path)
            assert answer.status == 404
            assert "/cameras lists them" in answer.text


def test_a_camera_keeps_its_place_when_it_begins_anew() -> None:
    with Server([camera("a"), camera("b")], port=0) as server:
        server.add(again := camera("a"))
        write(again)
        until(lambda: ask(server, "/cameras").json[0]["report"]["frames"] == 1)
        assert [one["name"] for one in ask(server, "/cameras").json] == ["a", "b"]


def test_one_camera_has_both_urls(server: Server, door: ServedCamera) -> None:
    write(door)
    assert ask(server, "/snapshot").body == ask(server, "/camera/door/snapshot").body
    assert ask(server, "/").body == ask(server, "/camera/door/").body


def test_the_page_of_several_is_another_one(server: Server, door: ServedCamera) -> None:
    before = ask(server, "/").text
    server.add(camera("yard"))
    until(lambda: len(ask(server, "/cameras").json) == 2)
    assert ask(server, "/").text != before
    server.remove("yard")
    until(lambda: len(ask(server, "/cameras").json) == 1)
    assert ask(server, "/").text == before


def test_the_streams_of_a_camera_that_is_removed_end(server: Server, door: ServedCamera) -> None:
    write(door)
    with streaming(server, "/stream") as response:
        pictures = parts(response)
        next(pictures)
        server.remove("door")
        assert list(pictures) == []
    write(door)  # the run goes on
    assert not door.sink.original


def test_one_ill_camera_of_several_is_counted_and_the_others_are_not_to_be_started_again_for_it() -> None:
    cameras = [camera("door", grace=60.0), camera("yard", grace=0.05)]
    with Server(cameras, port=0) as server:
        until(lambda: ask(server, "/healthz").text == "1 of 2 cameras send no pictures\n")
        assert ask(server, "/healthz").status == 200
        assert ask(server, "/camera/door/healthz").status == 200
        assert ask(server, "/camera/yard/healthz").status == 503


def test_when_no_camera_sends_pictures_all_is_ill() -> None:
    with Server([camera("door", grace=0.05), camera("yard", grace=0.05)], port=0) as server:
        until(lambda: ask(server, "/healthz").status == 503)
        assert ask(server, "/healthz").text == "2 of 2 cameras send no pictures\n"
