"""The counts of runs in the format of Prometheus."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, InfoMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from mjpeg_restore.histogram import Histogram
from mjpeg_restore.report import Report
from mjpeg_restore.serve.broadcast import Broadcast
from mjpeg_restore.sources import LiveStatus

_PREFIX = "mjpeg_restore"

_COUNTS: dict[str, tuple[str, Callable[[Report], int]]] = {
    "frames_in": ("Coded pictures that arrived", lambda report: report.packets),
    "frames_out": ("Pictures delivered, those shown again included", lambda report: report.frames),
    "frames_dropped": ("Pictures not shown: damaged, fragments, or late", lambda report: report.dropped),
    "frames_late": ("Dropped pictures that had waited too long for the network", lambda report: report.late),
    "frames_damaged": ("Coded pictures with blocks missing", lambda report: report.damaged),
    "frames_repaired": ("Damaged pictures that were repaired", lambda report: report.repaired),
    "frames_unreadable": ("Packets of which nothing could be read", lambda report: report.unreadable),
    "frames_held": ("Times that the picture before was shown again", lambda report: report.held),
}

_CONNECTION: dict[str, tuple[str, Callable[[LiveStatus], int]]] = {
    "reconnects": ("Times that pictures came again after the connection had ended", lambda status: status.reconnects),
    "stalls": ("Times that nothing came for the whole stall timeout", lambda status: status.stalls),
}


class Metrics:
    """The metrics of a server, in a registry of their own."""

    def __init__(self, broadcasts: Callable[[], Iterable[Broadcast]]) -> None:
        """Prepare.

        Args:
            broadcasts: gives the cameras of the moment.
        """
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(_Cameras(broadcasts))

    def page(self, accept: str) -> tuple[bytes, str]:
        """All metrics, and the media type in which they are.

        Args:
            accept: the request's `Accept` header: Prometheus' text format, or OpenMetrics where that is asked for.
        """
        try:
            encode, media_type = choose_encoder(accept)
        except (TypeError, ValueError):  # it asks for a version that is no number
            encode, media_type = choose_encoder("")
        return encode(self._registry), media_type


class _Cameras(Collector):
    """Reads the reports at the moment of the request."""

    def __init__(self, broadcasts: Callable[[], Iterable[Broadcast]]) -> None:
        self._broadcasts = broadcasts

    def describe(self) -> Iterable[Metric]:
        """Nothing is known before there are cameras; without this, `collect` would be called at once."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """The families, each with a sample for each camera."""
        broadcasts = list(self._broadcasts())
        cameras = [broadcast.monitor.camera for broadcast in broadcasts]
        for name, (help, count) in _COUNTS.items():
            counter = CounterMetricFamily(f"{_PREFIX}_{name}", help, labels=["camera"])
            for camera in cameras:
                counter.add_metric([camera.name], count(camera.report))
            yield counter
        connections = [(camera.name, camera.report.connection) for camera in cameras]
        connected = GaugeMetricFamily(f"{_PREFIX}_connected", "Whether the camera sends pictures", labels=["camera"])
        for camera, status in connections:
            if status:
                connected.add_metric([camera], status.connected)
        yield connected
        for name, (help, times) in _CONNECTION.items():
            counter = CounterMetricFamily(f"{_PREFIX}_{name}", help, labels=["camera"])
            for camera, status in connections:
                if status:
                    counter.add_metric([camera], times(status))
            yield counter
        yield from self._durations(broadcasts)
        yield from self._moments(broadcasts)

    def _durations(self, broadcasts: list[Broadcast]) -> Iterator[Metric]:
        stages = HistogramMetricFamily(
            f"{_PREFIX}_stage_seconds", "Time that a stage took for a picture", labels=["camera", "stage"]
        )
        latency = HistogramMetricFamily(
            f"{_PREFIX}_latency_seconds", "From a picture's arrival to its having been taken", labels=["camera"]
        )
        for camera in (broadcast.monitor.camera for broadcast in broadcasts):
            for stage, times in camera.report.stage_times.items():
                stages.add_metric([camera.name, stage], _buckets(times), times.sum)
            latency.add_metric([camera.name], _buckets(camera.report.latencies), camera.report.latencies.sum)
        yield stages
        yield latency

    def _moments(self, broadcasts: list[Broadcast]) -> Iterator[Metric]:
        """What may go up and down."""
        healthy = GaugeMetricFamily(f"{_PREFIX}_healthy", "0 where its /healthz is 503", labels=["camera"])
        last = GaugeMetricFamily(
            f"{_PREFIX}_last_frame_timestamp_seconds", "When the last picture came, Unix time", labels=["camera"]
        )
        quality = GaugeMetricFamily(
            f"{_PREFIX}_quality", "Estimated IJG quality of the last coded picture, 1 to 100", labels=["camera"]
        )
        viewers = GaugeMetricFamily(f"{_PREFIX}_viewers", "Clients that watch", labels=["camera"])
        info = InfoMetricFamily(_PREFIX, "What restores the pictures", labels=["camera"])
        for broadcast in broadcasts:
            camera, sink = broadcast.monitor.camera, broadcast.monitor.camera.sink
            healthy.add_metric([camera.name], broadcast.monitor.health.ok)
            if sink.last is not None:
                last.add_metric([camera.name], time.time() - (time.monotonic() - sink.last))
            if sink.latest and sink.latest.picture.quality:
                quality.add_metric([camera.name], sink.latest.picture.quality)
            viewers.add_metric([camera.name], broadcast.viewers)
            report = camera.report
            info.add_metric([camera.name], {"model": report.model, "runtime": report.runtime, "reader": report.reader})
        yield from (healthy, last, quality, viewers, info)


def _buckets(histogram: Histogram) -> list[tuple[str, float]]:
    return [("+Inf" if math.isinf(bound) else str(bound), count) for bound, count in histogram.buckets]
