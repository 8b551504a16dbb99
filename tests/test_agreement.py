"""The yardstick that two runs of a network are held against."""

from __future__ import annotations

import numpy as np
import pytest

from tests.agreement import ROUNDED, assert_same, difference, rounded
from tests.lacking import needs

RANDOM = np.random.default_rng(2)
DECODED = RANDOM.uniform(40, 200, (64, 96))
RESTORED = DECODED + RANDOM.normal(0, 5, DECODED.shape)


def whole(plane: np.ndarray) -> np.ndarray:
    return np.rint(plane).astype(np.uint8)


@pytest.mark.parametrize("share", [0.0, 0.01, 0.1, 0.3])
def test_it_is_the_share_of_the_change_whatever_whole_numbers_hide(share: float) -> None:
    other = RESTORED + np.random.default_rng(3).normal(0, 5 * share, DECODED.shape)
    found = difference([whole(other)], [whole(RESTORED)], [DECODED])
    assert 0.5 * share <= found <= 1.3 * share  # never much more


@pytest.mark.parametrize("place", [np.s_[:, 88:], np.s_[56:], np.s_[:, 40:48]])
def test_a_band_that_was_left_out_is_not_lost(place: tuple[slice, ...]) -> None:
    other = RESTORED.copy()
    other[place] = DECODED[place]
    assert difference([whole(other)], [whole(RESTORED)], [DECODED]) > 4 * ROUNDED


def test_one_plane_that_is_wrong_is_enough() -> None:
    planes = [whole(RESTORED)] * 2
    assert difference([planes[0], whole(DECODED)], planes, [DECODED] * 2) > 4 * ROUNDED


def test_roundings_of_layers_add_up_as_their_squares_do() -> None:
    assert rounded(16) == pytest.approx(2 * rounded(4)) == pytest.approx(1 / 6, abs=0.01)


def test_the_spread_is_that_of_the_networks() -> None:
    needs("torch")
    from mjpeg_restore.models import int8
    from tests import agreement

    assert agreement.SIGNED_SPREAD == int8.SIGNED_SPREAD


def test_float32_may_round_to_the_next_whole_number() -> None:
    plane = whole(RESTORED)
    assert_same([plane + 1], [plane])
    with pytest.raises(AssertionError):
        assert_same([plane + 2], [plane])
