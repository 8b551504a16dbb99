"""Memory for pictures: lent to one at a time, kept for the next one of its size, and not without a bound."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from mjpeg_restore.runtime.cpu.lent import Lent
from mjpeg_restore.runtime.cpu.part_sizes import Grids


@dataclass(frozen=True)
class Bytes:
    """Memory of so many bytes."""

    nbytes: int


@pytest.mark.parametrize(("size", "forgotten"), [(10_000, 0), (200_000_000, 5)])
def test_memory_of_many_sizes_is_kept_if_there_is_little_of_it(size: int, forgotten: int) -> None:
    made: list[Grids] = []

    def new(grids: Grids) -> Bytes:
        made.append(grids)
        return Bytes(size)

    lent = Lent(new)
    sizes: list[Grids] = [((high, 8),) for high in range(1, 8)]
    for grids in sizes:
        with lent(grids) as memory, lent(grids) as other:
            assert memory is not other
    made.clear()
    for grids in reversed(sizes):
        with lent(grids):
            pass
    assert len(made) == forgotten


def test_memory_is_not_used_again_after_an_error() -> None:
    lent = Lent(lambda grids: Bytes(8))
    with pytest.raises(ValueError, match="no"), lent(((1, 1),)) as lost:
        raise ValueError("no")
    with lent(((1, 1),)) as found:
        assert found is not lost
    with lent(((1, 1),)) as again:
        assert again is found


def test_memory_of_a_size_that_has_gone_is_given_up() -> None:
    made: list[Grids] = []

    def new(grids: Grids) -> Bytes:
        made.append(grids)
        return Bytes(1000)

    lent = Lent(new)
    for grids in [((1, 1),), *[((2, 2),)] * 200, ((1, 1),), ((2, 2),), ((1, 1),)]:
        with lent(grids):
            pass
    assert made == [((1, 1),), ((2, 2),), ((1, 1),)]


def test_it_tells_how_much_a_picture_needs() -> None:
    lent = Lent(lambda grids: Bytes(10 * grids[0][0] * grids[0][1]))
    assert lent.nbytes(((3, 4),)) == 120


def test_more_memory_than_there_is_has_no_end() -> None:
    def lack(grids: Grids) -> Bytes:
        raise MemoryError

    assert Lent(lack).nbytes(((1, 1),)) >= 2**62
