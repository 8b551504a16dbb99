"""Durations counted in buckets."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor

from hypothesis import given
from hypothesis import strategies as st

from mjpeg_restore.histogram import BOUNDS, Histogram


@given(st.lists(st.floats(0, 100) | st.sampled_from(BOUNDS), max_size=50))
def test_each_bucket_counts_what_does_not_exceed_its_bound(durations: list[float]) -> None:
    histogram = Histogram()
    for seconds in durations:
        histogram.observe(seconds)
    assert histogram.buckets == [(bound, sum(s <= bound for s in durations)) for bound in (*BOUNDS, math.inf)]
    assert histogram.count == len(durations)
    assert histogram.sum == sum(durations)


def test_no_duration_is_lost_between_threads() -> None:
    histogram = Histogram()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(histogram.observe, [0.5] * 4000))
    assert (histogram.count, histogram.sum) == (4000, 2000.0)
