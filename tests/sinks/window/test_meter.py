from __future__ import annotations

from itertools import pairwise

from mjpeg_restore.sinks.window.meter import Meter


def text_after(meter: Meter, times: list[float], latency: float | None = None) -> str:
    for time in times:
        meter.drawn(time, None if latency is None else time - latency)
    return meter.text()


def every(seconds: float, count: int, begin: float = 10.0) -> list[float]:
    return [begin + seconds * n for n in range(count)]


def test_rate_and_latency_of_the_pictures_that_were_drawn() -> None:
    assert text_after(Meter(), every(0.04, 50), latency=0.048) == "25.0 fps  latency 48 ms"
    assert text_after(Meter(), every(0.04, 50)) == "25.0 fps"


def test_one_picture_makes_no_rate() -> None:
    assert text_after(Meter(), [10.0], latency=1.0) == ""


def test_the_last_two_seconds_count() -> None:
    meter = Meter()
    text_after(meter, every(0.04, 100))
    assert text_after(meter, every(0.1, 40, begin=14.0)) == "10.0 fps"


def test_however_slow_it_is_there_is_a_rate() -> None:
    assert text_after(Meter(), every(5.0, 4)) == "0.2 fps"


def test_the_figures_stay_for_half_a_second() -> None:
    meter = Meter()
    texts = [text_after(meter, [time]) for time in [*every(0.04, 5), *every(0.02, 100, begin=10.2)]]
    assert texts[:4] == ["", "25.0 fps", "25.0 fps", "25.0 fps"]
    changes = sum(before != after for before, after in pairwise(texts))
    assert changes == 1 + int((10.2 + 99 * 0.02 - 10.04) / 0.5)


def test_a_pause_is_no_slow_picture() -> None:
    meter = Meter()
    text_after(meter, every(0.04, 50))
    meter.restart()
    assert text_after(meter, every(0.04, 50, begin=100.0)) == "25.0 fps"


def test_what_was_dropped_is_counted() -> None:
    meter = Meter()
    meter.dropped = 3
    assert text_after(meter, every(0.04, 50)) == "25.0 fps  3 dropped"
