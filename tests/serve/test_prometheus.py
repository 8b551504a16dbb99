"""Metrics, as Prometheus' own parser reads them."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest

from mjpeg_restore.sources import LiveStatus
from tests.lacking import needs
from tests.patience import until
from tests.serve.clients import Server, ask, streaming
from tests.serve.served import camera, write

read_text = needs("prometheus_client.parser").text_string_to_metric_families
read_openmetrics = needs("prometheus_client.openmetrics.parser").text_string_to_metric_families

pytestmark = pytest.mark.network


@pytest.fixture
def server() -> Iterator[Server]:
    door, yard = camera("door"), camera("yard")
    door.report.connection = LiveStatus(connected=True, reconnects=3, stalls=2)
    door.report.damaged, door.report.dropped, door.report.held = 5, 4, 1
    for seconds in (0.0004, 0.003, 0.003, 60):
        door.report.stage_times["restore"].observe(seconds)
    for _ in range(7):
        write(door)
    with Server([door, yard], port=0) as server:
        yield server


def sampled(text: str) -> dict[tuple[str, ...], float]:
    """Samples by name and the values of their labels, but for the buckets of histograms."""
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in read_text(text)
        for sample in family.samples
        if "le" not in sample.labels
    }


@pytest.mark.parametrize("accept", ["application/openmetrics-text;version=new", "text/plain;version=.."])
def test_a_version_that_is_none_gets_the_usual_format(server: Server, accept: str) -> None:
    answer = ask(server, "/metrics", Accept=accept)
    assert answer.status == 200
    assert sampled(answer.text)["mjpeg_restore_frames_in_total", "door"] == 7


def test_counts_are_those_of_the_reports(server: Server) -> None:
    found = sampled(ask(server, "/metrics").text)
    for name, count in {
        "frames_in": 7,
        "frames_out": 7,
        "frames_damaged": 5,
        "frames_dropped": 4,
        "frames_held": 1,
        "reconnects": 3,
        "stalls": 2,
    }.items():
        assert found[f"mjpeg_restore_{name}_total", "door"] == count
    assert found["mjpeg_restore_frames_in_total", "yard"] == 0
    assert ("mjpeg_restore_reconnects_total", "yard") not in found  # it is no camera, and never connects
    assert found["mjpeg_restore_connected", "door"] == 1
    assert found["mjpeg_restore_quality", "door"] == 40


def test_health_and_viewers_are_gauges(server: Server) -> None:
    with streaming(server, "/camera/door/stream"):
        until(lambda: sampled(ask(server, "/metrics").text)["mjpeg_restore_viewers", "door"] == 1)
    assert sampled(ask(server, "/metrics").text)["mjpeg_restore_healthy", "door"] == 1


def test_histograms_are_cumulative_and_end_in_infinity(server: Server) -> None:
    families = {family.name: family for family in read_text(ask(server, "/metrics").text)}
    stages = families["mjpeg_restore_stage_seconds"]
    assert stages.type == "histogram"
    buckets = {
        float(sample.labels["le"]): sample.value
        for sample in stages.samples
        if sample.labels.get("stage") == "restore" and sample.labels["camera"] == "door" and "le" in sample.labels
    }
    assert (buckets[0.001], buckets[0.0025], buckets[0.005], buckets[10], buckets[math.inf]) == (1, 1, 3, 3, 4)
    assert list(buckets.values()) == sorted(buckets.values())
    found = sampled(ask(server, "/metrics").text)
    assert found["mjpeg_restore_stage_seconds_sum", "door", "restore"] == pytest.approx(60.0064)
    assert found["mjpeg_restore_latency_seconds_count", "door"] == 7


def test_openmetrics_is_there_for_those_who_ask(server: Server) -> None:
    answer = ask(server, "/metrics", Accept="application/openmetrics-text; version=1.0.0")
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert {family.name for family in read_openmetrics(answer.text)} >= {"mjpeg_restore_frames_in", "mjpeg_restore"}


def test_two_servers_do_not_share_their_metrics(server: Server) -> None:
    with Server([camera("attic")], port=0) as other:
        assert 'camera="door"' not in ask(other, "/metrics").text
        assert 'camera="attic"' not in ask(server, "/metrics").text
