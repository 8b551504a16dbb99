"""Damage where a recording is cut: each part knows what one run knows at that point, or is restored again."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Container
from pathlib import Path

import pytest

from mjpeg_restore.archive.manifest import MANIFEST
from mjpeg_restore.jpeg.segments import DHT, DQT
from mjpeg_restore.pipeline import PipelineSettings
from mjpeg_restore.report import COUNTS
from tests.archive.comparing import InlineWorkers, archive, assert_same, one_run, settings
from tests.archive.recordings import PICTURES, damaged, muxed, raw
from tests.jpeg.pictures import without
from tests.streams import cut, still


def assert_as_one_run(recording: Path, folder: Path, part: int = 10, **policies: str) -> InlineWorkers:
    chosen = settings(part, policies=PipelineSettings(**policies))  # pyright: ignore[reportArgumentType]
    wanted = one_run(recording, folder / "wanted.mkv", chosen)
    report, workers = archive(recording, folder / "out", chosen)
    assert report.failures == []
    assert_same(folder / "out" / f"{recording.stem}.mkv", folder / "wanted.mkv")
    line = json.loads((folder / "out" / MANIFEST).read_text())
    names = ["frames", "packets", *(name for name in COUNTS if name != "late"), "first_trouble"]
    assert {name: line[name] for name in names} == {name: getattr(wanted, name) for name in names}
    return workers


def again(workers: InlineWorkers) -> int:
    """Parts that were restored with more than the usual preroll."""
    parts = [arguments for name, arguments in workers.tasks if name == "restore_part"]
    return sum(since != number for *_, number, since in parts)


def with_at(numbers: Container[int], change: Callable[[bytes], bytes]) -> list[bytes]:
    """Pictures of which some are changed."""
    return [change(data) if number in numbers else data for number, data in enumerate(PICTURES[:33])]


@pytest.mark.parametrize("where", [9, 10, 11, 20])
def test_a_damaged_picture_beside_a_cut(tmp_path: Path, where: int) -> None:
    recording = raw(tmp_path / "cam.mjpeg", with_at([where], cut))
    assert again(assert_as_one_run(recording, tmp_path)) == 0


@pytest.mark.parametrize("policy", ["repair", "hold", "drop", "pass"])
def test_damage_that_lasts_for_longer_than_the_preroll(tmp_path: Path, policy: str) -> None:
    recording = raw(tmp_path / "cam.mjpeg", with_at(range(8, 24), cut))
    workers = assert_as_one_run(recording, tmp_path, on_corrupt=policy)
    assert again(workers) or policy == "pass"


def test_nothing_to_be_seen_in_a_whole_part(tmp_path: Path) -> None:
    recording = muxed(tmp_path / "cam.mkv", with_at(range(10, 20), lambda data: b"no picture" * 20))
    for policy in ("drop", "repair"):
        (folder := tmp_path / policy).mkdir()
        assert_as_one_run(recording, folder, on_corrupt=policy)


def test_nothing_to_be_seen_in_the_first_part(tmp_path: Path) -> None:
    recording = muxed(tmp_path / "cam.mkv", with_at(range(12), lambda data: b"no picture" * 20), sound="pcm_s16le")
    assert_as_one_run(recording, tmp_path)


def test_q5_tables_of_the_first_picture_alone(tmp_path: Path) -> None:
    recording = raw(tmp_path / "cam.mjpeg", with_at(range(1, 33), lambda data: without(data, DQT, DHT)))
    assert again(assert_as_one_run(recording, tmp_path)) == 0


def test_b2_sizes_that_change_become_the_first_one(tmp_path: Path) -> None:
    pictures = [still(number, size=(64, 48) if number < 14 else (80, 64)) for number in range(33)]
    recording = muxed(tmp_path / "cam.mkv", pictures)
    for policy in ("scale", "letterbox"):
        (folder := tmp_path / policy).mkdir()
        assert_as_one_run(recording, folder, on_resize=policy)


@pytest.mark.parametrize("seed", range(8))
def test_recordings_with_all_kinds_of_damage(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    rate = rng.choice([0.1, 0.3, 0.6])
    pictures = [damaged(rng, number) if rng.random() < rate else data for number, data in enumerate(PICTURES[:40])]
    recording = muxed(tmp_path / "cam.mkv", pictures) if seed % 2 else raw(tmp_path / "cam.mjpeg", pictures)
    policy = rng.choice(["repair", "hold", "drop", "pass"])
    assert_as_one_run(recording, tmp_path, rng.choice([5, 7, 13]), on_corrupt=policy)
