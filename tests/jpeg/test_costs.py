"""B1, P1: an input of up to a megabyte costs a few seconds and 1.5 GB at most; without memory, nothing is printed.

The inputs are read in a process of their own, and are a quarter of a megabyte: costs that grow with the square of the
size exceed their share there too.
"""

from __future__ import annotations

import json
import os
import pickle
import random
import subprocess
import sys
from pathlib import Path

import pytest
from pictures import DHT, encode, patch_frame, segment

from mjpeg_restore.jpeg.segments import DQT
from mjpeg_restore.jpeg.tables import STANDARD_DHT
from tests.lacking import needs, needs_native_reader, needs_proc

resource = needs("resource")

SECONDS = 2
"""Processor time for a quarter of a megabyte."""
MEGABYTES = 1500

WORKER = """
import json, pickle, resource, sys
from mjpeg_restore.errors import JpegError
from mjpeg_restore.jpeg import HeaderWalk, Splitter, is_fragment, read, split

def cut(data):
    return len(list(split(data))) + is_fragment(data)

def feed(data):
    splitter = Splitter()
    for k in range(0, len(data), 65536):
        splitter.feed(data[k : k + 65536])
    splitter.flush()

def walk(data):
    try:
        HeaderWalk()(data)
    except JpegError:
        pass

def load(data):
    try:
        parts = HeaderWalk()(data)
        for part in parts.pictures:
            read(part.data, header=part.header, tables=part.tables)
    except JpegError as error:
        assert "\\n" not in str(error)

def most_memory():
    try:  # what getrusage tells begins with the memory of the process that started this one
        return 1024 * next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM:"))
    except OSError:
        unit = 1 if sys.platform == "darwin" else 1024
        return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

for name, data in pickle.load(open(sys.argv[1], "rb")).items():
    for step in (cut, feed, walk, load):
        before = resource.getrusage(resource.RUSAGE_SELF)
        step(data)
        after = resource.getrusage(resource.RUSAGE_SELF)
        spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        print(json.dumps([name, step.__name__, spent, most_memory()]), flush=True)
"""

SOI, EOI = b"\xff\xd8", b"\xff\xd9"
TABLE = segment(DQT, b"\0" + b"\x10" * 64)


def large(width: int, height: int, data: bytes, scans: int, sof: int = 0xC0, between: bytes = b"") -> bytes:
    """A gray picture with `scans` empty scans behind the first."""
    frame = segment(sof, b"\x08" + height.to_bytes(2, "big") + width.to_bytes(2, "big") + b"\x01\x01\x11\0")
    spectral = b"\0\0\0" if sof in (0xC2, 0xCA) else b"\0\x3f\0"
    scan = segment(0xDA, b"\x01\x01\0" + spectral)
    return SOI + TABLE + frame + STANDARD_DHT + scan + data + between + scan * scans + EOI


def refined(scans: int, sof: int, tail: bytes = b"") -> bytes:
    """A gray picture of 8000x8000 of zeros, with scans that refine AC coefficients and misnumbered restart markers.

    With Huffman codes, which have one bit each, the DC scan has all its zeros, and the others runs of 32,767 blocks.
    """
    huffman = sof == 0xC2
    interval = bytes(8192) if huffman else b""
    runs = int(("0" + "1" * 14) * 31 + "1" * 7, 2).to_bytes(59, "big")
    data = runs.replace(b"\xff", b"\xff\0") if huffman else b""
    first, refinement = (segment(0xDA, b"\x01\x01\0\x01\x3f" + bits) + data for bits in (b"\1", b"\x10"))
    return b"".join(
        (
            *(SOI, TABLE, segment(sof, b"\x08\x1f\x40\x1f\x40\x01\x01\x11\0")),
            *(segment(DHT, bytes([name, 1]) + bytes(15) + symbol) for name, symbol in ((0, b"\0"), (16, b"\xe0"))),
            *(segment(0xDD, b"\xff\xff"), segment(0xDA, b"\x01\x01\0\0\0\0"), b"\xff\xd0".join([interval] * 16)),
            *(segment(0xDD, b"\0\0"), first, refinement * scans, tail, EOI),
        )
    )


def noise(size: int, values: bytes = b"\x28\xa2\x8a\x12\x34") -> bytes:
    return bytes(random.Random(3).choices(values, k=size))


FLAT = b"\x28\xa2\x8a"
"""Four flat blocks by the standard tables; it can be repeated."""
SIZE = 1 << 18
INPUTS = {
    "empty DQT": SOI + b"\xff\xdb\0\2" * (SIZE // 4),
    "empty DQT, a picture": SOI + b"\xff\xdb\0\2" * (SIZE // 4) + encode()[2:],
    "DQT": SOI + TABLE * (SIZE // len(TABLE)) + encode()[2:],
    "empty DHT": SOI + b"\xff\xc4\0\2" * (SIZE // 4) + encode()[2:],
    "comments": SOI + b"\xff\xfe\0\2" * (SIZE // 4) + encode()[2:],
    "SOI": SOI * (SIZE // 2),
    "SOI FF": b"\xff\xd8\xff" * (SIZE // 3),
    "SOI SOS": b"\xff\xd8\xff\xda\0\2" * (SIZE // 6),
    "tables alone": (SOI + TABLE + EOI) * (SIZE // 73) + encode(),
    "empty tables alone": (SOI + b"\xff\xdb\0\2" + EOI) * (SIZE // 8) + encode(),
    "large tables, then small ones": SOI
    + b"".join(segment(DHT, bytes([name]) + b"\xff" * 16 + bytes(4080)) for name in (0, 1, 2, 3, 16, 17, 18, 19))
    + EOI
    + (SOI + segment(DHT, bytes(17)) + EOI) * (SIZE // 25)
    + encode(),
    "tables of all names": SOI
    + segment(DHT, b"".join(bytes([k % 256]) + b"\1" + bytes(16) for k in range(3500))) * 16
    + encode()[2:],
    "restart markers": encode()[:-2] + b"\xff\xd0" * (SIZE // 2) + EOI,
    "restart markers, DRI 1": encode(restart_marker_blocks=1)[:-2] + b"\xff\xd0" * (SIZE // 2) + EOI,
    "zeros behind": encode()[:-2] + bytes(SIZE),
    "flat blocks behind": encode()[:-2] + FLAT * (SIZE // 3) + EOI,
    "text behind": encode()[:-2] + b"\r\nabcdefghijklmnop" * (SIZE // 18),
    "short runs of zeros": large(8000, 7900, (b"\x28" + bytes(16)) * (SIZE // 17), 0),
    "garbage": large(8000, 7900, noise(SIZE), 0),
    "tiny pictures": encode("gray", (8, 8)) * 1600,
    "pictures of nothing behind two": encode() * 2 + b"\xff\xd8\xff\xda\0\2\xff\xd9" * (SIZE // 8),
    "FF": b"\xff\xd8\xff\xc0" + b"\xff" * SIZE,
    "6,400 scans": large(3344, 3344, FLAT * 15_000, 6400),
    "6,400 scans, arithmetic": large(3344, 3344, FLAT * 700, 6400, sof=0xC9),
    "4,000 scans that count as noise": large(3344, 3344, FLAT * 15_000, 4000),
    "4,000 scans that count as noise, arithmetic": large(3344, 3344, FLAT * 700, 4000, sof=0xC9),
    "scans behind a false marker": large(3344, 3344, FLAT * 15_000, 4000, between=b"\xff\x02"),
    "scans behind a false frame": large(3344, 3344, FLAT * 15_000, 4000, between=segment(0xC0, bytes(15))),
    "600 scans": large(8000, 8000, FLAT * 42_000, 600, sof=0xC2),
    "60 scans of 64 million pixels": large(8000, 8000, FLAT * 42_000, 60, sof=0xC2),
    "64 million pixels, arithmetic": large(8000, 8000, FLAT * 30, 40, sof=0xC9),
    "44 refinements": refined(44, 0xC2),
    "44 refinements, a false marker": refined(44, 0xC2, b"\xff\x02"),
    "14 refinements, arithmetic, a false marker": refined(14, 0xCA, b"\xff\x02"),
    "detail behind the end, arithmetic": patch_frame(
        encode("4:4:4", (64, 64), quality=100, flags=["+ARITH_CODE"]), 1, b"\x1f\x40\x1f\x40"
    ),
    "detail behind the end, progressive arithmetic": patch_frame(
        encode("4:4:4", (64, 64), quality=100, flags=["+ARITH_CODE", "+PROGRESSIVE_MODE"]), 1, b"\x1f\x40\x1f\x40"
    ),
    "a million restart markers": large(8000, 8000, b"", 0)[:-2].replace(
        b"\xff\xda", segment(0xDD, b"\0\1") + b"\xff\xda"
    )
    + b"\x2b\xff\xd0" * 1_000_000
    + EOI,
    "the highest picture, with blocks left over": large(32, 65500, FLAT * 11_000, 0),
    "8000x7000 in a kilobyte": patch_frame(encode(size=(16, 16)), 1, b"\x1b\x58\x1f\x40"),
    "60000x60000": patch_frame(encode(size=(16, 16)), 1, b"\xea\x60\xea\x60"),
}


def run(code: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)


@pytest.fixture(scope="module")
def spent(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[tuple[str, float, int]]]:
    """For each input: step, seconds, and the process's peak memory so far, in bytes."""
    path = tmp_path_factory.mktemp("costs") / "inputs"
    path.write_bytes(pickle.dumps(INPUTS))
    result = run(WORKER, path)
    assert (result.returncode, result.stderr) == (0, ""), result.stdout[-200:]
    found: dict[str, list[tuple[str, float, int]]] = {}
    for name, *rest in map(json.loads, result.stdout.splitlines()):
        found.setdefault(name, []).append(tuple(rest))
    return found


@needs_native_reader
@pytest.mark.slow
@pytest.mark.parametrize("name", INPUTS)
def test_what_an_input_may_cost(name: str, spent: dict[str, list[tuple[str, float, int]]]) -> None:
    assert len(spent[name]) == 4
    for step, seconds, memory in spent[name]:
        assert seconds < SECONDS, step
        assert memory < MEGABYTES << 20, step


STARVING = """
import resource, sys
from mjpeg_restore.errors import TooLarge
from mjpeg_restore.jpeg import entropy, read, scan
data = open(sys.argv[1], "rb").read()
header = scan(data)
held = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
refused = 0
for room in range(0, 48, 4):
    resource.setrlimit(resource.RLIMIT_AS, (held + (room << 20), resource.RLIM_INFINITY))
    try:
        read(data, header=header)
    except (MemoryError, TooLarge):
        refused += 1
print(refused)
"""


@needs_native_reader
@needs_proc
@pytest.mark.parametrize("damaged", [False, True])
def test_memory_that_runs_out_is_an_error_and_nothing_is_printed(damaged: bool, tmp_path: Path) -> None:
    data = encode("4:4:4", (1024, 768), quality=50)
    path = tmp_path / "picture.jpg"
    path.write_bytes(data[: len(data) // 2] + data[len(data) // 2 + 500 :] if damaged else data)
    result = run(STARVING, path)
    assert (result.returncode, result.stderr) == (0, "")
    assert 0 < int(result.stdout) < 12
