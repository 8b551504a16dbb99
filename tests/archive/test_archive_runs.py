"""A run over an archive: what is done, what is not, and what a second call does."""

from __future__ import annotations

import errno
import json
import os
import shutil
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Any, ClassVar

import pytest

from mjpeg_restore.archive import Archive, ArchiveSettings, Destination, beginning, list_recordings
from mjpeg_restore.archive.destination import WORK
from mjpeg_restore.archive.estimate import estimate
from mjpeg_restore.archive.local import LocalStore
from mjpeg_restore.archive.manifest import MANIFEST
from mjpeg_restore.archive.store import checksum
from mjpeg_restore.errors import RuntimeUnavailable, SinkError, SourceError, WorkerLost
from mjpeg_restore.pipeline import PipelineSettings
from mjpeg_restore.sinks import OutputSettings
from tests.archive.comparing import InlineWorkers, archive, contents, settings
from tests.archive.recordings import PICTURES, muxed, raw
from tests.lacking import needs
from tests.streams import still


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    """A long recording, a short one, a picture, and what is none."""
    folder = tmp_path / "rec"
    (folder / "cam").mkdir(parents=True)
    muxed(folder / "cam" / "long.mkv", sound="pcm_s16le")
    raw(folder / "short.mjpeg", PICTURES[:7])
    raw(folder / "picture.jpg", PICTURES[:1])
    (folder / "notes.txt").write_text("a camera fell down in March")
    return folder


def lines(out: Path) -> dict[str, dict[str, Any]]:
    """The manifest's lines, by name."""
    found = [json.loads(line) for line in (out / MANIFEST).read_text().splitlines()]
    assert len({line["name"] for line in found}) == len(found)
    return {line["name"]: line for line in found}


def files(folder: Path) -> dict[str, bytes]:
    """The contents of all files in a folder but the manifest."""
    paths = [path for path in folder.rglob("*") if path.is_file() and path.name != MANIFEST]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def test_restored_files_have_the_recordings_names_and_lines(recordings: Path, tmp_path: Path) -> None:
    report, _ = archive(recordings, tmp_path / "out", settings())
    assert (report.recordings, report.done, report.refused, report.failed) == (4, 3, 1, 0)
    assert report.frames == 33 + 7 + 1
    assert set(files(tmp_path / "out")) == {"cam/long.mkv", "short.mkv", "picture.png"}
    found = lines(tmp_path / "out")
    assert {name: line["status"] for name, line in found.items()} == {
        "cam/long.mkv": "done",
        "notes.txt": "refused",
        "picture.jpg": "done",
        "short.mjpeg": "done",
    }
    assert "is text, not video" in found["notes.txt"]["error"]
    long = found["cam/long.mkv"]
    assert long["sha256"] == checksum(recordings / "cam" / "long.mkv")
    assert long["output_sha256"] == checksum(tmp_path / "out" / "cam" / "long.mkv")
    assert (long["frames"], long["packets"], long["parts"]) == (33, 33, 4)
    assert long["model"]["name"] == "decode" and len(long["model"]["sha256"]) == 64
    assert long["settings"] == {"extension": ".mkv", "part": 10, "codec": "ffv1"}


def test_a_second_call_does_nothing(recordings: Path, tmp_path: Path) -> None:
    archive(recordings, tmp_path / "out", settings())
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")}
    report, workers = archive(recordings, tmp_path / "out", settings())
    assert workers.tasks == []
    assert (report.unchanged, report.done, report.refused) == (4, 0, 0)
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")} == before


def test_what_is_missing_or_has_changed_is_done(recordings: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    archive(recordings, out, settings())
    (out / "cam" / "long.mkv").unlink()
    raw(recordings / "short.mjpeg", PICTURES[:8])
    raw(recordings / "new.mjpeg", PICTURES[:2])
    report, _ = archive(recordings, out, settings())
    assert (report.unchanged, report.done) == (2, 3)
    assert lines(out)["short.mjpeg"]["frames"] == 8


def test_a_restored_file_that_was_cut_off_is_made_anew(recordings: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    archive(recordings, out, settings())
    whole = (out / "short.mkv").read_bytes()
    (out / "short.mkv").write_bytes(whole[:-10])
    assert archive(recordings, out, settings())[0].done == 1
    assert (out / "short.mkv").read_bytes() == whole


def test_a_new_date_alone_restores_nothing(recordings: Path, tmp_path: Path) -> None:
    archive(recordings, tmp_path / "out", settings())
    os.utime(recordings / "cam" / "long.mkv", (1, 1))
    report, workers = archive(recordings, tmp_path / "out", settings())
    assert [name for name, _ in workers.tasks] == ["begin"]
    assert (report.unchanged, report.done) == (4, 0)
    assert archive(recordings, tmp_path / "out", settings())[1].tasks == []


@pytest.mark.parametrize(
    "changed",
    [
        settings(11),
        settings(codec="mjpeg"),
        settings(sound=False),
        settings(policies=PipelineSettings(on_corrupt="drop")),
        ArchiveSettings(model="decode", part=10, output=OutputSettings(codec="ffv1", range="limited")),
    ],
)
def test_other_settings_are_done_anew(recordings: Path, tmp_path: Path, changed: ArchiveSettings) -> None:
    archive(recordings, tmp_path / "out", settings())
    assert archive(recordings, tmp_path / "out", changed)[0].done == 3


def test_a_device_is_no_setting_of_the_result() -> None:
    assert settings(device="onnxruntime").key == settings().key


def test_a_broken_line_of_the_manifest_is_done_anew(recordings: Path, tmp_path: Path) -> None:
    archive(recordings, tmp_path / "out", settings())
    manifest = tmp_path / "out" / MANIFEST
    manifest.write_text(manifest.read_text()[:-40])
    report, _ = archive(recordings, tmp_path / "out", settings())
    assert (report.unchanged, report.done) == (3, 1)
    assert len(lines(tmp_path / "out")) == 4


@pytest.mark.parametrize(
    "line", ['{"name": 5}', '{"name": ["a"]}', '["name"]', "7", '{"name": "short.mjpeg"}', "\x00", "[" * 200_000]
)
def test_a_foreign_line_of_the_manifest_is_left_out(recordings: Path, tmp_path: Path, line: str) -> None:
    archive(recordings, tmp_path / "out", settings())
    with (tmp_path / "out" / MANIFEST).open("a") as file:
        file.write(f"{line}\n")
    raw(recordings / "new.mjpeg", PICTURES[:2])
    report, _ = archive(recordings, tmp_path / "out", settings())
    assert (report.unchanged, report.done) == (4, 1)
    assert len(lines(tmp_path / "out")) == 5


@pytest.mark.parametrize("text", [b'{"image": "1.png"}\n', b"\x00" * 99, b"\xba\xfe"])
def test_a_manifest_of_something_else_is_kept(recordings: Path, tmp_path: Path, text: bytes) -> None:
    (tmp_path / MANIFEST).write_bytes(text)
    with pytest.raises(SinkError, match=r"manifest\.jsonl is no manifest of an archive: remove it, or"):
        archive(recordings, tmp_path, settings())
    assert (tmp_path / MANIFEST).read_bytes() == text


def test_a_manifest_of_which_a_disk_has_spoilt_some_bytes(recordings: Path, tmp_path: Path) -> None:
    archive(recordings, tmp_path / "out", settings())
    manifest = tmp_path / "out" / MANIFEST
    spoilt = bytearray(manifest.read_bytes())
    spoilt[20:24] = b"\xff\n\x00\xba"
    manifest.write_bytes(spoilt)
    assert archive(recordings, tmp_path / "out", settings())[0].unchanged == 3
    manifest.write_bytes(manifest.read_bytes()[:50])
    assert archive(recordings, tmp_path / "out", settings())[0].unchanged == 0


def test_no_destination() -> None:
    with pytest.raises(SinkError, match="the destination is empty: give a folder"):
        Destination("")


@pytest.mark.parametrize("name", ["file", "file/folder"])
def test_a_destination_that_can_be_no_folder(recordings: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SinkError, match=rf"cannot make .*{name} \((File exists|Not a directory)\): give another"):
        archive(recordings, tmp_path / name, settings())


def test_a_file_that_is_not_the_archives_is_not_replaced(recordings: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "short.mkv").write_bytes(b"an original")
    report, _ = archive(recordings, out, settings())
    assert (report.done, report.failed) == (2, 1)
    assert (out / "short.mkv").read_bytes() == b"an original"
    found = lines(out)["short.mjpeg"]
    assert found["status"] == "failed"
    assert found["error"].endswith(
        "short.mkv is there, and was not restored by this archive: move it, or give another destination"
    )
    report, _ = archive(recordings, out, settings())
    assert (report.done, report.failed, report.unchanged) == (0, 1, 3)
    (out / "short.mkv").unlink()
    report, _ = archive(recordings, out, settings())
    assert (report.done, report.failed) == (1, 0)


@pytest.mark.parametrize("spoilt", [slice(40, 44), slice(-9, -5)])
def test_a_file_that_is_not_the_archives_is_kept_beside_a_damaged_manifest(
    recordings: Path, tmp_path: Path, spoilt: slice
) -> None:
    out = tmp_path / "out"
    archive(recordings / "short.mjpeg", out, settings())
    line = bytearray((out / MANIFEST).read_bytes())
    line[spoilt] = b"\xff\x00\xff\x00"
    (out / MANIFEST).write_bytes(line)
    (out / "picture.png").write_bytes(b"an original")
    archive(recordings, out, settings())
    assert (out / "picture.png").read_bytes() == b"an original"


def test_files_that_were_made_with_other_settings_are_the_archives(recordings: Path, tmp_path: Path) -> None:
    for extension in (".mkv", ".mp4", ".mov", ".mkv", ".mp4"):
        report, _ = archive(recordings / "cam", tmp_path / "out", settings(0, extension, "h264"))
        assert (report.done, report.failed) == (1, 0)
    assert lines(tmp_path / "out")["long.mkv"]["earlier"] == ["long.mkv", "long.mov"]


def test_files_that_were_made_before_a_twin_came_are_the_archives(recordings: Path, tmp_path: Path) -> None:
    archive(recordings, tmp_path / "out", settings())
    twin = raw(recordings / "short.mov", PICTURES[:3])
    assert archive(recordings, tmp_path / "out", settings())[0].done == 2
    twin.unlink()
    report, _ = archive(recordings, tmp_path / "out", settings())
    assert (report.done, report.failed) == (1, 0)


def test_a_file_of_a_run_that_died_before_it_noted_that_is_replaced(recordings: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    archive(recordings, out, settings())
    written = (out / MANIFEST).read_text().splitlines()
    begun = [json.dumps(json.loads(line) | {"status": "begun"}) if "short" in line else line for line in written]
    (out / MANIFEST).write_text("\n".join(begun) + "\n")
    (out / "short.mkv").write_bytes(b"")
    report, _ = archive(recordings, out, settings())
    assert (report.done, report.unchanged) == (1, 3)
    assert lines(out)["short.mjpeg"]["status"] == "done"


def test_each_recording_is_noted_before_it_is_begun(recordings: Path, tmp_path: Path) -> None:
    seen: list[str] = []

    class Watching(InlineWorkers):
        def submit(self, task: Any, *arguments: Any) -> Future[Any]:
            name = arguments[0].recording.name
            seen.extend(line["status"] for line in lines(tmp_path / "out").values() if line["name"] == name)
            return super().submit(task, *arguments)

    chosen = list_recordings([str(recordings / "short.mjpeg")], str(tmp_path / "out"), ".mkv")
    Archive(chosen, Destination(str(tmp_path / "out")), settings()).run(Watching())
    assert seen == ["begun"]


@pytest.mark.parametrize("name", ["short.mjpeg", "short.mov"])
def test_another_recordings_file_is_not_replaced(recordings: Path, tmp_path: Path, name: str) -> None:
    out, other = tmp_path / "out", tmp_path / "other"
    archive(recordings, out, settings())
    other.mkdir()
    raw(other / name, PICTURES[:3])
    before = files(out)
    with pytest.raises(
        SinkError, match=rf"short\.mkv is restored from .*short\.mjpeg, .* by .*other/{name}: give both"
    ):
        archive(other, out, settings())
    assert files(out) == before
    (recordings / "short.mjpeg").unlink()  # it has moved, or become the other one
    assert archive(other, out, settings())[0].done == 1


@pytest.fixture
def twins(tmp_path: Path) -> tuple[Path, Path, Path]:
    """Two recordings whose restored files have one name if they are restored one by one, and a destination."""
    avi = raw(tmp_path / "short.mjpeg", PICTURES[:7])
    return avi, raw(tmp_path / "short.mov", PICTURES[:3]), tmp_path / "out"


REPLACED = r"short\.mkv is restored from .*short\.mjpeg, and would be replaced by .*short\.mov: give both"


def test_another_recordings_file_of_another_format_is_not_replaced(twins: tuple[Path, Path, Path]) -> None:
    first, second, out = twins
    archive(first, out, settings())
    archive(first, out, settings(extension=".mp4", codec="h264"))
    before = files(out)
    with pytest.raises(SinkError, match=REPLACED):
        archive(second, out, settings())
    assert files(out) == before


@pytest.mark.parametrize("spoilt", [b"\0" * 3000, b""])
def test_the_file_of_a_recording_that_was_damaged_later_is_not_replaced(
    twins: tuple[Path, Path, Path], spoilt: bytes
) -> None:
    first, second, out = twins
    archive(first, out, settings())
    first.write_bytes(spoilt)
    assert archive(first, out, settings())[0].refused == 1
    before = files(out)
    with pytest.raises(SinkError, match=REPLACED):
        archive(second, out, settings())
    assert files(out) == before


def test_a_recording_that_was_refused_keeps_no_name(twins: tuple[Path, Path, Path]) -> None:
    first, second, out = twins
    first.write_bytes(b"")
    assert archive(first, out, settings())[0].refused == 1
    for count in (3, 4):
        raw(second, PICTURES[:count])
        assert archive(second, out, settings())[0].done == 1


def test_another_recordings_line_is_not_taken_over(recordings: Path, tmp_path: Path) -> None:
    """Else its other files would be taken for those of the recording that has the line."""
    out, other = tmp_path / "out", tmp_path / "other"
    other.mkdir()
    archive(recordings / "short.mjpeg", out, settings(extension=".mp4", codec="h264"))
    raw(other / "short.mjpeg", PICTURES[:3])
    with pytest.raises(SinkError, match=r"short\.mp4 is restored from .*/rec/.*, and would be replaced by .*/other/"):
        archive(other, out, settings())


def test_what_another_run_has_restored_meanwhile_is_not_replaced(twins: tuple[Path, Path, Path]) -> None:
    *both, out = twins
    runs = [Archive(list_recordings([str(one)], str(out), ".mkv"), Destination(str(out)), settings()) for one in both]
    runs[0].run(InlineWorkers())
    before = files(out)
    with pytest.raises(SinkError, match=REPLACED):
        runs[1].run(InlineWorkers())
    assert files(out) == before


def test_a_second_run_of_the_same_archive_counts_anew(recordings: Path, tmp_path: Path) -> None:
    out, workers = tmp_path / "out", Stopping(4)
    out.mkdir()
    (out / "short.mkv").write_bytes(b"an original")
    one = Archive(list_recordings([str(recordings)], str(out), ".mkv"), Destination(str(out)), settings())
    report = one.run(workers, workers.stop)
    assert report.interrupted
    report = one.run(InlineWorkers())
    assert (report.interrupted, report.todo, report.failed) == (False, 0, 1)
    (out / "short.mkv").unlink()
    report = one.run(InlineWorkers())
    assert (report.recordings, report.done, report.unchanged, report.frames) == (4, 1, 3, 7)
    assert (report.refused, report.failed, report.failures, report.todo) == (0, 0, [], 0)
    assert lines(out)["short.mjpeg"]["status"] == "done"


def test_workers_that_do_nothing_leave_what_is_there(recordings: Path, tmp_path: Path) -> None:
    class Idle(InlineWorkers):
        slots = 0

    out, workers = tmp_path / "out", Stopping(4)
    found = list_recordings([str(recordings / "cam")], str(out), ".mkv")
    Archive(found, Destination(str(out)), settings()).run(workers, workers.stop)
    assert archive(recordings / "cam", out, settings(), Idle())[0].todo == 1
    assert [*out.rglob("result-*")]


def test_another_recording_of_the_same_name_size_and_date_is_another(recordings: Path, tmp_path: Path) -> None:
    out, other = tmp_path / "out", tmp_path / "other"
    archive(recordings, out, settings())
    shutil.copytree(recordings, other)  # with its dates
    with pytest.raises(SinkError, match=r"is restored from .*/rec/.*, and would be replaced by .*/other/"):
        archive(other, out, settings())
    shutil.rmtree(recordings)
    assert archive(other, out, settings())[0].unchanged == 4  # it has moved


def test_a_manifest_that_cannot_be_read(recordings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Destination, name: str) -> str:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(Destination, "read_text", refuse)
    with pytest.raises(SinkError, match=r"manifest\.jsonl \(Permission denied\): make it readable, or give another"):
        archive(recordings, tmp_path / "out", settings())


def test_a_recording_by_another_path_is_the_same(recordings: Path, tmp_path: Path) -> None:
    archive(recordings, tmp_path / "out", settings())
    raw(recordings / "short.mjpeg", PICTURES[:8])
    (tmp_path / "link").symlink_to(recordings)
    assert archive(tmp_path / "link", tmp_path / "out", settings())[0].done == 1


def test_a_damaged_recording_is_a_line_and_not_the_end(recordings: Path, tmp_path: Path) -> None:
    broken = recordings / "cam" / "broken.avi"
    broken.write_bytes((recordings / "cam" / "long.mkv").read_bytes()[:900])
    (recordings / "a.mjpeg").write_bytes(b"")
    report, _ = archive(recordings, tmp_path / "out", settings())
    assert (report.done, report.refused) == (3, 3)
    assert lines(tmp_path / "out")["a.mjpeg"]["error"].endswith("a.mjpeg is empty")


def test_uncut_recordings_where_that_is_asked_for(recordings: Path, tmp_path: Path) -> None:
    _, workers = archive(recordings, tmp_path / "out", settings(0))
    assert {name for name, _ in workers.tasks} == {"begin"}
    archive(recordings, tmp_path / "cut", settings(10))
    name = "cam/long.mkv"
    assert contents(tmp_path / "out" / name) == contents(tmp_path / "cut" / name)


def test_models_with_a_state_are_not_cut() -> None:
    assert not ArchiveSettings(model="stream-video").cuts
    assert ArchiveSettings(model="stream").cuts


class Stopping(InlineWorkers):
    """Asks for the end after so many tasks."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.count, self.stop = count, Event()

    def submit(self, task: Any, /, *arguments: Any, **named: Any) -> Future[Any]:
        if len(self.tasks) + 1 == self.count:
            self.stop.set()
        return super().submit(task, *arguments, **named)


def test_parts_of_which_something_was_removed_are_made_anew(recordings: Path, tmp_path: Path) -> None:
    out, chosen = tmp_path / "out", settings()
    for name in ("packets-00001", "coded-00001"):
        workers = Stopping(4)
        found = list_recordings([str(recordings / "cam")], str(out), ".mkv")
        Archive(found, Destination(str(out)), chosen).run(workers, workers.stop)
        for path in out.rglob(name):
            path.unlink()
    assert archive(recordings / "cam", out, chosen)[0].done == 1
    archive(recordings / "cam", tmp_path / "whole", chosen)
    assert files(out) == files(tmp_path / "whole")


@pytest.mark.parametrize("text", [b"", b"\x00" * 99, b"\xff{", b"[]", b"{}", b'{"first": 1}', b"[" * 200_000])
@pytest.mark.parametrize("name", ["plan.json", "result-00001.json"])
def test_a_work_folder_that_cannot_be_read_is_made_anew(
    recordings: Path, tmp_path: Path, name: str, text: bytes
) -> None:
    out, chosen, workers = tmp_path / "out", settings(), Stopping(4)
    found = list_recordings([str(recordings / "cam")], str(out), ".mkv")
    Archive(found, Destination(str(out)), chosen).run(workers, workers.stop)
    for path in out.rglob(name):
        path.write_bytes(text)
    assert archive(recordings / "cam", out, chosen)[0].done == 1
    archive(recordings / "cam", tmp_path / "whole", chosen)
    assert files(out) == files(tmp_path / "whole")


@pytest.mark.parametrize("count", [1, 3, 5])
def test_what_a_stopped_run_has_restored_is_kept(recordings: Path, tmp_path: Path, count: int) -> None:
    out, chosen, workers = tmp_path / "out", settings(), Stopping(count)
    found = list_recordings([str(recordings)], str(out), ".mkv")
    report = Archive(found, Destination(str(out)), chosen).run(workers, workers.stop)
    assert report.interrupted
    assert len(workers.tasks) == count
    report, rest = archive(recordings, out, chosen)
    assert not report.interrupted
    parts = [arguments[2] for name, arguments in [*workers.tasks, *rest.tasks] if name == "restore_part"]
    assert sorted(parts) == [0, 1, 2, 3]  # none twice
    archive(recordings, tmp_path / "whole", chosen)
    assert files(out) == files(tmp_path / "whole")


def test_a_run_that_has_done_all_when_it_stops_is_complete(recordings: Path, tmp_path: Path) -> None:
    workers = Stopping(6)  # while the parts are joined
    found = list_recordings([str(recordings / "cam")], str(tmp_path / "out"), ".mkv")
    report = Archive(found, Destination(str(tmp_path / "out")), settings()).run(workers, workers.stop)
    assert workers.stop.is_set() and workers.tasks[-1][0] == "join"
    assert (report.interrupted, report.done) == (False, 1)
    assert not (tmp_path / "out" / WORK).exists()


def test_a_worker_that_is_lost_fails_its_recording_alone(recordings: Path, tmp_path: Path) -> None:
    class Losing(InlineWorkers):
        def submit(self, task: Any, /, *arguments: Any, **named: Any) -> Future[Any]:
            if task.__name__ == "restore_part" and arguments[2] == 2:
                lost: Future[Any] = Future()
                lost.set_exception(WorkerLost("the process was lost"))
                return lost
            return super().submit(task, *arguments, **named)

    out = tmp_path / "out"
    report, _ = archive(recordings, out, settings(), Losing())
    assert (report.done, report.refused, report.failed) == (2, 1, 1)
    assert lines(out)["cam/long.mkv"]["error"] == "the process was lost"
    report, workers = archive(recordings, out, settings())  # failed ones are tried again, with the parts that are there
    assert (report.done, report.unchanged) == (1, 3)
    assert [arguments[2] for name, arguments in workers.tasks if name == "restore_part"] == [2, 3]


def test_a_recording_of_which_several_parts_fail_fails_once(
    recordings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish = LocalStore.publish

    def refuse(self: LocalStore, file: Path, path: str) -> None:
        if "coded-" in path:
            raise OSError(errno.EIO, "Input/output error")
        publish(self, file, path)

    class Three(InlineWorkers):
        slots = 3

    monkeypatch.setattr(LocalStore, "publish", refuse)
    report, _ = archive(recordings / "cam", tmp_path / "out", settings(), Three())
    assert (report.failed, report.todo, len(report.failures)) == (1, 0, 1)


def test_what_an_output_cannot_hold_is_a_remark(tmp_path: Path) -> None:
    raw(tmp_path / "cam.mjpeg", [still(number, sampling="4:4:4") for number in range(25)])
    for part in (10, 100):
        archive(tmp_path / "cam.mjpeg", tmp_path / "out", settings(part, ".webm", "av1"))
        (remark,) = lines(tmp_path / "out")["cam.mjpeg"]["remarks"]
        assert "4:4:4 is written as 4:2:0" in remark


def test_a_padded_size_is_one_remark(tmp_path: Path) -> None:
    raw(tmp_path / "cam.mjpeg", [still(number, size=(65, 48)) for number in range(25)])
    for part in (10, 100):
        archive(tmp_path / "cam.mjpeg", tmp_path / "out", settings(part, ".mkv", "h264"))
        (remark,) = lines(tmp_path / "out")["cam.mjpeg"]["remarks"]
        assert "65x48 is written as 66x48" in remark


def test_a_full_disk_ends_the_run_and_a_second_call_goes_on(
    recordings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish = LocalStore.publish

    def full(self: LocalStore, file: Path, path: str) -> None:
        if "result-00001" in path:
            raise OSError(errno.ENOSPC, "No space left on device")
        publish(self, file, path)

    out = tmp_path / "out"
    monkeypatch.setattr(LocalStore, "publish", full)
    (recordings / "later").mkdir()
    raw(recordings / "later" / "last.mjpeg", PICTURES[:3])
    report, _ = archive(recordings, out, settings())
    assert (report.full, report.as_dict()["full"]) == (str(out), True)
    assert (report.done, report.refused, report.failed, report.todo) == (2, 1, 1, 1)
    assert "No space left on device" in lines(out)["cam/long.mkv"]["error"]
    monkeypatch.undo()
    report, _ = archive(recordings, out, settings())
    assert (report.unchanged, report.done, report.failed) == (3, 2, 0)
    archive(recordings, tmp_path / "whole", settings())
    assert files(out) == files(tmp_path / "whole")


def test_a_manifest_that_cannot_be_written_ends_the_run(
    recordings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: LocalStore, path: str, text: str) -> bool:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(LocalStore, "append", full)
    with pytest.raises(SinkError, match=r"cannot write .*manifest\.jsonl \(No space left on device\)"):
        archive(recordings, tmp_path / "out", settings())


def test_a_manifest_that_is_a_folder_needs_no_room_on_the_disk(recordings: Path, tmp_path: Path) -> None:
    (tmp_path / "out" / MANIFEST).mkdir(parents=True)
    with pytest.raises(
        SinkError, match=r"manifest\.jsonl \(Is a directory\): something else has its name, .* move that"
    ):
        archive(recordings, tmp_path / "out", settings())


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (errno.ENOSPC, "make room there, and call this again"),
        (errno.EROFS, "give a destination that can be written"),
        (errno.EIO, "call this again, or give another destination"),
    ],
)
@pytest.mark.parametrize("name", ["long.mkv", "packets-00001", "coded-00001"])
def test_a_file_that_cannot_be_written_is_named_with_what_helps(
    recordings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, advice: str, name: str
) -> None:
    publish = LocalStore.publish

    def refuse(self: LocalStore, file: Path, path: str) -> None:
        if path.endswith(name):
            raise OSError(number, os.strerror(number))
        publish(self, file, path)

    monkeypatch.setattr(LocalStore, "publish", refuse)
    report, _ = archive(recordings / "cam", tmp_path / "out", settings())
    told = str(report.failures[0][1])
    assert told.startswith(f"cannot write {tmp_path}/out/")
    assert told.endswith(f"{name} ({os.strerror(number)}): {advice}")
    assert report.full == (str(tmp_path / "out") if number == errno.ENOSPC else "")


def test_a_destination_that_is_removed_meanwhile(
    recordings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, describe = tmp_path / "out", beginning.describe_output

    def remove(path: Path) -> dict[str, Any]:
        shutil.rmtree(out)
        return describe(path)

    monkeypatch.setattr(beginning, "describe_output", remove)
    report, _ = archive(recordings / "short.mjpeg", out, settings())
    assert str(report.failures[0][1]).startswith(
        f"cannot write {out}/short.mkv (No such file or directory): the folder has gone meanwhile, "
    )


def test_an_input_that_cannot_be_read_is_named(
    recordings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(path: Path) -> str:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(beginning, "checksum", fail)
    report, _ = archive(recordings / "short.mjpeg", tmp_path / "out", settings())
    told = f"cannot use {recordings}/short.mjpeg (Input/output error): mend that, and call this again"
    assert str(report.failures[0][1]) == told


def test_a_file_of_the_work_folders_name_ends_the_run(recordings: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / WORK).touch()
    with pytest.raises(SinkError, match=rf"^cannot write {tmp_path}/out/{WORK} \(Not a directory\): something else"):
        archive(recordings, tmp_path / "out", settings())


def test_a_name_that_becomes_too_long_fails_its_recording_alone(recordings: Path, tmp_path: Path) -> None:
    raw(recordings / ("y" * 252), PICTURES[:2])
    for done in (3, 0):
        report, workers = archive(recordings, tmp_path / "out", settings())
        assert (report.done, report.failed, report.todo) == (done, 1, 0)
        assert str(report.failures[-1][1]).endswith("yyy.mkv (File name too long): give the recording a shorter name")
    assert workers.tasks == []


def test_what_has_a_name_in_the_destination_fails_its_recording_alone(recordings: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    (out / "short.mkv").mkdir(parents=True)
    (out / "cam").touch()
    (out / "picture.png").symlink_to("nowhere")
    for name in ("a", "b"):
        raw(recordings / f"{name}.mjpeg", PICTURES[:2])
    os.mkfifo(out / "a.mkv")
    report, _ = archive(recordings, out, settings())
    told = {name: str(error).partition(f"{out}/")[2] for name, error in report.failures if name != "notes.txt"}
    mine = "is there, and was not restored by this archive: move it, or give another destination"
    assert told == {
        "a.mjpeg": f"a.mkv {mine}",
        "cam/long.mkv": "cam/long.mkv (Not a directory): something else has its name, or that of a folder that it "
        "goes in: move that, or give another destination",
        "picture.jpg": f"picture.png {mine}",
        "short.mjpeg": f"short.mkv {mine}",
    }
    assert report.done == 1
    assert (out / "a.mkv").is_fifo() and (out / "picture.png").is_symlink()


def test_a_network_that_cannot_be_run_ends_the_run(recordings: Path, tmp_path: Path) -> None:
    chosen = ArchiveSettings(model="stream", device="tensorrt:7", part=10)
    with pytest.raises(RuntimeUnavailable):
        archive(recordings, tmp_path / "out", chosen)


@pytest.mark.parametrize(("name", "late"), [("short.mjpeg", "run"), ("cam/long.mkv", "_first_picture")])
@pytest.mark.parametrize("gone", [True, False])
def test_an_input_that_changes_while_it_is_read_replaces_nothing(
    recordings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, late: str, gone: bool
) -> None:
    out, source = tmp_path / "out", recordings / name
    archive(recordings, out, settings())
    before = files(out)
    raw(recordings / "short.mjpeg", PICTURES[:2])
    muxed(recordings / "cam" / "long.mkv", PICTURES[:25])
    half, step = source.read_bytes(), getattr(beginning, late)

    def growing(*arguments: Any, **named: Any) -> Any:
        source.unlink() if gone else source.write_bytes(half + PICTURES[3])
        return step(*arguments, **named)

    monkeypatch.setattr(beginning, late, growing)
    found = list_recordings([str(source)], str(out), ".mkv")
    chosen = [replace(one, name=name, output=f"{name.partition('.')[0]}.mkv") for one in found]
    report = Archive(chosen, Destination(str(out)), settings()).run(InlineWorkers())
    assert str(report.failures[-1][1]).endswith(
        f"{name} has changed while it was restored: call this again when it is complete"
    )
    assert lines(out)[name]["status"] == "failed"
    assert files(out) == before
    monkeypatch.undo()
    source.write_bytes(half)
    assert archive(recordings, out, settings())[0].done == 2


@pytest.mark.parametrize("sound", ["", "pcm_s16le"])
def test_an_input_that_is_exchanged_before_its_parts_are_joined(recordings: Path, tmp_path: Path, sound: str) -> None:
    long = recordings / "cam" / "long.mkv"
    muxed(long, sound=sound)

    class Exchanging(InlineWorkers):
        def submit(self, work: Any, /, *arguments: Any, **named: Any) -> Future[Any]:
            if work.__name__ == "join":
                muxed(long, PICTURES[:25])  # without sound
            return super().submit(work, *arguments, **named)

    out = tmp_path / "out"
    report, _ = archive(recordings / "cam", out, settings(), Exchanging())
    assert str(report.failures[-1][1]).startswith(f"{long} has changed while it was restored: ")
    assert not (out / "long.mkv").exists()


def test_parts_of_an_input_with_a_new_date_are_joined(recordings: Path, tmp_path: Path) -> None:
    out, chosen, workers = tmp_path / "out", settings(), Stopping(4)
    found = list_recordings([str(recordings / "cam")], str(out), ".mkv")
    Archive(found, Destination(str(out)), chosen).run(workers, workers.stop)
    os.utime(recordings / "cam" / "long.mkv", (1, 1))
    report, rest = archive(recordings / "cam", out, chosen)
    assert report.done == 1
    assert [arguments[2] for name, arguments in rest.tasks if name == "restore_part"] == [3]
    assert archive(recordings / "cam", out, chosen)[1].tasks == []


def test_a_file_is_moved_to_its_name_and_never_written_there(tmp_path: Path) -> None:
    aside, target = tmp_path / "aside", tmp_path / "out" / "restored.mkv"
    aside.write_bytes(b"new")
    target.parent.mkdir()
    target.write_bytes(b"an old one")
    written = aside.stat().st_ino
    LocalStore().publish(aside, str(target))
    assert (target.read_bytes(), target.stat().st_ino, aside.exists()) == (b"new", written, False)


@pytest.mark.parametrize("task", ["begin", "join"])
def test_an_input_that_is_away_for_a_while_is_tried_again(recordings: Path, tmp_path: Path, task: str) -> None:
    long, away = recordings / "cam" / "long.mkv", tmp_path / "away"

    class Unmounting(InlineWorkers):
        def submit(self, work: Any, /, *arguments: Any, **named: Any) -> Future[Any]:
            if work.__name__ == task:
                long.rename(away)
            return super().submit(work, *arguments, **named)

    out = tmp_path / "out"
    report, _ = archive(recordings / "cam", out, settings(), Unmounting())
    assert (report.failed, report.refused) == (1, 0)
    away.rename(long)
    report, workers = archive(recordings / "cam", out, settings())
    assert report.done == 1
    if task == "join":
        assert [name for name, _ in workers.tasks] == ["begin", "join"]  # its parts were kept


def test_two_runs_at_a_time_are_refused(recordings: Path, tmp_path: Path) -> None:
    destination = Destination(str(tmp_path / "out"))
    with destination.locked(), pytest.raises(SinkError, match="is being written by another run"):
        archive(recordings, tmp_path / "out", settings())
    assert not (tmp_path / "out" / "short.mkv").exists()


def test_what_another_run_has_done_meanwhile_is_taken_up(recordings: Path, tmp_path: Path) -> None:
    out, chosen = tmp_path / "out", settings()
    later = Archive(list_recordings([str(recordings / "cam")], str(out), ".mkv"), Destination(str(out)), chosen)
    archive(recordings, out, chosen)
    archive(recordings / "cam", out, chosen)
    before, workers = files(out), InlineWorkers()
    report = later.run(workers)
    assert workers.tasks == []
    assert (report.unchanged, report.todo) == (1, 0)
    assert len(lines(out)) == 5
    assert files(out) == before


def test_the_work_folder_goes_before_another_run_may_begin(
    recordings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    remove, locked = LocalStore.remove, list[bool]()

    def look(self: LocalStore, path: str) -> None:
        if path.endswith(WORK):
            with pytest.raises(SinkError, match="another run"), Destination(str(tmp_path / "out")).locked():
                pass
            locked.append(True)
        remove(self, path)

    monkeypatch.setattr(LocalStore, "remove", look)
    archive(recordings, tmp_path / "out", settings())
    assert locked == [True]


def test_what_a_killed_run_was_writing_is_removed(recordings: Path, tmp_path: Path) -> None:
    aside = tmp_path / "out" / WORK / "aside"
    aside.mkdir(parents=True)
    (aside / "half.mkv").write_bytes(b"x")
    found = list_recordings([str(recordings)], str(tmp_path / "out"), ".mkv")
    workers = Stopping(1)
    assert Archive(found, Destination(str(tmp_path / "out")), settings()).run(workers, workers.stop).interrupted
    assert not (aside / "half.mkv").exists()


def test_nothing_is_left_in_the_work_folder(recordings: Path, tmp_path: Path) -> None:
    archive(recordings, tmp_path / "out", settings())
    assert not list((tmp_path / "out").glob(".*"))


def test_a_store_that_refuses_in_words_of_its_own_is_one_line(recordings: Path, tmp_path: Path) -> None:
    fsspec = needs("fsspec")

    class Refused(Exception):
        """As aiohttp's, botocore's and paramiko's: no `OSError`."""

    class Refusing(fsspec.get_filesystem_class("memory")):
        protocol = "refusing"

        def put_file(self, *arguments: Any, **named: Any) -> None:
            raise Refused("403 Forbidden")

        def isdir(self, path: str) -> bool:
            raise Refused("503 Slow Down")

    fsspec.register_implementation("refusing", Refusing, clobber=True)
    with pytest.raises(SourceError, match=r"^cannot read refusing://rec: 503 Slow Down$"):
        list_recordings(["refusing://rec"], str(tmp_path / "out"), ".mkv")
    found = list_recordings([str(recordings / "short.mjpeg")], "refusing://out", ".mkv")
    with pytest.raises(SinkError, match=r"^cannot write refusing://out/manifest\.jsonl \(403 Forbidden\)"):
        Archive(found, Destination("refusing://out"), settings()).run(InlineWorkers())


def test_files_of_which_a_list_tells_the_names_alone_are_asked_for(tmp_path: Path) -> None:
    fsspec = needs("fsspec")

    class Links(fsspec.get_filesystem_class("memory")):
        protocol = "links"

        @classmethod
        def _strip_protocol(cls, path: str) -> str:
            return super()._strip_protocol(path.replace("links://", "memory://"))

        def find(self, path: str, **named: Any) -> dict[str, Any]:
            return {name: {**found, "size": None} for name, found in super().find(path, **named).items()}

    fsspec.register_implementation("links", Links, clobber=True)
    links = fsspec.filesystem("links")
    links.store.clear()  # of the store in memory, which other tests write to
    links.pipe("/rec/cam.mjpeg", b"".join(PICTURES[:2]))
    (found,) = list_recordings(["links://rec"], str(tmp_path / "out"), ".mkv")
    assert found.size == len(b"".join(PICTURES[:2])) and found.modified


def test_a_store_that_fsspec_names(recordings: Path, tmp_path: Path) -> None:
    fsspec = needs("fsspec")
    memory = fsspec.filesystem("memory")
    memory.store.clear()
    memory.put(str(recordings), "/bucket/rec", recursive=True)
    chosen = settings()
    found = list_recordings(["memory://bucket/rec"], "memory://bucket/out", ".mkv")
    report = Archive(found, Destination("memory://bucket/out"), chosen).run(InlineWorkers())
    assert (report.done, report.refused, report.failed) == (3, 1, 0)
    archive(recordings, tmp_path / "local", chosen)
    restored = {name.removeprefix("/bucket/out/"): memory.cat(name) for name in memory.find("/bucket/out")}
    manifest = [json.loads(line) for line in restored.pop(MANIFEST).splitlines()]
    assert restored == files(tmp_path / "local")
    assert manifest[0]["source"] == "memory://bucket/rec/cam/long.mkv"
    assert "/tmp/" not in json.dumps(manifest)
    workers = InlineWorkers()
    found = list_recordings(["memory://bucket/rec"], "memory://bucket/out", ".mkv")
    Archive(found, Destination("memory://bucket/out"), chosen).run(workers)
    assert workers.tasks == []


@pytest.fixture
def secretive() -> Any:
    """A store like sftp: host, user name and password are in its URLs, and not in its names."""
    fsspec = needs("fsspec")

    class Secretive(fsspec.get_filesystem_class("memory")):
        protocol = "secretive"
        store: ClassVar[dict[str, Any]] = {}
        pseudo_dirs: ClassVar[list[str]] = [""]
        broken = ""

        @classmethod
        def _strip_protocol(cls, path: str) -> str:
            return "/" + path.partition("://")[2].partition("/")[2].rstrip("/") if "://" in path else path.rstrip("/")

        def get_file(self, path: str, *arguments: Any, **named: Any) -> None:
            if Secretive.broken:
                raise RuntimeError(f"403 of {path}")
            super().get_file(path, *arguments, **named)

    fsspec.register_implementation("secretive", Secretive, clobber=True)
    return Secretive


def test_no_user_name_and_password_is_told(secretive: Any, recordings: Path, tmp_path: Path) -> None:
    secretive().put(str(recordings), "/rec", recursive=True)
    url, out = "secretive://bob:sesame@host", tmp_path / "out"

    def run(destination: str, user: str = "bob:sesame") -> Any:
        found = list_recordings([f"secretive://{user}@host/rec"], destination, ".mkv")
        return Archive(found, Destination(destination), settings()).run(InlineWorkers()).as_dict()

    def told(destination: str) -> list[str]:
        return [json.dumps(run(destination)), *map(json.dumps, lines(out).values())]

    report = json.dumps([run(f"{url}/out"), str(secretive().cat(f"/out/{MANIFEST}"))])
    assert "notes.txt is text" in report and "secretive://host/rec/short.mjpeg" in report
    secretive.broken = "yes"
    report += "".join(told(str(out)))
    assert "cannot use secretive://host/rec/short.mjpeg (403 of secretive://host/rec/short.mjpeg): mend" in report
    secretive.broken = ""
    report += "".join(told(str(out)))
    for sources, place in (([f"{url}/none"], "out"), ([f"{url}/none*"], "out"), ([f"{url}/rec"], f"{url}/rec")):
        with pytest.raises(SourceError) as error:
            list_recordings(sources, place, ".mkv")
        report += str(error.value)
    (found,) = list_recordings([f"{url}/rec/notes.txt"], f"{url}/out", ".mkv")
    secretive().rm("/rec/notes.txt")
    foreseen = estimate(found, settings())
    assert foreseen.error == "cannot read secretive://host/rec/notes.txt: No such file or directory"
    secretive().pipe("/rec/notes.txt", (recordings / "notes.txt").read_bytes())
    report += repr([foreseen, Destination(f"{url}/out")])
    assert "bob" not in report and "sesame" not in report

    manifest = out / MANIFEST
    manifest.write_text(manifest.read_text().replace("secretive://host", url))  # as it was once written
    assert run(str(out), "bob:changed")["unchanged"] == 3  # the fourth has another date
    secretive().pipe("/rec/short.mjpeg", b"".join(PICTURES[:3]))
    assert run(str(out), "alice:changed")["done"] == 1
    assert "sesame" not in manifest.read_text()


def test_no_secret_in_the_query_of_a_url_is_told(
    secretive: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(needs("fsspec.registry")._registry, "http", secretive)
    secretive().pipe("/cam.mjpeg?token=sesame", b"".join(PICTURES[:2]))
    out = str(tmp_path / "out")
    found = list_recordings(["http://host/cam.mjpeg?token=sesame"], out, ".mkv")
    secretive.broken = "yes"
    report = Archive(found, Destination(out), settings()).run(InlineWorkers())
    ((name, error),) = report.failures
    assert name == "cam.mjpeg?token=***"
    assert "(403 of http://host/cam.mjpeg?token=***)" in str(error)
    secretive.broken = ""
    assert Archive(found, Destination(out), settings()).run(InlineWorkers()).done == 1
    assert lines(Path(out))[name]["output"] == "cam.mkv"
    assert "sesame" not in Path(out, MANIFEST).read_text()


def test_another_recording_behind_a_password_is_found(secretive: Any, tmp_path: Path) -> None:
    for count, name in enumerate(("/a/cam.mjpeg", "/b/cam.mjpeg"), 2):
        secretive().pipe(name, b"".join(PICTURES[:count]))
    out = str(tmp_path / "out")

    def run(folder: str) -> Any:
        found = list_recordings([f"secretive://bob:sesame@host/{folder}"], out, ".mkv")
        return Archive(found, Destination(out), settings()).run(InlineWorkers())

    run("a")
    with pytest.raises(SinkError, match=r"restored from secretive://host/a/cam\.mjpeg, .* by secretive://host/b/"):
        run("b")
    secretive().rm("/a/cam.mjpeg")
    assert run("b").done == 1


@pytest.mark.parametrize("way", ["fetch", "restore", "upload"])
def test_a_full_folder_for_temporary_files_is_named(
    secretive: Any, recordings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    secretive().put(str(recordings), "/rec", recursive=True)

    def full(*arguments: Any, **named: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    put = secretive.put_file

    def full_store(self: Any, path: str, place: str, **named: Any) -> None:
        full() if ".mkv" in place else put(self, path, place, **named)

    match way:
        case "fetch":
            monkeypatch.setattr(secretive, "get_file", full)
        case "restore":
            monkeypatch.setattr(beginning, "describe_output", full)
        case _:
            monkeypatch.setattr(secretive, "put_file", full_store)
    source, out = "secretive://bob:sesame@host/rec/short.mjpeg", "secretive://bob:sesame@host/out"
    found = list_recordings([source], out, ".mkv")
    report = Archive(found, Destination(out), settings()).run(InlineWorkers())
    place, told = "secretive://host/out", "cannot write secretive://host/out/short.mkv (No space left on device): make"
    if way != "upload":
        place, told = str(temporary), f"cannot {'use' if way == 'fetch' else 'write'} {temporary} (No space left on"
    assert report.full == place
    assert str(report.failures[0][1]).startswith(told)


def test_a_folder_of_the_destination_on_another_disk(
    recordings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace = os.replace

    def across(source: Path, target: Path) -> None:
        if Path(source).parent.name != Path(target).parent.name and Path(target).parent.name == "cam":
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
        replace(source, target)

    monkeypatch.setattr(os, "replace", across)
    report, _ = archive(recordings, tmp_path / "out", settings())
    assert (report.done, report.failed) == (3, 0)
    monkeypatch.undo()
    archive(recordings, tmp_path / "whole", settings())
    assert files(tmp_path / "out") == files(tmp_path / "whole")


def test_an_audio_track_that_a_recording_lacks_is_the_settings_fault(recordings: Path, tmp_path: Path) -> None:
    report, _ = archive(recordings / "cam", tmp_path / "out", settings(audio_track=2))
    assert (report.refused, report.failed) == (0, 1)
    assert str(report.failures[0][1]) == (
        f"{recordings}/cam/long.mkv holds 1 sound track: there is no number 2: "
        "leave out audio_track, or give another number"
    )
    report, _ = archive(recordings, tmp_path / "other", settings(fps=30))
    assert (report.refused, report.failed) == (1, 0)  # what is no recording is refused whatever is given
