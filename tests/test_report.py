"""What a report says of a run."""

from __future__ import annotations

import pickle
from collections import Counter
from pathlib import Path

from mjpeg_restore.jpeg.segments import DQT, segments
from mjpeg_restore.pipeline import run
from mjpeg_restore.report import OutputReport, Report
from mjpeg_restore.sources import LiveStatus, open_source
from mjpeg_restore.testing import Collect, ListSource
from tests.streams import DECODE, SIZE, cut, restore, still, troubles


def test_the_report_says_what_went_through() -> None:
    qualities = [10, 50, 50, 90, 90, 90]
    _, report = restore([still(quality=quality) for quality in qualities])
    assert report.quality == {"min": 10, "median": 90, "max": 90}
    assert (report.size, report.sampling, report.model) == (SIZE, "4:2:0", "decode")
    assert report.runtime.startswith("ONNX Runtime")
    assert list(report.latency_ms) == ["p50", "p95", "p99"]
    assert report.seconds > 0
    assert report.speed is not None
    assert not report.interrupted
    assert report.first_trouble is None


def test_each_picture_is_timed_in_each_stage() -> None:
    pictures, report = restore([still(seed) for seed in range(4)])
    assert {stage: times.count for stage, times in report.stage_times.items()} == {"read": 4, "restore": 4, "write": 4}
    assert all(times.sum > 0 for times in report.stage_times.values())
    assert report.latencies.count == len(pictures)


def test_a_picture_that_is_shown_again_is_written_again_and_has_no_latency() -> None:
    _, report = restore([still(1), cut(still(2)), still(3)], on_corrupt="hold")
    assert report.held == 1
    assert {stage: times.count for stage, times in report.stage_times.items()} == {"read": 2, "restore": 2, "write": 3}
    assert report.latencies.count == 2


def test_the_median_of_millions_is_found_from_counts() -> None:
    report = Report()
    report.qualities.update({20: 3_000_000_000, 50: 1, 80: 3_000_000_000})
    assert report.quality == {"min": 20, "median": 50, "max": 80}


def test_the_median_is_found_while_pictures_are_counted() -> None:
    class Counted(Counter[int]):
        """Counts two pictures more whenever a count is read, as the run's thread may."""

        def __getitem__(self, quality: int) -> int:
            self[quality] = (count := self.get(quality, 0)) + 2
            return count

    report = Report(qualities=Counted({50: 1, 75: 1}))
    for _ in range(3):
        assert report.quality == {"min": 50, "median": 75, "max": 75}


def test_who_reads_the_report_meanwhile_knows_what_runs_the_network() -> None:
    seen: list[str] = []
    run(ListSource([still()]), DECODE, Collect(), progress=lambda report: seen.append(report.runtime))
    assert seen[0].startswith("ONNX Runtime")


def test_a_snapshot_says_the_same_in_another_process() -> None:
    _, report = restore([still(quality=quality) for quality in (10, 50, 90)])
    before = report.as_dict()
    snapshot = pickle.loads(pickle.dumps(report.snapshot()))
    assert snapshot.as_dict() == before
    assert snapshot.latencies.buckets == report.latencies.buckets
    assert snapshot.seconds == snapshot.seconds  # its clock stands still, whatever the other machine's says
    other = Report()
    other.replace(snapshot)
    assert other.as_dict() == before


def test_a_snapshot_does_not_change_with_its_report() -> None:
    report = Report(connection=LiveStatus(connected=True), outputs=(OutputReport("a"),))
    snapshot = report.snapshot()
    before = snapshot.as_dict(), snapshot.latencies.buckets
    report.note_warnings(["odd"])
    report.qualities[7] += 1
    report.taken(0.0, 1.0)
    assert report.connection
    report.connection.connected = False
    report.outputs[0].lost += 1
    assert (snapshot.as_dict(), snapshot.latencies.buckets) == before


def test_a_snapshot_of_days_is_small() -> None:
    report = Report()
    for _ in range(5000):
        report.taken(0.0, 0.01)
    assert len(pickle.dumps(report.snapshot())) < 8000


def test_a_truncated_source_is_reported() -> None:
    source = ListSource([still()])
    source.truncated = "a list ends in the middle of a picture"
    assert run(source, DECODE, Collect()).truncated == source.truncated


def test_s10_the_first_trouble_is_the_one_that_came_first() -> None:
    _, report = restore([still(1), cut(still(2)), b"\xff\xd8tiny", still(3)])
    assert troubles(report) == {"damaged": 1, "repaired": 1, "dropped": 1}
    assert report.first_trouble is not None
    assert report.first_trouble.startswith("packet 1: ")


def test_harmless_oddities_are_counted() -> None:
    table = next(found for found in segments(still(), 0) if found.marker == DQT)
    zero_step = still()[: table.body + 1] + b"\0" + still()[table.body + 2 :]
    _, report = restore([zero_step, still(), zero_step])
    assert report.warnings == {"a quantisation step of 0 was read as 1": 2}


def test_a_file_that_went_away_is_named_in_the_report(tmp_path: Path) -> None:
    for number in range(2):
        (tmp_path / f"{number}.jpg").write_bytes(still(number))
    with open_source(tmp_path) as source:
        (tmp_path / "1.jpg").unlink()
        report = run(source, DECODE, Collect())
    assert report.dropped == 1
    assert report.first_trouble == f"{tmp_path / '1.jpg'}: cannot be read: No such file or directory"


def test_a_file_that_is_broken_is_named_in_the_report(tmp_path: Path) -> None:
    (tmp_path / "0.jpg").write_bytes(still(0))
    (tmp_path / "1.jpg").write_bytes(still(1)[:300])
    with open_source(tmp_path) as source:
        report = run(source, DECODE, Collect())
    assert (report.first_trouble or "").startswith(f"{tmp_path / '1.jpg'}: the picture breaks off")


def test_kinds_of_warnings_are_bounded() -> None:
    report = Report()
    for number in range(10_000):
        report.note_warnings([f"{number} extraneous bytes", "no Huffman tables"])
    assert len(report.warnings) <= 257
    assert report.warnings["no Huffman tables"] == 10_000
    assert report.warnings.total() == 20_000
