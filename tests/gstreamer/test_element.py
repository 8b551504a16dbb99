"""The element in pipelines of GStreamer: what comes out, when, and what becomes of trouble."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import pytest

from mjpeg_restore.frames import Picture, Sampling
from mjpeg_restore.jpeg.segments import APP0, COM, DHT, DQT
from mjpeg_restore.pipeline import restore_pictures
from mjpeg_restore.sinks.pixels import convert
from mjpeg_restore.testing import ListSource
from tests.gstreamer.conftest import Play, digests
from tests.jpeg.pictures import SAMPLINGS, insert, segment, tables_alone, without
from tests.lacking import needs_gstreamer_elements
from tests.sources.clips import mux_packet
from tests.streams import DECODE, cut, exif, still

ELEMENT = "mjpegrestore name=restorer model=decode device=onnxruntime threads=1"
FORMATS = {"gray": "GRAY8", "4:4:4": "Y444", "4:2:2": "Y42B", "4:4:0": "Y444", "4:2:0": "I420", "4:1:1": "Y41B"}

Push = Callable[..., dict[str, Any]]


@pytest.fixture
def push(play: Play, tmp_path: Path) -> Push:
    """Pushes packets through the element, 40 ms apart."""

    def run(
        packets: Sequence[bytes],
        element: str = ELEMENT,
        caps: str = "image/jpeg",
        times: Sequence[tuple[int | str, int | str]] = (),
    ) -> dict[str, Any]:
        arguments: list[str] = []
        for number, packet in enumerate(packets):
            path = tmp_path / f"{number}.jpg"
            path.write_bytes(packet)
            pts, duration = times[number] if times else (40 * number, 40)
            arguments.append(f"{pts} {duration} {path}")
        return play("pushed", f"{caps} ! {element}", *arguments)

    return run


def restored(packets: Sequence[bytes], height: int | None = None) -> list[Picture]:
    """What the pipeline makes of the packets, at a sampling that raw video has."""
    return [
        convert(picture, Sampling.YUV444 if picture.sampling is Sampling.YUV440 else picture.sampling, True)
        for picture in restore_pictures(ListSource(packets, height=height), DECODE)
    ]


def of(played: dict[str, Any], field: str) -> list[Any]:
    return [frame[field] for frame in played["frames"]]


# ---- pictures ----


@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_samples_and_format_are_those_of_the_picture(push: Push, sampling: str) -> None:
    packets = [still(seed, sampling, (67, 51)) for seed in range(3)]
    played = push(packets)
    assert of(played, "digest") == digests(restored(packets))
    first = played["frames"][0]
    assert (first["format"], first["width"], first["height"]) == (FORMATS[sampling], "67", "51")
    assert (first["colorimetry"], first.get("chroma-site")) == ("1:4:7:1", None if sampling == "gray" else "jpeg")


def test_c4_a_comment_tells_limited_range(push: Push) -> None:
    played = push([insert(still(), segment(COM, b"CS=ITU601"))])
    assert of(played, "colorimetry") == ["2:4:7:1"]


def test_colorimetry_that_upstream_states_stands(push: Push) -> None:
    assert of(push([still()], caps="image/jpeg,colorimetry=bt601"), "colorimetry") == ["bt601"]


def test_caps_follow_the_pictures(push: Push) -> None:
    packets = [still(0), still(1, size=(80, 56)), still(2, "4:4:4", (80, 56)), still(3)]
    played = push(packets)
    assert of(played, "digest") == digests(restored(packets))
    assert of(played, "width") == ["64", "80", "80", "64"]
    assert of(played, "format") == ["I420", "I420", "Y444", "I420"]
    assert len(set(of(played, "colorimetry"))) == 1


@pytest.mark.parametrize("order", ["top", "bottom"])
def test_s6_two_fields_in_a_buffer_are_woven(push: Push, order: str) -> None:
    fields = [still(seed, size=(64, 27)) for seed in (1, 2)]
    avi1 = [segment(APP0, b"AVI1" + bytes([polarity]) + bytes(9)) for polarity in (1, 2)]
    both = [insert(without(field, APP0), mark) for field, mark in zip(fields, avi1, strict=True)]
    packet = b"".join(both if order == "top" else both[::-1])
    played = push([packet], caps="image/jpeg,height=54")
    assert of(played, "digest") == digests(restored([packet], 54))
    (frame,) = played["frames"]
    assert (frame["height"], frame["interlace-mode"], frame["field-order"]) == (
        "54",
        "interleaved",
        f"{order}-field-first",
    )
    assert frame["top_first"] is (order == "top")


def test_s6_caps_tell_the_field_order_that_pictures_do_not(push: Push) -> None:
    packet = still(1, size=(64, 24)) + still(2, size=(64, 24))
    played = push([packet], caps="image/jpeg,height=48,interlace-mode=interleaved,field-order=bottom-field-first")
    assert of(played, "field-order") == ["bottom-field-first"]
    assert of(played, "top_first") == [False]


def test_h5_a_picture_is_turned_upright_by_its_exif(push: Push) -> None:
    packet = insert(still(size=(64, 40)), exif(6))
    played = push([packet])
    assert of(played, "digest") == digests(restored([packet]))
    assert of(played, "width") == ["40"]


def test_h5_a_picture_is_turned_upright_by_its_tag_and_not_again(push: Push) -> None:
    needs_gstreamer_elements("taginject", "videoflip")
    tag = "taginject tags=image-orientation=rotate-90"
    turned = push([still(size=(64, 40))], f"{tag} ! {ELEMENT}")
    assert of(turned, "digest") == digests(restored([insert(still(size=(64, 40)), exif(6))]))
    assert of(push([still(size=(64, 40))], f"{tag} ! {ELEMENT} ! videoflip video-direction=auto"), "width") == ["40"]


# ---- time ----


def test_times_are_the_buffers_own(push: Push) -> None:
    times = [(0, 40), (40, 7), (53, 600), (1000, 1), (1001, 40)]
    played = push([still(seed) for seed in range(5)], times=times)
    assert of(played, "pts") == [1_000_000 * pts for pts, _ in times]
    assert of(played, "duration") == [1_000_000 * duration for _, duration in times]


def test_pictures_without_times_pass(push: Push) -> None:
    packets = [still(seed) for seed in range(3)]
    played = push(packets, times=[("-", "-")] * 3)
    assert of(played, "digest") == digests(restored(packets))
    assert of(played, "duration") == [None] * 3


def recording(path: Path, packets: Sequence[bytes]) -> str:
    """A pipeline from a file of concatenated pictures, 25 a second."""
    needs_gstreamer_elements("jpegparse")
    path.write_bytes(b"".join(packets))
    return f"filesrc location={path} ! image/jpeg,framerate=25/1 ! jpegparse ! {ELEMENT}"


def test_a_pipeline_plays_again(play: Play, tmp_path: Path) -> None:
    packets = [still(seed) for seed in range(6)]
    played = play("again", recording(tmp_path / "clip.mjpeg", packets))
    expected = digests(restored(packets))
    found = [[frame["digest"] for frame in part] for part in played["frames"]]
    assert found == [expected[:2], expected, expected]
    assert played["freed"]


def test_pipelines_play_side_by_side(play: Play, tmp_path: Path) -> None:
    clips = [[still(seed, size=(64, 48 + 8 * clip)) for seed in range(6)] for clip in range(2)]
    played = play("play", *(recording(tmp_path / f"{number}.mjpeg", clip) for number, clip in enumerate(clips)))
    for frames, clip in zip(played["frames"], clips, strict=True):
        assert [frame["digest"] for frame in frames] == digests(restored(clip))


def test_a_seek_forgets_pictures_and_keeps_tables(play: Play, tmp_path: Path) -> None:
    needs_gstreamer_elements("avidemux")
    whole = [still(seed) for seed in range(50)]
    packets = [whole[0], *(without(packet, DHT, DQT) for packet in whole[1:])]  # Q5
    packets[30] = cut(packets[30])
    clip = tmp_path / "clip.avi"
    with av.open(str(clip), "w") as container:
        track = container.add_mux_stream("mjpeg", rate=25, width=64, height=48)
        for number, packet in enumerate(packets):
            mux_packet(container, track, packet, number, Fraction(1, 25))
    played = play("seek", f"filesrc location={clip} ! avidemux ! {ELEMENT}", "1.2", "0.4")
    expected = digests(restored(whole))
    found = [[frame["digest"] for frame in part] for part in played["frames"]]
    # Number 30 is damaged, and after a seek there is no picture to repair it from: it is dropped.
    assert found == [expected[:3], expected[31:34], expected[10:13]]


def test_late_pictures_are_dropped(play: Play, tmp_path: Path) -> None:
    path = tmp_path / "still.jpg"
    path.write_bytes(still())
    assert play("late", path)["milliseconds"] == [0, 40, 80, *range(400, 800, 40)]


def test_latency_of_a_camera_is_reported_and_holds_no_picture_back(play: Play, tmp_path: Path) -> None:
    path = tmp_path / "still.jpg"
    path.write_bytes(still())
    latencies = play("latency", path)["latencies"]
    assert latencies[0] == 0 < latencies[-1]
    assert all(before <= after for before, after in pairwise(latencies))


# ---- trouble ----


def test_damaged_pictures_are_repaired_and_told_once(push: Push) -> None:
    packets = [still(0), *(cut(still(0)) for _ in range(3)), still(1)]
    played = push(packets)
    assert of(played, "digest") == digests(restored(packets))
    ((kind, words),) = played["messages"]
    assert kind == "warning" and words.startswith("damaged since packet 1: ")


@pytest.mark.parametrize("bad", [b"<html>" + bytes(300), b"", b"\xff\xd8\xff", bytes(100), cut(still(1), 0)])
def test_a_buffer_that_is_no_picture_changes_nothing_else(push: Push, bad: bytes) -> None:
    packets = [still(0), bad, still(2)]
    played = push(packets)
    assert of(played, "digest") == digests(restored(packets))
    assert played["messages"][0][0] == "warning" if bad else True


def test_q5_a_buffer_of_tables_alone_is_remembered(push: Push) -> None:
    packets = [tables_alone(still(0), DHT, DQT), without(still(0), DHT, DQT), without(still(1), DHT, DQT)]
    played = push(packets)
    assert of(played, "digest") == digests(restored([still(0), still(1)]))
    assert played["messages"] == []


@pytest.mark.parametrize(("policy", "numbers"), [("drop", [0, 2]), ("hold", [0, 0, 2])])
def test_on_corrupt(push: Push, policy: str, numbers: list[int]) -> None:
    packets = [still(0), cut(still(1)), still(2)]
    played = push(packets, f"{ELEMENT} on-corrupt={policy}")
    expected = digests(restored([still(0), still(1), still(2)]))
    assert of(played, "digest") == [expected[number] for number in numbers]


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("model=nothing", "no model 'nothing'"),
        ("on-corrupt=ignore", "on_corrupt 'ignore': there are repair, hold, drop, pass"),
        ("device=abacus", "abacus"),
    ],
)
def test_a_wrong_setting_is_an_error_before_anything_flows(play: Play, setting: str, words: str) -> None:
    (messages,) = play("play", f"videotestsrc ! jpegenc ! mjpegrestore {setting}")["messages"]
    ((kind, text),) = messages
    assert kind == "error"
    assert words in text and "\n" not in text


def test_settings_that_change_while_it_plays_count_when_it_starts_again(play: Play, tmp_path: Path) -> None:
    path = tmp_path / "still.jpg"
    path.write_bytes(still())
    played = play("changed", path)
    assert of(played, "digest") == 2 * digests(restored([still()]))
    assert played["messages"] == []
    ((kind, words),) = played["wrong"]
    assert (kind, words) == ("error", "on_corrupt '': there are repair, hold, drop, pass")


def test_a_fault_of_the_program_is_an_error(play: Play, tmp_path: Path) -> None:
    path = tmp_path / "still.jpg"
    path.write_bytes(still())
    played = play("faulty", path)
    assert played["messages"][0] == ["error", "a fault of the program: KeyError: 'a\\nb'"]


def test_new_caps_are_taken_where_downstream_has_ended(play: Play, tmp_path: Path) -> None:
    path = tmp_path / "still.jpg"
    path.write_bytes(still())
    assert play("ended", path)["taken"]


def test_a_device_that_is_not_there_is_an_error(push: Push) -> None:
    played = push([still()], "mjpegrestore device=openvino:NPU")
    assert played["frames"] == []
    assert played["messages"][0][0] == "error"


def test_a_pipeline_stops_while_a_network_is_loaded(play: Play, tmp_path: Path) -> None:
    path = tmp_path / "still.jpg"
    path.write_bytes(still())
    assert play("abandoned", path) == {"loading": ["begun"], "messages": []}
