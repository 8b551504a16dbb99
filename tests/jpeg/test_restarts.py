"""D1: restart markers with wrong numbers, without DRI, or missing although DRI announces them; and lost intervals."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pytest
from pictures import encode, insert, scan_span, segment, without

from mjpeg_restore.frames import CodedPicture
from mjpeg_restore.jpeg import entropy, read, restarts, scan
from mjpeg_restore.jpeg.segments import DRI, SOS
from tests.lacking import needs_native_walk

pytestmark = [
    pytest.mark.usefixtures("either_reader"),
    needs_native_walk,
]

WIDE = 11
"""MCUs across, and 8 of them down, of a 4:2:0 picture of 163x117; gray has 21 and 15."""
KINDS = [
    ("4:2:0", WIDE),
    ("4:2:0", 4),
    ("4:2:0", 2 * WIDE),
    ("4:2:0", 1),
    ("4:2:2", WIDE),
    ("gray", 21),
    ("gray", 8),
    ("4:4:4", 30),
]
"""Sampling, and restart interval: one row of MCUs, part of a row, several rows, one MCU, and others."""


def markers(data: bytes) -> list[int]:
    """Offsets of the restart markers."""
    start, end = scan_span(data)
    return [start + match.start() for match in re.finditer(rb"\xff[\xd0-\xd7]", data[start:end])]


def renumber(data: bytes, numbers: Callable[[int], Iterable[int]]) -> bytes:
    """Give the restart markers other numbers."""
    changed = bytearray(data)
    at = markers(data)
    for offset, number in zip(at, numbers(len(at)), strict=True):
        changed[offset + 1] = 0xD0 + number % 8
    return bytes(changed)


def announce(data: bytes, interval: int | None) -> bytes:
    """Set the interval in DRI; None removes DRI."""
    bare = without(data, DRI)
    return bare if interval is None else insert(bare, segment(DRI, interval.to_bytes(2, "big")))


def between(data: bytes, piece: Callable[[], bytes]) -> bytes:
    """Put bytes in front of each restart marker."""
    start, end = scan_span(data)
    return data[:start] + re.sub(rb"\xff[\xd0-\xd7]", lambda found: piece() + found[0], data[start:end]) + data[end:]


def assert_sound(data: bytes, expected: CodedPicture) -> None:
    picture = read(data)
    assert picture.damage is None
    for ours, theirs in zip(picture.coefficients, expected.coefficients, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def swapped(count: int) -> list[int]:
    numbers = list(range(count))
    numbers[0], numbers[1] = numbers[1], numbers[0]
    return numbers


NUMBERS: dict[str, Callable[[int], Iterable[int]]] = {
    "all 0": lambda count: [0] * count,
    "all 7": lambda count: [7] * count,
    "from 1": lambda count: range(1, count + 1),
    "from 5": lambda count: range(5, count + 5),
    "every second": lambda count: range(0, 2 * count, 2),
    "reversed": lambda count: range(count, 0, -1),
    "swapped": swapped,
    "random": lambda count: [random.Random(3).randrange(8) for _ in range(count)],
}


@pytest.mark.parametrize("numbers", NUMBERS)
@pytest.mark.parametrize(("sampling", "blocks"), KINDS)
def test_any_numbers(sampling: str, blocks: int, numbers: str) -> None:
    data = encode(sampling, restart_marker_blocks=blocks)
    assert_sound(renumber(data, NUMBERS[numbers]), read(data))


@pytest.mark.parametrize("numbers", NUMBERS)
@pytest.mark.parametrize("sampling", ["gray", "4:2:2", "4:2:0"])
@pytest.mark.parametrize("rows", [False, True], ids=["blocks", "rows"])
def test_any_numbers_in_progressive_pictures(sampling: str, numbers: str, rows: bool) -> None:
    options: dict[str, Any] = {"restart_marker_rows": 1} if rows else {"restart_marker_blocks": 5}
    data = encode(sampling, progressive=True, **options)
    assert_sound(renumber_all(data, NUMBERS[numbers]), read(data))


@pytest.mark.parametrize("sampling", ["gray", "4:2:2", "4:2:0"])
@pytest.mark.parametrize(
    "options", [{"restart_marker_rows": 1}, {"restart_marker_rows": 3}, {"restart_marker_blocks": 5}]
)
def test_progressive_pictures_without_dri(sampling: str, options: dict[str, Any]) -> None:
    data = encode(sampling, progressive=True, **options)
    assert_sound(without(data, DRI), read(data))
    assert_sound(renumber_all(without(data, DRI), NUMBERS["from 1"]), read(data))


@pytest.mark.parametrize("numbers", NUMBERS)
def test_any_numbers_in_a_picture_of_several_scans(numbers: str) -> None:
    data = in_three_scans(encode("4:4:4", restart_marker_blocks=7))
    assert scan(data).scans == 3
    assert_sound(renumber_all(data, NUMBERS[numbers]), read(data))


def renumber_all(data: bytes, numbers: Callable[[int], Iterable[int]]) -> bytes:
    """As `renumber`, scan by scan."""
    changed = bytearray(data)
    for found in entropy.find_scans(data, scan(data)):
        for at, number in zip(found.restarts, numbers(len(found.restarts)), strict=True):
            changed[at + 1] = 0xD0 + number % 8
    assert changed != data
    return bytes(changed)


def in_three_scans(data: bytes) -> bytes:
    """A picture of three components with one scan for each."""
    start = scan(data).scan_offset
    gray = encode("gray", restart_marker_blocks=7)
    first, end = scan_span(gray)
    scans = [segment(SOS, bytes([1, name, 0, 0, 63, 0])) + gray[first:end] for name in (1, 2, 3)]
    return data[:start] + b"".join(scans) + b"\xff\xd9"


@pytest.mark.parametrize("stated", [None, 0, "half", "twice", "one more"])
@pytest.mark.parametrize(("sampling", "blocks"), KINDS)
def test_dri_that_is_missing_or_wrong(sampling: str, blocks: int, stated: int | str | None) -> None:
    data = encode(sampling, restart_marker_blocks=blocks)
    interval = {"half": max(1, blocks // 2), "twice": 2 * blocks, "one more": blocks + 1}.get(str(stated), stated)
    assert_sound(announce(data, interval), read(data))  # type: ignore[arg-type]
    assert_sound(renumber(announce(data, interval), NUMBERS["from 1"]), read(data))  # type: ignore[arg-type]


@pytest.mark.parametrize("interval", [1, 5, WIDE, 50, 87])
@pytest.mark.parametrize("optimize", [False, True])
def test_dri_without_any_marker(interval: int, optimize: bool) -> None:
    data = encode(optimize=optimize)
    assert_sound(announce(data, interval), read(data))


@pytest.mark.parametrize("numbers", ["from 1", "all 0"])
@pytest.mark.parametrize(("sampling", "blocks"), KINDS)
def test_a_marker_behind_the_last_interval(sampling: str, blocks: int, numbers: str) -> None:
    data = encode(sampling, restart_marker_blocks=blocks)
    more = data[:-2] + bytes([0xFF, 0xD0 + len(markers(data)) % 8]) + data[-2:]
    for changed in (more, renumber(more, NUMBERS[numbers]), announce(more, None)):
        assert_sound(changed, read(data))


@pytest.mark.parametrize(("sampling", "blocks"), KINDS)
def test_s9_fill_and_extraneous_bytes_before_markers(sampling: str, blocks: int) -> None:
    rng = random.Random(5)
    data = encode(sampling, restart_marker_blocks=blocks)
    filled = between(data, lambda: b"\xff" * rng.randrange(4))
    noisy = between(data, lambda: bytes(rng.randrange(255) for _ in range(rng.randrange(1, 9))))
    for changed in (filled, noisy):
        assert_sound(changed, read(data))
        assert_sound(renumber(changed, NUMBERS["from 1"]), read(data))
        assert_sound(announce(changed, None), read(data))


@pytest.mark.parametrize(("sampling", "blocks"), KINDS)
def test_a_lost_interval_costs_its_own_rows_alone(sampling: str, blocks: int) -> None:
    data = encode(sampling, restart_marker_blocks=blocks)
    at, whole = markers(data), read(data)
    middle = len(at) // 2
    first = (middle + 1) * blocks  # the MCU behind the marker
    picture = read(data[: at[middle]] + data[at[middle + 1] :] if middle + 1 < len(at) else data[: at[middle]])
    assert picture.damage is not None
    wide = picture.coefficients[-1].shape[1]
    row, behind = first // wide, -(-(first + blocks) // wide)
    assert picture.damage.first_bad_row == row
    down = 2 if sampling == "4:2:0" else 1
    for part, (ours, theirs) in enumerate(zip(picture.coefficients, whole.coefficients, strict=True)):
        lines = 1 if part else down
        np.testing.assert_array_equal(ours[: row * lines], theirs[: row * lines])
        np.testing.assert_array_equal(ours[behind * lines :], theirs[behind * lines :])


@pytest.mark.parametrize("numbers", ["from 1", "all 0", "random"])
@pytest.mark.parametrize(("sampling", "blocks"), KINDS)
def test_a_lost_interval_among_wrong_numbers_is_found(sampling: str, blocks: int, numbers: str) -> None:
    data = renumber(encode(sampling, restart_marker_blocks=blocks), NUMBERS[numbers])
    at, whole = markers(data), read(encode(sampling, restart_marker_blocks=blocks))
    for lost in range(0, len(at) - 1, max(1, len(at) // 5)):
        picture = read(data[: at[lost]] + data[at[lost + 1] :])
        assert_exact_above(picture, whole)


@pytest.mark.parametrize("numbers", ["from 0", "from 1", "from 5", "all 0"])
@pytest.mark.parametrize(("sampling", "blocks"), KINDS)
def test_s2_a_picture_that_is_cut_off_keeps_its_row(sampling: str, blocks: int, numbers: str) -> None:
    data = encode(sampling, restart_marker_blocks=blocks)
    at, whole = markers(data), read(data)
    wide = whole.coefficients[-1].shape[1]
    changed = renumber(data, NUMBERS.get(numbers, range))
    for last in range(3, len(at) - 1, max(1, len(at) // 4)):
        picture = read(changed[: (at[last] + at[last + 1]) // 2])
        assert_exact_above(picture, whole)
        assert picture.damage is not None
        assert (last + 1) * blocks // wide <= picture.damage.first_bad_row <= (last + 2) * blocks // wide


@pytest.mark.parametrize(
    ("sampling", "blocks"), [kind for kind in KINDS if kind != ("4:2:0", 2 * WIDE)]
)  # too few rows
def test_s2_a_picture_that_is_cut_off_and_has_no_dri(sampling: str, blocks: int) -> None:
    data = encode(sampling, restart_marker_blocks=blocks)
    at, whole = markers(data), read(data)
    wide = whole.coefficients[-1].shape[1]
    picture = read(announce(data[: (at[-2] + at[-1]) // 2], None))
    assert_exact_above(picture, whole)
    assert picture.damage is not None
    assert picture.damage.first_bad_row >= (len(at) - 1) * blocks // wide


@pytest.mark.parametrize("blocks", [WIDE, 1])
def test_an_interval_is_lost_where_there_is_no_dri(blocks: int) -> None:
    data = encode(restart_marker_blocks=blocks)
    at, whole = markers(data), read(data)
    picture = read(announce(data[: at[3]] + data[at[4] :], None))
    assert_exact_above(picture, whole)
    assert picture.damage is not None
    assert picture.damage.first_bad_row == 4 * blocks // WIDE


@pytest.mark.parametrize("number", range(8))
@pytest.mark.parametrize("options", [{}, {"optimize": True}, {"restart_marker_blocks": WIDE}])
def test_s11_a_flipped_bit_that_looks_like_a_restart_marker(options: dict[str, Any], number: int) -> None:
    data = encode(**options)
    start, end = scan_span(data)
    whole = read(data)
    for part in (0.2, 0.45, 0.8):
        at = start + int((end - start) * part)
        for bad in (data[:at] + bytes([0xFF, 0xD0 + number]) + data[at + skip :] for skip in (0, 2)):
            picture = read(bad)
            assert_exact_above(picture, whole)


def assert_exact_above(picture: CodedPicture, whole: CodedPicture) -> None:
    assert picture.damage is not None
    down = -(-whole.coefficients[0].shape[0] // picture.damage.rows)
    for part, (ours, theirs) in enumerate(zip(picture.coefficients, whole.coefficients, strict=True)):
        row = picture.damage.first_bad_row * (1 if part else down)
        np.testing.assert_array_equal(ours[:row], theirs[:row])


@pytest.mark.parametrize("size", [2, 30, 300])
def test_bytes_lost_within_an_interval(size: int) -> None:
    """If the data still decode to the right number of MCUs, the damage has no trace; that happens with a few bytes."""
    data = encode(quality=90, restart_marker_blocks=WIDE)
    at, whole = markers(data), read(data)
    detected = 0
    for number in range(1, len(at) - 1):
        middle = (at[number] + at[number + 1]) // 2
        picture = read(data[:middle] + data[min(middle + size, at[number + 1]) :])
        if picture.damage is None:
            assert size < 300
            continue
        detected += 1
        assert picture.damage.first_bad_row == number + 1
        assert_exact_above(picture, whole)
        for ours, theirs in zip(picture.coefficients[1:], whole.coefficients[1:], strict=True):
            np.testing.assert_array_equal(ours[number + 2 :], theirs[number + 2 :])
    assert detected or size < 300


def test_garbage_within_an_interval_displaces_its_end() -> None:
    data = encode("gray", quality=90, restart_marker_blocks=40)
    at, whole = markers(data), read(data)
    garbage = np.random.default_rng(1).integers(0, 255, at[3] - at[2] - 40, np.uint8).tobytes()
    picture = read(data[: at[2] + 40] + garbage + data[at[3] :])
    assert_exact_above(picture, whole)


def test_nothing_is_changed_where_markers_are_right() -> None:
    data = between(encode(restart_marker_blocks=WIDE), lambda: b"\x11\x22")
    assert scan(data).restart_interval == WIDE
    (found,) = entropy.find_scans(data, scan(data))
    assert restarts.correct(data, found, entropy.walk(data, found)) is None
    corrected = restarts.correct(renumber(data, NUMBERS["all 0"]), found, entropy.walk(data, found))
    assert corrected == data
