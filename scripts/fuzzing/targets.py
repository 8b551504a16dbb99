"""What is fuzzed: each function takes any bytes, and raises an exception where a promise is broken.

The promises are those of the docstrings: the errors that a function raises, the shapes and ranges of its results, and
that the pieces in which bytes arrive make no difference.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cache
from itertools import pairwise
from random import Random
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

import mjpeg_restore
from mjpeg_restore.authorisation import parse_challenges
from mjpeg_restore.errors import JpegError, MjpegRestoreError
from mjpeg_restore.frames import CodedPicture, Damage
from mjpeg_restore.jpeg import (
    HeaderWalk,
    Splitter,
    entropy,
    estimate_quality,
    find_dc_jump,
    is_fragment,
    is_tables_only,
    read,
    reader,
    repair,
    scan,
    split,
)
from mjpeg_restore.jpeg.header import JpegHeader
from mjpeg_restore.runtime.cpu import projection, rectangles
from mjpeg_restore.runtime.cpu import sparse as convolutions
from mjpeg_restore.runtime.cpu import state as camera
from mjpeg_restore.sources.avi import ChunkCounter
from mjpeg_restore.sources.chunked import Dechunker
from mjpeg_restore.sources.live.multipart import MultipartReader
from mjpeg_restore.sources.movindex import claimed_samples
from mjpeg_restore.sources.probe import Content, detect_content, read_head

Number = TypeVar("Number", bound=np.generic)

MAX_PIXELS: Final = 1 << 16
"""Larger pictures are left to the tests of costs: here they would only be slow."""
_FRAME: Final = re.compile(rb"\xff[\xc0-\xcf].{3}(....)", re.DOTALL)


def headers(data: bytes) -> None:
    """The header walk and the splitter."""
    with suppress(JpegError):
        header = scan(data)
        assert 0 <= header.start < header.scan_offset <= header.stop <= header.end <= len(data), header
        assert header.width > 0 < header.height
        assert 0 < header.scans <= 64
    with suppress(JpegError):
        parts = HeaderWalk(container_height=96)(data)
        assert 1 <= len(parts.pictures) <= 2
    is_fragment(data)
    is_tables_only(data)
    found = list(split(data))
    assert all(start < end for start, end in found)
    splitter = Splitter()
    pieces = [picture for piece in _pieces(data) for picture in splitter.feed(piece)] + splitter.flush()
    assert [(offset, offset + len(picture)) for offset, picture in pieces] == found
    assert all(data[offset : offset + len(picture)] == picture for offset, picture in pieces)


def pictures(data: bytes) -> None:
    """The reader of coefficients, with diagnosis and repair: the packets of a stream, one after the other."""
    walk, previous = HeaderWalk(), None
    for start, end in [(0, len(data)), *split(data)]:
        try:
            for part in walk(data[start:end]).pictures:
                if part.header.width * part.header.height <= MAX_PIXELS:
                    coded = read(part.data, header=part.header, tables=part.tables)
                    check_picture(coded, part.header)
                    previous = check_repair(coded, previous)
        except JpegError as error:
            assert "\n" not in str(error)
            assert str(error).isprintable(), error


def check_picture(coded: CodedPicture, header: JpegHeader) -> None:
    """Check a picture against its header."""
    assert (coded.width, coded.height, coded.sampling) == (header.width, header.height, header.sampling)
    across, down = coded.sampling.value or (1, 1)
    for part, (blocks, table) in enumerate(zip(coded.coefficients, coded.tables, strict=True)):
        unit = (8 * down, 8 * across) if part else (8, 8)
        assert blocks.shape == (-(-coded.height // unit[0]), -(-coded.width // unit[1]), 64), blocks.shape
        assert table.min() >= 1
        assert 1 <= estimate_quality(table) <= 100
    assert "\n" not in "".join(coded.warnings)
    if coded.damage:
        assert 0 <= coded.damage.first_bad_row < coded.damage.rows == header.mcu_rows
        assert "\n" not in coded.damage.reason


def check_repair(coded: CodedPicture, previous: CodedPicture | None) -> CodedPicture:
    """Repair a picture with the previous one, and with itself in part; return what the next is repaired with."""
    sound = replace(coded, damage=None)
    rows = -(-coded.height // (8 * (coded.sampling.value or (1, 1))[1]))
    half = replace(coded, damage=Damage(rows // 2, rows, "fuzzing"))
    for damaged, reference in ((coded, previous), (half, sound)):
        repaired = repair(damaged, reference)
        if repaired is not None:
            assert repaired.damage is None
            assert [part.shape for part in repaired.coefficients] == [part.shape for part in coded.coefficients]
    if previous is not None:
        find_dc_jump(sound, previous)
    return sound


def native(data: bytes) -> None:
    """The native reader itself, without the header walk in front; only the claims of size are limited."""
    for found in _FRAME.finditer(data):
        if int.from_bytes(found[1][:2], "big") * int.from_bytes(found[1][2:], "big") > MAX_PIXELS:
            return
    with suppress(ValueError, OverflowError):
        contents = reader.read_native(data)
        for part in contents.components:
            assert part.coefficients.shape[2] == 64
            part.coefficients.sum()
        assert all(0 <= warning.row < 65536 and warning.text.isascii() for warning in contents.warnings)


def walk(data: bytes) -> None:
    """The native walk through entropy-coded data, with tables, layouts and spans that the input chooses."""
    assert entropy.native_walk is not None
    rng = Random(data[:8])
    rest = data[8:]
    tables = tuple(_table(rng, rest) for _ in range(rng.choice((1, 2, 2, 2, 4, 9, 0))))
    layout = bytes(rng.randrange(len(tables) + (rng.random() < 0.1) or 1) for _ in range(rng.choice((2, 6, 12, 80, 3))))
    ends = sorted(rng.randrange(len(rest) + 1) for _ in range(rng.choice((0, 2, 2, 8))))
    if rng.random() < 0.1:
        ends = [end + rng.choice((0, 1, 0xFFFF0000)) for end in reversed(ends)]
    spans = np.array(ends, np.uint32)
    try:
        found = entropy.native_walk(rest, spans.tobytes(), tables, layout)
    except ValueError:
        return
    for (starts, end), (first, last) in zip(found, spans.reshape(-1, 2).tolist(), strict=True):
        offsets = np.frombuffer(starts, np.uint32)
        assert end in (0, 1, 2)
        assert first <= offsets[0]
        assert offsets[-1] <= last
        assert (np.diff(offsets.astype(np.int64)) >= 0).all()


def _table(rng: Random, data: bytes) -> bytes:
    """A Huffman table: a part of the input, or a valid one of few codes."""
    start = rng.randrange(len(data) + 1)
    if rng.random() < 0.4:
        return data[start : start + rng.choice((15, 16, 17, 40, 300))]
    counts = bytearray(16)
    for _ in range(rng.randint(1, 4)):
        counts[rng.randrange(16)] = rng.choice((1, 1, 2, 5, 255))
    return bytes(counts) + rng.choice((bytes(40), b"\0\1\2\3", data[start : start + 200]))


def project(data: bytes) -> None:
    """The native projection and decode, with buffers that do or do not have the size that the arguments say."""
    assert projection.native is not None
    rng = Random(data)
    sizes = (0, 1, 1, 2, 3, 7, -1, 1 << 30, 1 << 62)
    high, wide = rng.choice(sizes), rng.choice(sizes)
    blocks = high * wide if 0 < high * wide < 100 else 1
    lanes = rng.choice((4, 8, 8, 0, -1))
    coefficients = _filled(data, 64 * blocks + rng.choice((0, 0, 0, 1, -1)), np.int16)
    table = rng.choice((np.ones(64, np.float32), _filled(data, 64 + rng.choice((0, 0, 1)), np.float32)))
    with suppress(ValueError):
        samples = np.empty(64 * blocks + rng.choice((0, 0, 1)), np.float32)
        projection.native.decode(coefficients, table, samples, high, wide, rng.choice((1.0, 1e30)), lanes)
    with suppress(ValueError):
        phases = rng.choice((None, _filled(data, 64 * blocks + rng.choice((0, 0, 0, 1)), np.float16)))
        plane = np.empty(64 * blocks + rng.choice((0, 0, 1)), np.uint8)
        scale = rng.choice((64.0, 0.0, float("inf")))
        projection.native.project(phases, coefficients, table, plane, high, wide, scale, 0.499, lanes)


def state(data: bytes) -> None:
    """A camera's native state, likewise."""
    native = camera.native
    assert native is not None
    rng = Random(data)
    sizes = (0, 1, 1, 2, 3, 7, -1, 1 << 30, 1 << 62)
    high, wide = rng.choice(sizes), rng.choice(sizes)
    blocks = high * wide if 0 < high * wide < 100 else 1
    last = high, wide, rng.choice((4, 8, 8, 16, 16, 0, -1))

    def some(kind: type[Number], count: int = 64 * blocks) -> NDArray[Number]:
        return _filled(data, count + rng.choice((0,) * 40 + (1, -1)), kind).copy()

    def frame() -> tuple[NDArray[np.int16], NDArray[np.float32], NDArray[np.float32]]:
        return some(np.int16), some(np.float32, 64), rng.choice((np.ones(64, np.float32), some(np.float32, 64)))

    number = rng.choice((1.0, 0.499, 0.0, float("inf"), float("nan")))
    with suppress(ValueError):
        native.observe(*frame(), some(np.int16), some(np.float16), some(np.float16), some(np.float16), *last)
    with suppress(ValueError):
        known = some(np.int16), some(np.float16), some(np.float16)
        native.take(*frame(), *known, some(np.int16), some(np.float16), *last)
    with suppress(ValueError):
        known, seen = (some(np.int16), some(np.float16)), rng.choice((None, some(np.uint8, blocks)))
        shares = rng.choice((None, some(np.float16))), rng.choice((None, some(np.float16)))
        border = rng.choice((0, 0, 1, 1, 8, 9, -1, 1 << 62))
        beside = 2 * border if 0 <= border <= 8 else 0
        count = (8 * high + beside) * (8 * wide + beside) if 0 < high * wide < 100 and high > 0 else 64
        maps = rng.choice((None, some(np.float32, 65 * 64))), rng.choice((None, some(np.float32, 65 * 64)))
        planes = some(np.float32, count), some(np.float32, count)
        past, significance = (
            None if (given is None) != (rng.random() < 0.05) else some(np.float32, count) for given in maps
        )
        native.enter(*frame(), *known, seen, *shares, *maps, *planes, past, significance, *last, number, 1.0, border)
    with suppress(ValueError):
        groups, group = rng.choice((0, 0, 1, 2, 4, 5, -1, 1 << 62)), rng.choice((0, 0, 0, 1, 3, -1, 1 << 62))
        phases = some(np.float16, 64 * blocks * (groups if 0 < groups < 5 else 1))
        known = some(np.int16), some(np.float16), some(np.int16), phases, some(np.float32, 64)
        changed, noise = rng.choice((None, some(np.uint8, blocks))), rng.choice((0.0, 4.0, float("nan")))
        found = some(np.int16), some(np.uint8, blocks), changed, some(np.uint8)
        native.restore(*frame(), *known, *found, *last, number, 0.499, noise, rng.random() < 0.5, groups, group)
    with suppress(ValueError):
        agrees, known = some(np.uint8, blocks), (some(np.int16), some(np.float16))
        native.take_still(*frame(), *known, agrees, some(np.int16), some(np.float16), *last, 7)
    with suppress(ValueError):
        agrees, changed = some(np.uint8, blocks), rng.choice((None, some(np.uint8, blocks)))
        known = some(np.int16), some(np.float16), some(np.int16)
        native.restore_still(
            *frame(),
            *known,
            some(np.int16),
            agrees,
            changed,
            some(np.uint8),
            rng.choice((None, some(np.uint8))),
            *last,
            number,
            0.499,
            rng.random() < 0.5,
            7,
            number,
        )
    with suppress(ValueError):
        known, tables = (some(np.int16), some(np.float16)), (some(np.float32, 64), some(np.float32, 64))
        found = some(np.float32, blocks), some(np.float32, blocks), some(np.float32, blocks)
        shared = some(np.float32, blocks), some(np.float32, blocks), some(np.float32, blocks), some(np.float32, blocks)
        clear = some(np.float32, 64), some(np.float32, 64)
        native.compare(*frame(), *known, *tables, *clear, *found, *shared, *last, number)
    with suppress(ValueError):
        known, products = (some(np.int16), some(np.float16)), some(np.float32, 3 * blocks)
        native.innovate(*frame(), *known, some(np.int8), products, *last)
    with suppress(ValueError):
        known, wanted = (some(np.int16), some(np.float16), some(np.int16)), some(np.uint8, blocks)
        native.stray(*frame(), *known, wanted, some(np.float32, blocks), *last)
    with suppress(ValueError):
        native.doubt(some(np.float16), some(np.float32, blocks), some(np.float16), *last)
    with suppress(ValueError):
        known = some(np.int16), some(np.int16), some(np.float32, blocks), some(np.int16)
        native.brighten(*known, *last, number, 0.03, 1.0, number, number)
    groups, group = rng.choice((0, 1, 1, 2, 4, 5, -1, 1 << 62)), rng.choice((0, 0, 1, 3, -1, 1 << 62))
    places = (high + 2) * (wide + 2) * groups if 0 < high * wide < 100 and high > 0 and 0 < groups < 5 else 1
    with suppress(ValueError):
        known = some(np.int16), some(np.float16), some(np.uint8, blocks)
        native.sense(*frame(), *known, some(np.float32, 256 * places), *last, groups, group)
    with suppress(ValueError):
        known = some(np.int16), some(np.float16), some(np.uint8, blocks)
        logits, after = (some(np.float32, 64), some(np.float32, 64 * places)), (some(np.int16), some(np.float16))
        native.take_judged(*frame(), *known, *logits, *after, *last, groups, group)
    with suppress(ValueError):
        seen = rng.choice((None, some(np.uint8, blocks)))
        native.believed(some(np.float16), some(np.float16), some(np.float32, 64), seen, some(np.float32, blocks), *last)


def pieces(data: bytes) -> None:
    """The native search for what moved, and for its place in a picture, likewise."""
    native = rectangles.native
    assert native is not None
    rng = Random(data)
    high, wide = rng.choice((1, 1, 2, 7, 30)), rng.choice((1, 2, 7, 30))
    cells = (_filled(data, high * wide, np.uint8) > rng.choice((0, 128, 250))).reshape(high, wide)
    down, across = (
        np.arange(4, 5 + count + rng.choice((0,) * 9 + (-1, 1)), dtype=np.float64) for count in (high, wide)
    )
    if rng.random() < 0.1:
        down = _filled(data, high + 1, np.float64)
    start = rng.choice((10.0, 100.0, 0.0, float("inf"), float("nan")))
    with suppress(ValueError):
        found = native.cover(cells, down, across, start)
        count = np.zeros((high, wide), np.int64)
        for top, bottom, left, right in found:
            assert 0 <= top < bottom <= high and 0 <= left < right <= wide
            count[top:bottom, left:right] += 1
        assert (count[cells] == 1).all() and count.max(initial=0) <= 1
        work = [down[bottom - top] * across[right - left] + start for top, bottom, left, right in found]
        assert sum(work) <= (down[high] * across[wide] + start) * 1.001 or not (np.diff(down) > 0).all()
    sizes = _filled(data, 2 * rng.randrange(20), np.int32) & rng.choice((7, 63, -1))
    places = np.zeros(len(sizes) + rng.choice((0,) * 9 + (1, 2)), np.int32)
    limits = (1, 8, 40, 200, 0, -1, (1 << 31) - 1)
    limit = rng.choice(limits), rng.choice(limits)
    with suppress(ValueError):
        if native.pack(sizes, places, *limit) and max(limit) <= 200:
            blocks = np.zeros(limit, np.int64)
            for (row, column), (own_high, own_wide) in zip(places.reshape(-1, 2), sizes.reshape(-1, 2), strict=True):
                assert 0 <= row <= limit[0] - own_high and 0 <= column <= limit[1] - own_wide
                blocks[row : row + own_high, column : column + own_wide] += 1
            assert blocks.max(initial=0) <= 1


def sparse(data: bytes) -> None:
    """The native convolutions, with sizes that make no layer, and buffers of other sizes, alignments and rights."""
    native: Any = convolutions.native
    assert native is not None
    rng = Random(data)

    def some(kind: type[Number], count: int) -> NDArray[Number]:
        """Numbers to read or to write, or seldom too many or too few, at odd addresses, or read-only."""
        count, size = max(0, count + rng.choice((0,) * 60 + (1, -1))), np.dtype(kind).itemsize
        room = np.frombuffer(bytearray(size * count + size), np.uint8)
        start = -room.ctypes.data % size + rng.choice((0,) * 60 + (1, size // 2))
        found = room[start : start + size * count] if start + size * count <= len(room) else room[: size * count]
        found[:] = _filled(data, len(found), np.uint8)
        found.flags.writeable = rng.random() < 0.98
        return found.view(kind)

    def odd(sizes: Sequence[int]) -> tuple[int, ...]:
        """The sizes, of which some may be others."""
        wrong = (0, 1, 2, 3, 9, 1 << 12, 1 << 20, 1 << 31, 1 << 62, (1 << 63) - 1, -1, -(1 << 31), -(1 << 63))
        often = rng.choice((0, 0, 0, 0.05, 0.2))
        return tuple(rng.choice(wrong) if rng.random() < often else size for size in sizes)

    unit = rng.choice((1, 1, 1, 4))  # of places, that is computed at once
    cells_high, cells_wide, down, across = (rng.choice((1, 1, 2, 3, 6)) for _ in range(4))
    high, wide = cells_high * down - rng.randrange(down), cells_wide * across - rng.randrange(across)
    reach = [unit * rng.choice((0, 1, 2, 5, 40)) for _ in range(2)]
    down, across, high, wide = (unit * length for length in (down, across, high, wide))
    region = odd((cells_high, cells_wide, down, across, *reach, high, wide))
    cells = some(np.uint8, cells_high * cells_wide) & rng.choice((0, 1, 1, 128, 255))
    size, byte = rng.choice((1, 4, 16, 64)), rng.choice((0, 128, -1, 1 << 30))
    bordered = (high + 2) * (wide + 2) * size
    room = _filled(data, bordered + rng.choice((0,) * 20 + (1, -1)), np.uint8).copy()
    before = room.copy()
    with suppress(ValueError):
        native.fill(room, byte, *odd((size,)), cells, region)
    changed = np.flatnonzero(room != before)
    assert (room[changed] == byte & 255).all()
    if len(room) == bordered and region[6:] == (high, wide):
        places = np.unravel_index(changed // size, (high + 2, wide + 2))
        assert all(
            one.min(initial=1) > 0 and one.max(initial=1) <= most
            for one, most in zip(places, (high, wide), strict=True)
        )

    of_bytes, lanes = rng.choice((0, 1, 2)), rng.choice((8, 16) * 15 + (0, -8, 1 << 30))
    planes, channels = (1, rng.choice((4, 8, 16))) if of_bytes else rng.choice(((1, 3), (3, 1), (2, 5), (1, 8)))
    outputs, kernel, padding = rng.choice((8, 16, 16, 20, 32)), rng.choice((1, 2, 3, 3)), rng.choice((0, 1))
    products = (
        rng.choice((0, 0, 4, 2, 2, 1) if of_bytes else (0, 1, 2, 3))
        if rng.random() < 0.95
        else rng.choice((-1, 4, 5, 6))
    )
    stride = rng.choice((1, 1, 2)), rng.choice((1, 1, 2, 4))
    if products == 3 and rng.random() < 0.9:  # of planes, by squares
        planes, channels, kernel, stride = rng.choice((1, 3, 4, 6)), 1, rng.choice((2, 4)), (2, 2)
    spread = rng.choice((1, 1, 1, 2))
    if unit > 1 and rng.random() < 0.9:  # of numbers, by squares of places
        of_bytes, products, planes, channels, kernel = 0, 5, 1, rng.choice((8, 16, 32)), 3
        padding, stride, spread = 1, (1, 1), 1
    # The smallest input whose last kernel ends at its border's end, or beyond.
    input_high, input_wide = (
        max(1, (length - 1) * step + kernel - 1 - padding + rng.choice((0, 0, 0, 1, -1)))
        for length, step in zip((high, wide), stride, strict=True)
    )
    shape = odd(
        (
            *(planes, input_high, input_wide, channels, kernel, *stride, padding, outputs),
            *(spread, rng.randrange(spread), rng.randrange(spread)),
        )
    )
    taken = some(np.uint8 if of_bytes else np.float32, planes * (input_high + 2) * (input_wide + 2) * channels)
    filled = outputs if lanes not in (8, 16) else -(-outputs // lanes) * lanes  # by the last group
    kind = np.int8 if of_bytes else np.float32 if products in (0, 5) else np.uint16
    taps, size = planes * kernel**2 * channels, np.dtype(kind).itemsize
    if products == 3:
        taps = kernel**2 * (-(-4 * planes // 16) * 16)
    if products == 5:
        taps = 6 * 6 * channels
    if products == 2:  # whole rows of 64 bytes, or a single one
        rows = kernel if channels > 1 and planes == 1 else 1
        taps = rows * (-(-taps * size // rows // 64) * 64 // size)
    weights = some(kind, taps * filled)
    scale, bias = some(np.float32, outputs) if of_bytes else None, some(np.float32, outputs)
    count = (spread * high + 2) * (spread * wide + 2) * outputs
    added = [rng.choice((None, some(np.float32, count))) for _ in range(2)]
    found = (
        rng.choice((None, some(np.float32, count))),
        rng.choice((None, some(np.uint8, count))),
        rng.choice((None, None, some(np.float16, high * wide * outputs))),
    )
    earlier = [b"" if one is None else one.tobytes() for one in found]
    numbers = rng.choice((1.0, 0.0, float("inf"), float("nan"))), rng.choice((0.0, 128.0, 1e30, float("nan")))
    with suppress(ValueError):
        layer = (
            *(taken, weights, scale, bias, *added, *found, cells, region, (*shape, rng.choice((0, 1, 2)), products)),
            *(*numbers, lanes),
        )
        if rng.random() < 0.5:
            native.convolve([layer])
        else:
            native.join(native.share([layer], rng.choice((1, 2, 5))))
        assert all(one is None or one.flags.writeable for one in found)
        if region[6:] == (high, wide) and shape[9] == spread and shape[8] == outputs:
            for one, known in zip(found[:2], earlier[:2], strict=True):
                if one is not None:
                    around = np.ones((spread * high + 2, spread * wide + 2, outputs * one.itemsize), np.bool_)
                    around[1:-1, 1:-1] = False
                    now, then = (np.frombuffer(written, np.uint8) for written in (one.tobytes(), known))
                    assert (now == then)[around.ravel()].all()
        return
    assert earlier == [b"" if one is None else one.tobytes() for one in found]


def _filled(data: bytes, count: int, kind: type[Number]) -> NDArray[Number]:
    """As many numbers as asked for, from the bytes of the input over and over."""
    size = count * np.dtype(kind).itemsize
    return np.frombuffer(((data or b"\0") * (size // max(1, len(data)) + 1))[:size], kind)


def containers(data: bytes) -> None:
    """The parsers of containers and dumps: what a file holds, the index of MOV, the chunks of AVI and of HTTP."""
    detect_content(data)
    assert claimed_samples(io.BytesIO(data)) >= 0
    assert data.startswith(read_head(_Dribble(data)))
    counters = [ChunkCounter(), ChunkCounter()]
    counters[0].feed(data)
    for piece in _pieces(data):
        counters[1].feed(piece)
    assert [counters[0].count(track) for track in range(3)] == [counters[1].count(track) for track in range(3)]
    for head in (True, False):
        whole, parts = Dechunker(head=head), Dechunker(head=head)
        assert whole.feed(data) == b"".join(map(parts.feed, _pieces(data)))
        assert (whole.error is None) == (parts.error is None)


def multipart(data: bytes) -> None:
    """What a camera sends over HTTP: the multipart reader, and the challenge of authentication."""
    whole, parts = MultipartReader(), MultipartReader()
    found = whole.feed(data) + whole.flush()
    assert found == [picture for piece in _pieces(data) for picture in parts.feed(piece)] + parts.flush()
    assert sum(len(picture.data) for picture in found) <= len(data)
    parse_challenges(data[:4096].decode("latin-1").splitlines())


def recordings(data: bytes) -> None:
    """The whole pipeline with the plain decode, on everything but containers, which are FFmpeg's."""
    if detect_content(data) is Content.CONTAINER:
        return
    with suppress(JpegError):
        header = scan(data, max_pixels=MAX_PIXELS)
        if header.width * header.height <= MAX_PIXELS:
            mjpeg_restore.restore(data, "decode").to_ndarray("rgb")
    with suppress(MjpegRestoreError), mjpeg_restore.open(data, _decode()) as shown:
        for picture in shown:
            assert picture.planes[0].shape == (picture.height, picture.width)


@cache
def _decode() -> mjpeg_restore.Restorer:
    return mjpeg_restore.Restorer("decode")


class _Dribble:
    """A stream whose reads return less than is asked for."""

    def __init__(self, data: bytes) -> None:
        self._file = io.BytesIO(data)

    def read(self, size: int = -1, /) -> bytes:
        """Return up to a thousand bytes."""
        return self._file.read(min(size, 1000) if size >= 0 else 1000)


def _pieces(data: bytes) -> Iterator[bytes]:
    """The input in pieces, cut where it chooses itself."""
    rng = Random(data[-8:])
    count = rng.choice((1, 4, 20, 100))
    cuts = [0, *sorted(rng.randrange(len(data) + 1) for _ in range(count)), len(data)]
    for start, end in pairwise(cuts):
        yield data[start:end]


TARGETS: Final[dict[str, Callable[[bytes], None]]] = {
    "headers": headers,
    "pictures": pictures,
    "native": native,
    "walk": walk,
    "project": project,
    "state": state,
    "pieces": pieces,
    "sparse": sparse,
    "containers": containers,
    "multipart": multipart,
    "recordings": recordings,
}
"""By the names that the command knows."""
