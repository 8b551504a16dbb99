"""What belongs to one camera: its last picture, and nothing of another camera's."""

from __future__ import annotations

from concurrent.futures import CancelledError, ThreadPoolExecutor
from dataclasses import replace
from threading import Event

import numpy as np
import pytest

from mjpeg_restore.errors import RuntimeUnavailable
from mjpeg_restore.frames import Damage
from mjpeg_restore.jpeg import read
from tests.restorers import Counting
from tests.streams import still


def test_streams_give_what_the_restorer_gives() -> None:
    restorer = Counting()
    stream, other = restorer.stream(), restorer.stream()
    for seed in (1, 2, 3):
        for one in (stream, other):
            expected = restorer.restore(read(still(seed)))
            for plane, right in zip(one.restore(read(still(seed))).planes, expected.planes, strict=True):
                np.testing.assert_array_equal(plane, right)
    assert restorer.restored == 12  # no stream knows what the other restored


def test_a_picture_that_comes_again_does_not_pass_the_network_again() -> None:
    restorer = Counting()
    stream = restorer.stream()
    first = stream.restore(read(still(1)))
    assert stream.restore(read(still(1))) is first
    assert restorer.restored == 1


@pytest.mark.parametrize("change", ["coefficient", "table", "damage", "size"])
def test_nearly_the_same_is_not_the_same(change: str) -> None:
    restorer = Counting()
    stream = restorer.stream()
    coded = read(still(1))
    luma, *chroma = (blocks.copy() for blocks in coded.coefficients)
    tables = tuple(table.copy() for table in coded.tables)
    match change:
        case "coefficient":
            luma[-1, -1, 63] += 1
            other = replace(coded, coefficients=(luma, *chroma))
        case "table":
            tables[-1][63] += 1
            other = replace(coded, tables=tables)
        case "damage":
            other = replace(coded, damage=Damage(0, 1, "cut off"))
        case _:
            other = replace(coded, width=coded.width - 1)
    stream.restore(coded)
    stream.restore(other)
    assert restorer.restored == 2


def test_a_picture_that_the_pool_dropped_is_tried_again() -> None:
    restorer = Counting()
    with ThreadPoolExecutor(1) as pool:
        stream, go = restorer.stream(pool), Event()
        pool.submit(go.wait, 30)
        failed = stream.submit(read(still(1)))
        pool.shutdown(wait=False, cancel_futures=True)
        go.set()
    with pytest.raises(CancelledError):
        failed.result(30)
    with pytest.raises(RuntimeError, match="shutdown"):  # the network is asked again
        stream.submit(read(still(1)))


def test_a_restart_forgets() -> None:
    restorer = Counting()
    stream = restorer.stream()
    stream.restore(read(still(1)))
    stream.restart()
    stream.restore(read(still(1)))
    assert restorer.restored == 2


def test_a_picture_that_failed_is_tried_again() -> None:
    restorer = Failing()
    with restorer.stream() as stream:
        with pytest.raises(RuntimeUnavailable, match="out of memory"):
            stream.restore(read(still(1)))
        restorer.fails = False
        assert stream.restore(read(still(1))).planes


class Failing(Counting):
    fails = True

    def count(self) -> None:
        if self.fails:
            raise RuntimeUnavailable("out of memory")
