"""Two fields become one picture."""

from __future__ import annotations

import numpy as np
import pytest

from mjpeg_restore.frames import Damage, Picture, Sampling
from mjpeg_restore.interlace import weave


def field(level: int, bad_row: int | None) -> Picture:
    planes = tuple(np.full(size, level, np.uint8) for size in ((24, 64), (12, 32), (12, 32)))
    damage = None if bad_row is None else Damage(bad_row, 3, "cut off")
    return Picture(planes, Sampling.YUV420, damage=damage)


@pytest.mark.parametrize("bottom_first", [False, True])
def test_s6_lines_of_both_take_turns(bottom_first: bool) -> None:
    woven = weave(field(1, None), field(2, None), bottom_first=bottom_first)
    assert woven.field_order == ("bottom" if bottom_first else "top")
    for plane in woven.planes:
        assert np.unique(plane[0::2]).tolist() == [2 if bottom_first else 1]
        assert np.unique(plane[1::2]).tolist() == [1 if bottom_first else 2]


@pytest.mark.parametrize(
    ("rows", "worse"), [((None, None), None), ((2, None), 2), ((None, 0), 0), ((2, 1), 1), ((0, 2), 0)]
)
def test_s6_damage_is_the_worse_fields(rows: tuple[int | None, int | None], worse: int | None) -> None:
    damage = weave(*(field(0, row) for row in rows), bottom_first=False).damage
    assert (None if damage is None else damage.first_bad_row) == worse
