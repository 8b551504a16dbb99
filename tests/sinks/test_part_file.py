"""Files that get their name when they are whole: one writer each, and nothing left behind or replaced."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from mjpeg_restore import locks
from mjpeg_restore.errors import SinkError
from mjpeg_restore.sinks.base import PartFile
from tests.lacking import needs, needs_fork

needs_locks = pytest.mark.skipif(os.name == "nt", reason="needs a system that moves open files")


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "a.mp4"


@needs_locks
def test_a_file_has_one_writer(target: Path) -> None:
    part = PartFile(target, overwrite=True)
    with pytest.raises(SinkError, match=r"a\.mp4 is being written already: "):
        PartFile(target, overwrite=True)
    part.path.write_bytes(b"first")
    part.commit()
    assert target.read_bytes() == b"first"
    second = PartFile(target, overwrite=True)
    second.discard()
    PartFile(target, overwrite=True).discard()
    assert [path.name for path in target.parent.iterdir()] == ["a.mp4"]


@pytest.mark.parametrize("letter", ["a", "\N{GREEK SMALL LETTER ALPHA}"])
def test_the_longest_names_are_written_side_by_side(letter: str, tmp_path: Path) -> None:
    stem = letter * ((255 - len("a.mp4")) // len(os.fsencode(letter)))
    parts = [PartFile(tmp_path / name, overwrite=False) for name in (f"{stem}1.mp4", f"{stem}2.mp4")]
    for part in parts:
        part.path.write_bytes(os.fsencode(part.target))
    for part in parts:
        part.commit()
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == {
        part.target: os.fsencode(part.target) for part in parts
    }


def test_a_long_name_with_a_long_extension_is_written(tmp_path: Path) -> None:
    target = tmp_path / f"{'a' * 100}.{'b' * 154}"
    PartFile(target, overwrite=False).commit()
    assert [*tmp_path.iterdir()] == [target]


@pytest.mark.parametrize(
    ("cause", "advice"),
    [
        (errno.ENOENT, r"cannot write to .*: create it or choose another$"),
        (errno.EACCES, r"cannot write to .*: choose a folder that can be written$"),
        (errno.ENOTDIR, r"cannot write to .*: choose a folder that can be written$"),
        (errno.ENOSPC, r"no room on the disk"),
    ],
)
def test_a_folder_is_to_be_created_only_where_there_is_none(
    cause: int, advice: str, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(path: Path) -> None:
        raise OSError(cause, os.strerror(cause), str(path))

    monkeypatch.setattr("mjpeg_restore.sinks.base.hold", fail)
    with pytest.raises(SinkError, match=advice):
        PartFile(target, overwrite=False)


@needs_locks
def test_another_process_writes_until_it_dies(target: Path) -> None:
    code = f"""
        from mjpeg_restore.sinks.base import PartFile
        part = PartFile({str(target)!r}, overwrite=False)
        part.path.write_bytes(b"half")
        print("written", flush=True)
        input()
    """
    command = [sys.executable, "-c", dedent(code)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        with pytest.raises(SinkError, match="is being written already"):
            PartFile(target, overwrite=False)
        assert target.with_name(".a.part.mp4").read_bytes() == b"half"
        process.kill()
    part = PartFile(target, overwrite=False)  # what the other one has left is its own now
    part.path.write_bytes(b"whole")
    part.commit()
    assert target.read_bytes() == b"whole"


@pytest.mark.parametrize("overwrite", [False, True])
def test_what_has_appeared_meanwhile(target: Path, overwrite: bool) -> None:
    part = PartFile(target, overwrite)
    part.path.write_bytes(b"new")
    target.write_bytes(b"other")
    target.with_name("a-2.mp4").touch()
    if overwrite:
        part.commit()
        assert target.read_bytes() == b"new"
        return
    with pytest.raises(SinkError, match=r"has appeared meanwhile, and is kept: the new one is .*a-3\.mp4$"):
        part.commit()
    part.discard()
    assert target.read_bytes() == b"other"
    assert {path.name for path in target.parent.iterdir()} == {"a.mp4", "a-2.mp4", "a-3.mp4"}
    assert target.with_name("a-3.mp4").read_bytes() == b"new"
    PartFile(target, overwrite=True).discard()  # nobody holds it any more


@pytest.mark.parametrize("content", [b"", b"bytes"], ids=["empty", "written"])
def test_an_abandoned_file_stays_if_something_was_written(target: Path, content: bytes) -> None:
    part = PartFile(target, overwrite=False)
    path = part.path
    path.write_bytes(content)
    del part
    assert path.exists() == bool(content)
    PartFile(target, overwrite=False).discard()


@needs_fork
def test_a_forked_process_leaves_its_parents_file_alone(target: Path) -> None:
    part: PartFile | None = PartFile(target, overwrite=False)
    assert part
    path = part.path
    child = os.fork()
    if not child:
        part = None
        os._exit(0)
    assert os.waitpid(child, 0) == (child, 0)
    assert path.exists()
    part.discard()


def test_where_there_are_no_locks_files_are_written_all_the_same(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(descriptor: int) -> None:
        raise OSError

    monkeypatch.setattr(locks, "_try_hold", none)
    part = PartFile(target, overwrite=False)
    part.path.write_bytes(b"whole")
    part.commit()
    assert target.read_bytes() == b"whole"


@needs_locks
def test_a_file_whose_number_changes_is_written_all_the_same(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "_is_there", lambda *_: False)
    PartFile(target, overwrite=False).discard()


def test_a_file_is_held_by_a_byte_that_nobody_writes(target: Path) -> None:
    fcntl = needs("fcntl")
    part = PartFile(target, overwrite=False)
    with part.path.open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 2**40)
    part.discard()


def test_an_empty_file_is_removed_at_the_programs_end(target: Path) -> None:
    code = f"from mjpeg_restore.sinks.base import PartFile; part = PartFile({str(target)!r}, overwrite=False)"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert list(target.parent.iterdir()) == []


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(SinkError, match="cannot write to "):
        PartFile(tmp_path / "missing" / "a.mp4", overwrite=False)
