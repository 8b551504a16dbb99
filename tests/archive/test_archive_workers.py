"""Processes of this machine as workers: they do what is done without them, and may be lost."""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
from collections.abc import Generator
from pathlib import Path

import pytest

from mjpeg_restore.archive import ProcessWorkers
from mjpeg_restore.archive.manifest import MANIFEST
from mjpeg_restore.errors import WorkerLost
from tests.archive.comparing import archive, settings
from tests.archive.poisoned import Poisoned, die, die_once, fail, identify, is_interruptible
from tests.archive.recordings import PICTURES, muxed, raw
from tests.archive.test_archive_runs import files, lines
from tests.lacking import needs_sigint
from tests.patience import PATIENCE


@pytest.fixture(scope="module")
def workers() -> Generator[ProcessWorkers]:
    with contextlib.closing(ProcessWorkers(2)) as workers:
        yield workers
    for process in multiprocessing.active_children():
        process.join(PATIENCE)  # one that was lost a moment ago may be about to end
    assert multiprocessing.active_children() == []


def test_tasks_are_done_by_as_many_processes(workers: ProcessWorkers) -> None:
    futures = [workers.submit(identify) for _ in range(workers.slots)]
    assert len({future.result(60) for future in futures}) == workers.slots


@pytest.mark.parametrize("count", [0, -1])
def test_no_workers(count: int) -> None:
    with pytest.raises(ValueError, match=f"workers {count}: 1 or more"):
        ProcessWorkers(count)


@needs_sigint
def test_ctrl_c_does_not_end_a_process_that_is_starting(workers: ProcessWorkers, tmp_path: Path) -> None:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    with pytest.raises(WorkerLost):
        workers.submit(die).result(60)  # and another one takes its place
    futures = [workers.submit(is_interruptible) for _ in range(workers.slots)]
    assert [future.result(60) for future in futures] == [False] * workers.slots
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before


def test_an_exception_is_the_futures(workers: ProcessWorkers) -> None:
    with pytest.raises(KeyError, match="of the task"):
        workers.submit(fail).result(60)
    assert workers.submit(identify).result(60)


def test_a_lost_process_is_replaced_and_its_task_done_again(workers: ProcessWorkers, tmp_path: Path) -> None:
    other, lost = workers.submit(identify), workers.submit(die_once, tmp_path / "mark")
    assert lost.result(60) == "done"
    assert other.result(60)


def test_a_process_that_is_lost_while_it_has_nothing_to_do_is_replaced(workers: ProcessWorkers) -> None:
    for future in [workers.submit(identify) for _ in range(workers.slots)]:
        future.result(60)
    for process in multiprocessing.active_children():  # one of them may have done all the tasks
        process.kill()
        process.join(60)
    assert [workers.submit(identify).result(60) > 0 for _ in range(3)] == [True] * 3


def test_a_task_that_always_ends_its_process_fails(workers: ProcessWorkers) -> None:
    lost, other = workers.submit(die), workers.submit(identify)
    assert other.result(60)
    with pytest.raises(WorkerLost, match="the process that restored it was lost"):
        lost.result(60)
    assert workers.submit(identify).result(60)


def test_an_archive_with_a_poisoned_file(workers: ProcessWorkers, tmp_path: Path) -> None:
    folder, out = tmp_path / "rec", tmp_path / "out"
    folder.mkdir()
    muxed(folder / "long.mkv", sound="pcm_s16le")
    raw(folder / "short.mjpeg", PICTURES[:7])
    archive(folder, tmp_path / "alone", settings(codec="h264"))
    raw(folder / "poison.mjpeg", PICTURES[:7])
    report, _ = archive(folder, out, settings(codec="h264"), Poisoned(workers))
    assert (report.done, report.failed) == (2, 1)
    assert "was lost" in lines(out)["poison.mjpeg"]["error"]
    assert files(out) == files(tmp_path / "alone")
    assert (out / MANIFEST).exists()


def test_a_process_that_never_begins_tells_what_a_program_needs() -> None:
    with contextlib.closing(ProcessWorkers(1)) as fresh:
        with pytest.raises(WorkerLost, match=r"was lost: .* begin its work below `if __name__ == \"__main__\":`$"):
            fresh.submit(die).result(60)
        assert fresh.submit(identify).result(60)
        with pytest.raises(WorkerLost, match=r"for want of memory\?$"):
            fresh.submit(die).result(60)
