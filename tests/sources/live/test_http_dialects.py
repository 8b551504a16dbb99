"""Every dialect of the misbehaving camera, and what remains of a stream with its faults."""

from __future__ import annotations

from contextlib import closing
from itertools import islice

import pytest
from cameras.dialects import DIALECTS
from cameras.faults import Fault
from cameras.http import HttpCamera
from cameras.pictures import NumberedPictures

from mjpeg_restore.address import Address
from mjpeg_restore.sources.live.connection import Capture
from mjpeg_restore.sources.live.http import HttpConnection
from mjpeg_restore.sources.live.settings import LiveSettings

pytestmark = pytest.mark.network

PICTURES = NumberedPictures((160, 112))


def receive(camera: HttpCamera, count: int) -> list[Capture]:
    connection = HttpConnection(Address.parse(camera.url), LiveSettings(stall_timeout=10))
    with closing(connection.pictures()) as captures:
        return list(islice(captures, count))


@pytest.mark.parametrize("name", DIALECTS)
def test_every_dialect(name: str) -> None:
    dialect = DIALECTS[name]
    with HttpCamera(PICTURES, dialect=dialect, count=30) as camera:
        captures = receive(camera, 8)
    sent = [PICTURES.jpeg(number) for number in range(8)]
    found = [capture.data for capture in captures]
    if dialect.padding or dialect.without_eoi or name == "length of one byte more":
        assert all(data.startswith(jpeg[:-2]) for data, jpeg in zip(found, sent, strict=True))
    else:
        assert found == sent
    assert all((capture.stamp is not None) == bool(dialect.stamped) for capture in captures)
    assert not any(capture.lost for capture in captures)


def test_faults_cost_the_picture_that_they_hit() -> None:
    faults = [Fault("truncate", 2), Fault("garbage", 4), Fault("flip", 6), Fault("stall inside", 8, seconds=0.05)]
    with HttpCamera(PICTURES, faults=faults, count=30) as camera:
        captures = receive(camera, 12)
    found = [capture.data for capture in captures]
    whole = {number: PICTURES.jpeg(number) for number in range(12) if number not in (2, 6)}
    assert [data for data in found if data in whole.values()] == [*whole.values()]
    assert len(found) == 12 and PICTURES.jpeg(2).startswith(found[2][:1000])


def test_a_connection_that_breaks_inside_a_picture_delivers_its_beginning() -> None:
    with HttpCamera(PICTURES, faults=[Fault("break", 3)]) as camera:
        captures = receive(camera, 100)
    assert len(captures) == 4
    assert PICTURES.jpeg(3).startswith(captures[3].data) and len(captures[3].data) > 1000
