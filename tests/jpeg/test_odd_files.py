"""A collection of odd JPEGs: none makes a reader crash, hang or leak, and both readers read the same."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from oracle_worker import __file__ as worker
from pictures import ODD_FILES

from mjpeg_restore.errors import JpegError
from mjpeg_restore.frames import CodedPicture
from mjpeg_restore.jpeg import Splitter, read, reader, scan, split
from tests.lacking import needs_data, needs_native_reader, needs_proc

FILES = sorted(path for path in ODD_FILES.rglob("*") if path.is_file()) if ODD_FILES.is_dir() else []
SECONDS = 20.0
pytestmark = needs_data("odd-jpeg")


class Oracle:
    """jpeglib in a process, which is restarted when it died or took too long."""

    def __init__(self) -> None:
        self._process = self._start()

    def _start(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, worker],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )

    def digest(self, path: Path) -> str | None:
        """What jpeglib reads, as a digest; None where it refuses or dies."""
        process = self._process
        guard = threading.Timer(SECONDS, process.kill)
        guard.start()
        assert process.stdin
        assert process.stdout
        try:
            process.stdin.write(f"{path}\n")
            process.stdin.flush()
            while (answer := process.stdout.readline()) and not answer.startswith("digest "):
                pass
        except OSError:
            answer = ""
        finally:
            guard.cancel()
        if not answer:
            self.close()
            self._process = self._start()
        return answer.removeprefix("digest ").strip().replace("-", "") or None

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()


@pytest.fixture(scope="module")
def oracle() -> Iterator[Oracle]:
    """One process for all files."""
    process = Oracle()
    assert process.digest(ODD_FILES / "wuffs" / "hippopotamus.jpeg")
    yield process
    process.close()


def digest(picture: CodedPicture) -> str:
    """As `oracle_worker.digest`."""
    sha = hashlib.sha256()
    for plane, table in zip(picture.coefficients, picture.tables, strict=True):
        shape = (*map(int, plane.shape),)
        sha.update(repr(shape).encode() + plane.tobytes() + table.tobytes())
    return sha.hexdigest()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name[-40:])
def test_same_as_jpeglib_or_a_clear_refusal(path: Path, oracle: Oracle, tmp_path: Path) -> None:
    data = path.read_bytes()
    try:
        header = scan(data)
        picture = read(data, header=header)
    except JpegError as error:
        assert "\n" not in str(error)
        return
    if header.start:
        path = tmp_path / "picture.jpg"
        path.write_bytes(data[header.start :])
    theirs = oracle.digest(path)
    if theirs is not None:
        assert digest(picture) == theirs, (header, picture)


def test_splitting_is_the_same_in_pieces() -> None:
    for path in FILES:
        data = path.read_bytes()
        splitter = Splitter()
        found = [item for k in range(0, len(data), 4096) for item in splitter.feed(data[k : k + 4096])]
        found += splitter.flush()
        assert found == [(start, data[start:end]) for start, end in split(data)], path


FALLBACK_ALONE = """
import sys
from pathlib import Path
from mjpeg_restore.errors import JpegError
from mjpeg_restore.jpeg import read, reader
reader.native_version, reader.native_arithmetic = None, False
for path in sys.argv[1:]:
    try:
        read(Path(path).read_bytes())
    except JpegError:
        pass
"""


def test_the_fallback_survives_them_all() -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", FALLBACK_ALONE, *map(str, FILES)]
    result = subprocess.run(command, env=environment, capture_output=True, timeout=300)
    assert result.returncode == 0, result.stderr[-2000:]
    assert result.stdout == b""


@needs_native_reader
@needs_proc
def test_nothing_leaks() -> None:
    small = [path.read_bytes() for path in FILES if path.stat().st_size < 50_000]

    def read_all() -> None:
        for data in small:
            for piece in (data, data[: len(data) // 2]):
                try:
                    reader.read_native(piece)
                except (ValueError, MemoryError):
                    continue

    safe = [data for data in small if _passes(data)]
    small[:] = safe
    for _ in range(3):
        read_all()
    before = _resident()
    for _ in range(30):
        read_all()
    assert _resident() - before < 4 << 20


def _passes(data: bytes) -> bool:
    """Whether `scan` accepts the file, as the native reader requires."""
    try:
        scan(data)
    except JpegError:
        return False
    return True


def _resident() -> int:
    """Bytes of memory in use by this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096
