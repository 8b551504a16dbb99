"""The cameras of the tests: they send what they claim to have sent."""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from cameras.access import Access
from cameras.dialects import DIALECTS
from cameras.faults import Fault, Kind, random_faults
from cameras.http import HttpCamera
from cameras.pictures import MOST, NumberedPictures, read_number

from mjpeg_restore.jpeg import Splitter
from tests.patience import PATIENCE
from tests.streams import decoded

SCRIPT = Path(__file__).parents[2] / "scripts" / "play_camera.py"


def received(camera: HttpCamera, target: str = "/video", headers: str = "") -> bytes:
    """Everything that the camera sends over one connection; where it resets the connection, what came before."""
    data = b""
    with socket.create_connection(("127.0.0.1", camera.port), timeout=PATIENCE) as client:
        client.sendall(f"GET {target} HTTP/1.1\r\nHost: camera\r\n{headers}\r\n".encode())
        try:
            while piece := client.recv(1 << 16):
                data += piece
        except ConnectionResetError:
            pass
    return data


def numbers_in(data: bytes) -> list[int | None]:
    splitter = Splitter()
    return [read_number(decoded(jpeg)[0]) for _, jpeg in splitter.feed(data) + splitter.flush()]


@pytest.mark.parametrize("number", [0, 1, 12345, MOST - 1])
@pytest.mark.parametrize("size", [(64, 48), (163, 117), (640, 480)])
@pytest.mark.parametrize("sampling", ["4:2:0", "gray"])
def test_a_number_can_be_read_from_the_picture(size: tuple[int, int], sampling: str, number: int) -> None:
    assert read_number(decoded(NumberedPictures(size, sampling, quality=20).jpeg(number))[0]) == number


def test_no_number_is_read_from_another_picture() -> None:
    luma = np.random.default_rng(0).integers(0, 256, (100, 480, 640), np.uint8)
    assert all(read_number(picture) is None for picture in luma)


@pytest.mark.parametrize("name", [name for name in DIALECTS if not DIALECTS[name].chunk])
def test_every_dialect_holds_the_pictures(name: str) -> None:
    with HttpCamera(dialect=DIALECTS[name], count=3) as camera:
        assert numbers_in(received(camera)) == camera.numbers() == [0, 1, 2]


def test_a_chunked_response() -> None:
    with HttpCamera(dialect=DIALECTS["chunked"], count=3) as camera, urllib.request.urlopen(camera.url) as response:
        assert numbers_in(response.read()) == [0, 1, 2]


@pytest.mark.parametrize("kind", ["close", "reset", "break", "reset inside"])
def test_a_connection_ends_and_the_next_one_goes_on(kind: Kind) -> None:
    with HttpCamera(faults=[Fault(kind, 2)], count=5) as camera:
        first = received(camera)
        assert numbers_in(first)[:2] == [0, 1]
        cut = kind in ("break", "reset inside")
        assert numbers_in(received(camera)) == ([3, 4] if cut else [2, 3, 4])
        assert camera.numbers("part") == ([2] if cut else [])
        assert camera.connections == 2


@pytest.mark.parametrize("kind", ["truncate", "flip", "garbage", "stall inside"])
def test_a_stream_goes_on_after_a_fault(kind: Kind) -> None:
    with HttpCamera(faults=[Fault(kind, 2, seconds=0.01)], count=5) as camera:
        assert {0, 1, 3, 4} <= set(numbers_in(received(camera)))
        assert camera.numbers("damaged") == ([2] if kind in ("truncate", "flip") else [])


def test_size_and_sampling_change() -> None:
    faults = [Fault("resize", 1, size=(96, 64)), Fault("resample", 2, sampling="4:4:4")]
    with HttpCamera(faults=faults, count=3) as camera:
        splitter = Splitter()
        shapes = [[plane.shape for plane in decoded(jpeg)[:2]] for _, jpeg in splitter.feed(received(camera))]
    assert shapes == [[(112, 160), (56, 80)], [(64, 96), (32, 48)], [(64, 96), (64, 96)]]


def test_a_stalled_camera_skips_pictures() -> None:
    with HttpCamera(faults=[Fault("stall", 2, seconds=0.2)], fps=100, count=60) as camera:
        received(camera)
        assert max(after - before for before, after in pairwise([-1, *camera.numbers(), 60])) >= 20


def test_a_status_for_a_while() -> None:
    with HttpCamera(faults=[Fault("status", 1, seconds=60)], count=3) as camera:
        received(camera)
        with pytest.raises(urllib.error.HTTPError, match="503") as refused:
            urllib.request.urlopen(camera.url)
        refused.value.close()
        camera.answer_with(Fault("status", 1, seconds=0))  # the while is over
        assert numbers_in(received(camera)) == [1, 2]


def test_the_port_is_closed_for_a_while() -> None:
    with HttpCamera(faults=[Fault("unreachable", 1, seconds=60)], count=3) as camera:
        received(camera)
        with pytest.raises(ConnectionRefusedError):
            received(camera)
        camera.close_port(0)  # the while is over
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            try:
                assert numbers_in(received(camera)) == [1, 2]
                break
            except ConnectionRefusedError:
                time.sleep(0.05)
        else:
            pytest.fail("the port stays closed")


def test_snapshots_over_one_connection() -> None:
    with HttpCamera(snapshot=True, count=3) as camera:
        client = http.client.HTTPConnection("127.0.0.1", camera.port, timeout=PATIENCE)
        with closing(client):
            for number in range(3):
                client.request("GET", "/video")
                response = client.getresponse()
                assert response.headers["Content-Type"] == "image/jpeg"
                assert numbers_in(response.read()) == [number]
        assert camera.connections == 1


def test_one_client_only() -> None:
    with HttpCamera(clients=1) as camera, urllib.request.urlopen(camera.url) as response:
        assert response.status == 200
        with pytest.raises(urllib.error.HTTPError, match="503") as refused:
            urllib.request.urlopen(camera.url)
        refused.value.close()


def test_another_page() -> None:
    page = b"HTTP/1.1 302 Found\r\nLocation: /video\r\n\r\n"
    with HttpCamera(pages={"/moved": page}, count=1) as camera:
        assert received(camera, "/moved") == page
        assert numbers_in(received(camera)) == [0]
        assert [request.target for request in camera.requests] == ["/moved", "/video"]


@pytest.mark.parametrize("scheme", ["basic", "digest"])
def test_a_password(scheme: str) -> None:
    access = Access("admin", "p:w", scheme, algorithm="MD5")  # pyright: ignore[reportArgumentType]
    with HttpCamera(access=access, count=1) as camera:
        passwords = urllib.request.HTTPPasswordMgrWithDefaultRealm()
        passwords.add_password(None, camera.url, "admin", "p:w")
        handler = urllib.request.HTTPBasicAuthHandler if scheme == "basic" else urllib.request.HTTPDigestAuthHandler
        with urllib.request.build_opener(handler(passwords)).open(camera.url) as response:
            assert numbers_in(response.read()) == [0]
        with pytest.raises(urllib.error.HTTPError, match="401") as refused:
            urllib.request.urlopen(camera.url)
        refused.value.close()


def test_random_faults_are_the_same_for_a_seed() -> None:
    faults = random_faults(["close", "stall"], pictures=10_000, every=100, seed=3)
    assert faults == random_faults(["close", "stall"], pictures=10_000, every=100, seed=3)
    assert faults != random_faults(["close", "stall"], pictures=10_000, every=100, seed=4)
    assert 70 < len(faults) < 130
    assert {fault.kind for fault in faults} == {"close", "stall"}


def test_the_camera_in_another_process(tmp_path: Path) -> None:
    words = ["--size", "160x112", "--fps", "100", "--seconds", "0.05", "--log", str(tmp_path / "sent.jsonl")]
    with subprocess.Popen(
        [sys.executable, SCRIPT, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout and process.stdin
        with urllib.request.urlopen(process.stdout.readline().strip()) as response:
            received = numbers_in(response.read())
        process.stdin.close()
        assert process.wait(PATIENCE) == 0
    lines = map(json.loads, (tmp_path / "sent.jsonl").read_text().splitlines())
    assert [(line["number"], line["state"]) for line in lines] == [(number, "whole") for number in received]
    assert received
    assert set(received) <= {*range(5)}  # those for which the machine was too slow are skipped
