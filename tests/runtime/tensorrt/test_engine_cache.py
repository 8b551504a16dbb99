"""Files of engines: verified when read, complete when they appear, built by one of several that ask."""

from __future__ import annotations

import errno
import logging
import os
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mjpeg_restore.errors import RuntimeUnavailable
from mjpeg_restore.locks import file_lock
from mjpeg_restore.runtime.tensorrt.cache import CacheKey, EngineCache, default_folder
from tests.lacking import needs
from tests.runtime.tensorrt.engine_requests import files

KEY = CacheKey("stream.engine", {"graph": "stream", "version": "1.7.1"})
CONTENT = bytes(range(256)) * 40 + b"\n{}\n"


@pytest.fixture
def cache(tmp_path: Path) -> EngineCache:
    return EngineCache(tmp_path / "a" / "engines")


def never() -> bytes:
    raise AssertionError("built for nothing")


def nobody() -> None:
    raise AssertionError("nobody else has the lock")


def test_a_miss_builds_and_a_hit_does_not(cache: EngineCache) -> None:
    assert cache.read(KEY) is None
    assert cache.get(KEY, lambda: CONTENT, nobody) == (CONTENT, True)
    assert EngineCache(cache.folder).get(KEY, never, nobody) == (CONTENT, False)
    assert files(cache.folder) == [KEY.file]


@pytest.mark.skipif(os.name == "nt", reason="needs a system with POSIX's permissions")
def test_folder_and_files_are_the_users_alone(cache: EngineCache) -> None:
    cache.write(KEY, CONTENT)
    assert stat.S_IMODE(cache.folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((cache.folder / KEY.file).stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[:-1],
        lambda data: data[:40],
        lambda data: data[: data.index(b"\n") + 1],
        lambda data: data[:-100] + bytes([data[-100] ^ 1]) + data[-99:],
        lambda data: data.replace(b"1.7.1", b"1.7.2"),
        lambda data: data.replace(b"cache 1", b"cache 2"),
        lambda data: b"[]\n" + data,
        lambda data: b"\xff" * 100_000,
    ],
)
def test_a_damaged_file_is_built_again(cache: EngineCache, damage: Callable[[bytes], bytes]) -> None:
    cache.write(KEY, CONTENT)
    path = cache.folder / KEY.file
    path.write_bytes(damage(path.read_bytes()))
    assert cache.get(KEY, lambda: CONTENT, nobody) == (CONTENT, True)
    assert cache.read(KEY) == CONTENT


@pytest.mark.skipif(sys.platform == "win32", reason="named pipes are files on POSIX alone")
@pytest.mark.parametrize("kind", ["pipe", "folder", "nested", "link to itself"])
def test_what_is_no_engine_keeps_nobody_waiting(cache: EngineCache, kind: str) -> None:
    cache.folder.mkdir(parents=True)
    path = cache.folder / KEY.file
    match kind:
        case "pipe":
            os.mkfifo(path)
        case "folder":
            path.mkdir()
        case "nested":
            path.write_bytes(b"[" * 60_000)
        case _:
            path.symlink_to(path)
    assert [entry.about for entry in cache.entries()] == ([{}] if kind == "nested" else [])
    assert cache.get(KEY, lambda: CONTENT, nobody) == (CONTENT, True)


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there")
def test_a_lock_makes_no_file_elsewhere(cache: EngineCache, tmp_path: Path) -> None:
    cache.folder.mkdir(parents=True)
    (cache.folder / f"{KEY.file}.lock").symlink_to(tmp_path / "elsewhere")
    assert cache.get(KEY, lambda: CONTENT, nobody) == (CONTENT, True)
    assert not (tmp_path / "elsewhere").exists()


def test_a_folder_that_cannot_be_read_has_no_entries() -> None:
    assert list(EngineCache(Path("x" * 1000)).entries()) == []


def test_a_file_about_something_else_is_none_of_the_key(cache: EngineCache) -> None:
    cache.write(KEY, CONTENT)
    assert cache.read(CacheKey(KEY.file, KEY.about | {"version": "1.7.2"})) is None


def test_a_file_is_removed(cache: EngineCache) -> None:
    cache.remove(KEY)
    cache.write(KEY, CONTENT)
    cache.remove(KEY)
    assert cache.read(KEY) is None


def test_entries_are_listed_for_people(cache: EngineCache) -> None:
    assert list(cache.entries()) == []
    cache.write(KEY, CONTENT)
    cache.write(CacheKey("a.timing", {}), b"")
    (cache.folder / "a.engine").write_bytes(b"not ours")
    damaged, entry = cache.entries()
    assert (damaged.path.name, damaged.size, damaged.about) == ("a.engine", 8, {})
    assert (entry.path.name, entry.about) == (KEY.file, KEY.about)
    assert entry.size > len(CONTENT)


def test_where_files_are_numbered_anew_each_time_nothing_is_locked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []

    def is_there(*_: object) -> bool:
        asked.append(1)
        assert len(asked) < 100  # else it would go on for ever
        return False

    monkeypatch.setattr("mjpeg_restore.locks._is_there", is_there)
    with file_lock(tmp_path / "a.lock", nobody):
        pass


@pytest.mark.skipif(os.name == "nt", reason="needs a system with POSIX's permissions")
def test_a_file_of_another_user_is_not_loaded(
    cache: EngineCache, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    cache.write(KEY, CONTENT)
    path = cache.folder / KEY.file
    if os.getuid() == 0:
        os.chown(path, 12345, -1)
    else:
        monkeypatch.setattr("os.getuid", lambda: os.stat(path).st_uid + 1)
    assert cache.read(KEY) is None
    assert "belongs to another user" in caplog.text


@pytest.mark.skipif(os.name == "nt", reason="needs a system with POSIX's permissions")
@pytest.mark.parametrize("mode", [0o620, 0o602])
def test_a_file_that_others_may_write_is_not_loaded(
    cache: EngineCache, mode: int, caplog: pytest.LogCaptureFixture
) -> None:
    cache.write(KEY, CONTENT)
    path = cache.folder / KEY.file
    path.chmod(mode)
    assert cache.get(KEY, lambda: CONTENT, nobody) == (CONTENT, True)
    (record,) = caplog.records
    assert record.message.startswith(f"{path} is not used, but made anew: ")
    assert record.message.endswith("(chmod go-w)")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_full_disk_is_one_warning_and_leaves_nothing(
    cache: EngineCache, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("pathlib.Path.replace", full)
    for _ in range(2):
        assert cache.get(KEY, lambda: CONTENT, nobody) == (CONTENT, True)
    (record,) = (record for record in caplog.records if record.levelno >= logging.WARNING)
    assert "cannot write to" in record.getMessage()
    assert "No space left" in record.getMessage() or os.name == "nt"
    assert files(cache.folder) == []


def test_a_folder_that_cannot_be_made_is_one_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_bytes(b"")
    cache = EngineCache(tmp_path / "file" / "engines")
    for _ in range(2):
        assert cache.get(KEY, lambda: CONTENT, nobody) == (CONTENT, True)
    assert caplog.text.count("engines are built each time") == 1
    assert list(cache.entries()) == []


def test_a_build_that_fails_leaves_nothing(cache: EngineCache) -> None:
    with pytest.raises(KeyboardInterrupt):
        cache.get(KEY, raising(KeyboardInterrupt), nobody)
    assert files(cache.folder) == []


def raising(kind: type[BaseException]) -> Callable[[], Any]:
    def call() -> None:
        raise kind

    return call


# ---- several at once ----

BUILDER = """
import sys, time
from pathlib import Path
from mjpeg_restore.runtime.tensorrt.cache import CacheKey, EngineCache
folder, begun = map(Path, sys.argv[1:])
def build():
    with begun.open("a") as file:
        file.write("built\\n")
    print("builds", flush=True)
    time.sleep(0.5)
    return b"engine"
print(EngineCache(folder).get(CacheKey("a.engine", {}), build, lambda: None)[0].decode(), flush=True)
"""


def processes(folder: Path, begun: Path, count: int) -> list[subprocess.Popen[str]]:
    command = [sys.executable, "-c", BUILDER, str(folder), str(begun)]
    return [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(count)]


def test_of_two_processes_one_builds(tmp_path: Path) -> None:
    both = processes(tmp_path / "engines", tmp_path / "begun", 2)
    told = [process.communicate(timeout=120)[0].split()[-1] for process in both]
    assert told == ["engine", "engine"]
    assert (tmp_path / "begun").read_text() == "built\n"
    assert files(tmp_path / "engines") == ["a.engine"]


def test_a_lock_dies_with_its_process(tmp_path: Path) -> None:
    (process,) = processes(tmp_path / "engines", tmp_path / "begun", 1)
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "builds\n"
        process.kill()
    cache = EngineCache(tmp_path / "engines")
    assert cache.get(CacheKey("a.engine", {}), lambda: b"mine", nobody) == (b"mine", True)


def test_a_thread_waits_for_another_and_may_give_up(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    waits, free, order = threading.Event(), threading.Event(), []

    def second() -> None:
        with file_lock(path, waits.set):
            order.append("second")
        free.set()

    with file_lock(path, nobody):
        thread = threading.Thread(target=second)
        thread.start()
        assert waits.wait(60)
        with pytest.raises(KeyboardInterrupt), file_lock(path, raising(KeyboardInterrupt)):
            pass
        order.append("first")
    assert free.wait(60)
    thread.join()
    assert order == ["first", "second"]
    assert not path.exists()


def test_where_there_are_no_locks_engines_are_kept_all_the_same(
    cache: EngineCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    fcntl = needs("fcntl")

    def flock(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", flock)
    assert cache.get(KEY, lambda: CONTENT, nobody) == (CONTENT, True)
    assert cache.get(KEY, never, nobody) == (CONTENT, False)


# ---- the user's folder ----


@pytest.mark.parametrize(
    ("system", "variable", "folder"),
    [
        ("linux", "XDG_CACHE_HOME", ".cache"),
        ("darwin", None, "Library/Caches"),
        ("win32", "LOCALAPPDATA", "AppData/Local"),
    ],
)
def test_the_users_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, system: str, variable: str | None, folder: str
) -> None:
    monkeypatch.setattr("sys.platform", system)
    monkeypatch.setattr("pathlib.Path.home", lambda: tmp_path)
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    assert default_folder() == tmp_path / folder / "mjpeg-restore" / "engines"
    if variable:
        monkeypatch.setenv(variable, "not/absolute")
        assert default_folder() == tmp_path / folder / "mjpeg-restore" / "engines"
        monkeypatch.setenv(variable, str(tmp_path / "else"))
        assert default_folder() == tmp_path / "else" / "mjpeg-restore" / "engines"


def test_a_user_without_a_home_is_told_to_name_a_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    def home() -> Path:
        raise RuntimeError

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("LOCALAPPDATA", raising=False)
    monkeypatch.setattr("pathlib.Path.home", home)
    with pytest.raises(RuntimeUnavailable, match=r"no home folder.*: engine_cache names a folder"):
        default_folder()
