"""S2, S9, S11: damage of every kind is found, all rows above it are exact, and sound pictures are not damaged."""

from __future__ import annotations

import io
import random
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pictures import SAMPLINGS, encode, encode_pixels, encode_scans, scan_span, scene, segment
from PIL import Image, ImageDraw

from mjpeg_restore.frames import CodedPicture
from mjpeg_restore.jpeg import entropy, read, reader, scan, split
from tests.lacking import (
    DATA,
    RECORDINGS,
    needs_data,
    needs_native_arithmetic,
    needs_native_reader,
    needs_native_walk,
    needs_recordings,
)

pytestmark = needs_native_walk

PICTURES: dict[str, dict[str, Any]] = {
    "plain": {"sampling": "4:2:0", "size": (320, 240), "quality": 75},
    "4:2:2 optimised": {"sampling": "4:2:2", "size": (320, 240), "quality": 60, "optimize": True},
    "4:4:4 fine": {"sampling": "4:4:4", "size": (163, 117), "quality": 95},
    "coarse optimised": {"sampling": "4:2:0", "size": (320, 240), "quality": 20, "optimize": True},
    "gray": {"sampling": "gray", "size": (163, 117), "quality": 85},
    "gray optimised": {"sampling": "gray", "size": (320, 240), "quality": 40, "optimize": True},
}
MARGIN = 3
"""Rows that may be given up above the first wrong one, where zeros replace data."""


@pytest.fixture(params=PICTURES)
def data(request: pytest.FixtureRequest) -> bytes:
    return encode(**PICTURES[request.param])


def first_wrong_row(picture: CodedPicture, whole: CodedPicture) -> int | None:
    """The topmost row of MCUs in which a coefficient differs; None where none does."""
    rows = whole.coefficients[-1].shape[0]
    wrong = [
        int(np.flatnonzero((ours != theirs).any(axis=(1, 2)))[0]) * rows // ours.shape[0]
        for ours, theirs in zip(picture.coefficients, whole.coefficients, strict=True)
        if (ours != theirs).any()
    ]
    return min(wrong, default=None)


def places(data: bytes, count: int, room: int = 300) -> list[int]:
    """Random offsets in the scan, the same for each run."""
    start, end = scan_span(data)
    rng = random.Random(len(data))
    return sorted(rng.randrange(start + 20, end - room) for _ in range(count))


def leaves_no_trace(data: bytes) -> bool:
    """Whether a wrong scan looks sound: it holds as many MCUs as the picture, and nothing follows them."""
    (found,) = entropy.find_scans(data, scan(data))
    (walk,) = entropy.walk(data, found)
    picture = reader.read_native(data)
    suspicious = [warning for warning in picture.warnings if warning.name != "JPEG_EOF"]
    return not suspicious or (walk.mcus >= found.mcus and walk.stop - int(walk.starts[found.mcus]) < 16)


# ---- cut off ----


@pytest.mark.parametrize("end", [b"", b"\xff\xd9"])
def test_s2_a_picture_that_is_cut_off_keeps_its_exact_row(data: bytes, end: bytes, either_reader: str) -> None:
    whole, (_, stop) = read(data), scan_span(data)
    for at in places(data, 12):
        picture = read(data[:at] + end)
        assert picture.damage is not None
        wrong = first_wrong_row(picture, whole)
        assert wrong is not None
        (walk,) = entropy.walk(data[:at], entropy.find_scans(data[:at], scan(data[:at]))[0])
        if end and walk.end == "clean":  # one in twenty lies between two MCUs, as where bytes are lost
            assert picture.damage.first_bad_row <= wrong
        else:
            assert picture.damage.first_bad_row == wrong
        assert at < stop


@needs_native_reader
@pytest.mark.parametrize("end", [b"", b"\xff\xd9", bytes(300), bytes(300) + b"\xff\xd9"])
def test_p2_an_arithmetic_picture_that_is_cut_off(end: bytes) -> None:
    """The decoder reads zeros behind the end; if they decode to flat blocks, the cut leaves no trace."""
    detected = 0
    for quality in (30, 60, 90):
        data = encode("4:2:0", (320, 240), quality=quality, flags=["+ARITH_CODE"])
        whole, (start, stop) = read(data), scan_span(data)
        assert (whole.damage, whole.warnings) == (None, ())
        for part in (0.1, 0.3, 0.5, 0.7, 0.9):
            picture = read(data[: start + int((stop - start) * part)] + end)
            wrong = first_wrong_row(picture, whole)
            assert wrong is not None
            if picture.damage is not None:
                detected += 1
                # with nothing but EOI, bytes may be missing anywhere
                assert picture.damage.first_bad_row in ((0,) if end == b"\xff\xd9" else (wrong, wrong - 1))
    assert detected >= 13


@needs_native_arithmetic
def test_p2_text_in_place_of_an_end_takes_none_of_the_arithmetic_code() -> None:
    """Two bytes in five are printable, as text is."""
    for seed in range(20):
        data = encode("4:2:0", (160, 120), seed, flags=["+ARITH_CODE"])
        whole = read(data)
        for head in HEADS:
            for text in (head, head.lstrip()):
                picture = read(data[:-2] + text)
                assert picture.damage is None
                assert first_wrong_row(picture, whole) is None


# ---- zeros ----


@needs_native_reader
@pytest.mark.parametrize("size", [24, 100, 1000])
def test_zeros_in_the_place_of_a_part(data: bytes, size: int) -> None:
    whole = read(data)
    for at in places(data, 8, size + 40):
        assert_damage_found(data[:at] + bytes(size) + data[at + size :], whole, MARGIN)


@needs_native_reader
@pytest.mark.parametrize("end", [b"", b"\xff\xd9"])
@pytest.mark.parametrize("size", [None, 200, 50_000])
def test_zeros_to_the_end(data: bytes, size: int | None, end: bytes) -> None:
    """In some pictures zero bits are flat blocks; then zeros from the beginning of a row on may be a flat area."""
    whole, (_, stop) = read(data), scan_span(data)
    for at in places(data, 8, 400):
        bad = data[:at] + bytes(stop - at if size is None else size) + end
        (found,) = entropy.find_scans(bad, scan(bad))
        (walk,) = entropy.walk(bad, found)
        column = int(np.searchsorted(walk.starts, at)) % found.wide
        flat = all(found.tables[ac][16:17] == b"\0" for ac in found.layout[1::2])
        if not flat or column > 4:
            assert_damage_found(bad, whole, MARGIN)


def assert_damage_found(bad: bytes, whole: CodedPicture, margin: int | None = None) -> None:
    """The damage begins at the first wrong row, or at most `margin` rows above it."""
    picture = read(bad)
    wrong = first_wrong_row(picture, whole)
    if wrong is None:
        return
    assert picture.damage is not None
    assert picture.damage.first_bad_row <= wrong
    if margin is not None:
        assert picture.damage.first_bad_row >= wrong - margin


# ---- bytes that are lost, doubled, foreign, others ----


def lost(data: bytes, at: int, size: int, rng: random.Random) -> bytes:
    return data[:at] + data[at + size :]


def doubled(data: bytes, at: int, size: int, rng: random.Random) -> bytes:
    return data[: at + size] + data[at:]


def inserted(data: bytes, at: int, size: int, rng: random.Random) -> bytes:
    return data[:at] + noise(size, rng) + data[at:]


def overwritten(data: bytes, at: int, size: int, rng: random.Random) -> bytes:
    return data[:at] + noise(size, rng) + data[at + size :]


def replaced(data: bytes, at: int, size: int, rng: random.Random) -> bytes:
    start, end = scan_span(data)
    other = rng.randrange(start, end - size)
    return data[:at] + data[other : other + size] + data[at + size :]


def noise(size: int, rng: random.Random) -> bytes:
    return bytes(rng.randrange(255) for _ in range(size))


GARBAGE = noise(3000, random.Random(1))


@needs_native_reader
@pytest.mark.parametrize("size", [30, 200, 500])
@pytest.mark.parametrize("kind", [lost, doubled, inserted, overwritten, replaced])
def test_everything_above_the_row_is_exact(
    data: bytes, kind: Callable[[bytes, int, int, random.Random], bytes], size: int
) -> None:
    """If the data decode to the right number of MCUs by chance, the damage leaves no trace."""
    whole, rng = read(data), random.Random(size)
    detected = 0
    for at in places(data, 6, size + 40):
        bad = kind(data, at, size, rng)
        picture = read(bad)
        wrong = first_wrong_row(picture, whole)
        if picture.damage is None:
            assert wrong is None or leaves_no_trace(bad)
            continue
        detected += 1
        assert wrong is None or picture.damage.first_bad_row <= wrong
    assert detected


@needs_native_reader
@pytest.mark.parametrize("restarts", [0, 30])
@pytest.mark.parametrize("kind", [lost, doubled])
def test_everything_above_the_row_is_exact_with_a_scan_for_each_component(
    kind: Callable[[bytes, int, int, random.Random], bytes], restarts: int
) -> None:
    data = encode_scans(quality=75, restart_marker_blocks=restarts)
    whole, rng = read(data), random.Random(restarts)
    scans = entropy.find_scans(data, scan(data))
    assert whole.damage is None
    for one in scans:
        for at in (rng.randrange(one.start + 20, one.stop - 340) for _ in range(8)):
            picture = read(kind(data, at, 300, rng))
            wrong = first_wrong_row(picture, whole)
            assert wrong is not None
            assert picture.damage is not None, at
            assert picture.damage.first_bad_row <= wrong, at


@needs_native_reader
@pytest.mark.parametrize("end", [b"", b"\xff\xd9"])
def test_s2_a_picture_that_is_cut_off_in_its_last_scan_keeps_its_exact_row(end: bytes) -> None:
    data = encode_scans()
    whole, last = read(data), entropy.find_scans(data, scan(data))[-1]
    for part in (0.2, 0.5, 0.8):
        picture = read(data[: last.start + int((last.stop - last.start) * part)] + end)
        assert picture.damage is not None
        assert picture.damage.first_bad_row == first_wrong_row(picture, whole)


HEADS = [
    b"\r\n--boundary\r\nContent-Type: image/jpeg\r\nContent-Length: 12345\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace;boundary=x\r\n\r\n",
]


@needs_native_reader
@pytest.mark.parametrize("head", HEADS)
def test_text_is_found_where_its_first_line_begins(data: bytes, head: bytes) -> None:
    whole = read(data)
    for at in places(data, 8):
        assert_damage_found(data[:at] + head + data[at:], whole, 2)
        assert_damage_found(data[:at] + head + data[at + len(head) :], whole, 2)


@needs_native_reader
def test_zeros_where_flat_blocks_are_zeros_are_counted() -> None:
    """Where zero bits are flat blocks, a run of zeros makes too many MCUs, or garbage follows it."""
    rng = random.Random(7)
    for seed in range(12):
        data = encode("gray", (320, 240), seed, quality=20, optimize=True)
        start, end = scan_span(data)
        at = rng.randrange(start + 50, end - 1100)
        size = rng.randrange(100, 1000)
        assert_damage_found(data[:at] + bytes(size) + data[at + size :], read(data), MARGIN)


# ---- sound pictures ----


def drawn() -> dict[str, NDArray[np.uint8]]:
    """Pictures that are hard to tell from damage by borders, counts and zeros: uint8 `[117, 163, 3]`."""
    high, wide = 117, 163
    y, x = np.mgrid[:high, :wide]
    rng = np.random.default_rng(4)
    text = Image.new("RGB", (wide, high), "white")
    for line in range(0, high, 11):
        ImageDraw.Draw(text).text((2, line), f"The quick brown fox {line} jumps", fill="black")
    gray = {
        "gradient": x * 255 // wide,
        "steep gradient": y * 255 // high,
        "stripes": x // 3 % 2 * 255,
        "horizon": (y > 60) * 255,
        "horizon between blocks": (y >= 64) * 200,
        "diagonal": (x + y > 120) * 255,
        "checkerboard": (x + y) % 2 * 255,
        "checkerboard of blocks": (x // 8 + y // 8) % 2 * 255,
        "halftone": (rng.random((high, wide)) < x / wide) * 255,
        "black": 0 * x,
        "white": 0 * x + 255,
        "flat": 0 * x + 77,
    }
    bars = scene(wide, high)
    bars[:24] = bars[96:] = 0
    colour = {"noise": rng.integers(0, 256, (high, wide, 3)), "text": np.asarray(text), "bars": bars}
    return {name: np.repeat(plane[..., None], 3, 2).astype(np.uint8) for name, plane in gray.items()} | {
        name: pixels.astype(np.uint8) for name, pixels in colour.items()
    }


DRAWN = drawn()


def coded(pixels: NDArray[np.uint8], sampling: str, **options: Any) -> bytes:
    image, buffer = Image.fromarray(pixels), io.BytesIO()
    if sampling == "gray":
        image = image.convert("L")
    else:
        options["subsampling"] = sampling
    image.save(buffer, "JPEG", **options)
    return buffer.getvalue()


def surroundings(data: bytes) -> dict[str, bytes]:
    """The picture as cameras, buffers and streams deliver it."""
    body = data[:-2]
    return {
        "as it is": data,
        "no end marker": body,
        "zeros": body + bytes(3000),
        "zeros, end marker": body + bytes(3000) + data[-2:],
        "ones": body + b"\xff" * 3000,
        "ones, end marker": body + b"\xff" * 3000 + data[-2:],
        "garbage behind": data + GARBAGE,
        "boundary": body + HEADS[0],
        "line": body + b"\r\n",
    }


@pytest.mark.parametrize("restarts", [0, 7])
@pytest.mark.parametrize("optimize", [False, True])
@pytest.mark.parametrize("sampling", ["gray", "4:4:4", "4:2:2", "4:2:0"])
@pytest.mark.parametrize("name", DRAWN)
def test_sound_pictures_are_not_damaged(name: str, sampling: str, optimize: bool, restarts: int) -> None:
    for quality in (1, 20, 50, 80, 95, 100):
        data = coded(DRAWN[name], sampling, quality=quality, optimize=optimize, restart_marker_blocks=restarts)
        for where, packet in surroundings(data).items():
            assert read(packet).damage is None, (quality, where)


@pytest.mark.parametrize("restarts", [0, 7])
def test_sound_pictures_with_a_scan_for_each_component_are_not_damaged(restarts: int, either_reader: str) -> None:
    for quality in (1, 20, 50, 95):
        data = encode_scans(quality=quality, restart_marker_blocks=restarts)
        for where, packet in surroundings(data).items():
            assert read(packet).damage is None, (quality, where)
        for one in entropy.find_scans(data, scan(data)):
            for extra in (bytes(8), b"\xff" * 8, noise(3, random.Random(1))):
                assert read(data[: one.stop] + extra + data[one.stop :]).damage is None, (quality, extra)


@pytest.mark.parametrize("sampling", ["gray", "4:2:2", "4:2:0"])
@pytest.mark.parametrize("name", DRAWN)
def test_sound_progressive_pictures_are_not_damaged(name: str, sampling: str) -> None:
    for quality in (1, 20, 80, 100):
        data = coded(DRAWN[name], sampling, quality=quality, progressive=True)
        for where, packet in surroundings(data).items():
            assert read(packet).damage is None, (quality, where)


@pytest.mark.parametrize("restarts", [0, 20])
def test_padding_behind_any_scan_of_a_progressive_picture_is_no_damage(restarts: int) -> None:
    data = encode(quality=80, progressive=True, restart_marker_blocks=restarts)
    for one in entropy.find_scans(data, scan(data)):
        for extra in (bytes(3), bytes(8), bytes(40), b"\xff" * 8):
            assert read(data[: one.stop] + extra + data[one.stop :]).damage is None, (one.offset, extra)


@needs_native_reader
@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("name", DRAWN)
def test_p2_sound_arithmetic_pictures_are_not_damaged(name: str, progressive: bool) -> None:
    flags = ["+ARITH_CODE", *(["+PROGRESSIVE_MODE"] if progressive else [])]
    for quality in (1, 20, 80, 100):
        data = encode_pixels(DRAWN[name], "4:2:0", quality=quality, flags=flags)
        for where in ("as it is", "no end marker", "zeros", "zeros, end marker", "garbage behind"):
            assert read(surroundings(data)[where]).damage is None, (quality, where)


@pytest.mark.parametrize("extra", [1, 3, 8])
@pytest.mark.parametrize("sampling", ["gray", "4:2:2", "4:2:0"])
@pytest.mark.parametrize("name", DRAWN)
def test_s9_a_few_bytes_in_front_of_restart_markers(name: str, sampling: str, extra: int) -> None:
    rng = random.Random(extra)
    for quality in (20, 90):
        data = coded(DRAWN[name], sampling, quality=quality, restart_marker_blocks=7)
        start, end = scan_span(data)
        noisy = re.sub(rb"\xff[\xd0-\xd7]", lambda found: noise(extra, rng) + found[0], data[start:end])
        assert read(data[:start] + noisy + data[end:]).damage is None


@pytest.mark.parametrize("sampling", SAMPLINGS)
@pytest.mark.parametrize("size", [(1, 1), (8, 8), (9, 40), (250, 9), (163, 117)])
def test_sound_pictures_of_all_sizes(sampling: str, size: tuple[int, int], either_reader: str) -> None:
    data = encode(sampling, size)
    for packet in (data, data[:-2], data + bytes(100), data[:-2] + b"\xff" * 9 + data[-2:]):
        assert read(packet).damage is None


@needs_native_reader
@pytest.mark.parametrize("flags", [[], ["+OPTIMIZE_CODING"], ["+PROGRESSIVE_MODE"], ["+ARITH_CODE"]])
def test_sound_pictures_of_other_encoders(flags: list[str]) -> None:
    for sampling in ("4:2:0", "4:2:2", "4:1:1", "4:4:0"):
        for quality in (5, 50, 95):
            assert read(encode(sampling, quality=quality, flags=flags)).damage is None


@needs_native_reader
def test_comments_and_thumbnails_are_no_foreign_bytes() -> None:
    data = encode()
    start, _ = scan_span(data)
    sos = data.rindex(b"\xff\xda", 0, start)
    for body in (bytes(300), HEADS[0] * 3):
        assert read(data[:sos] + segment(0xFE, body) + data[sos:]).damage is None


@needs_recordings
def test_real_recordings_are_not_damaged() -> None:
    files = [*RECORDINGS.glob("*.mj*"), *sorted((RECORDINGS / "traffic-day-frames").glob("*.jpg"))[:20]]
    for path in files:
        content = path.read_bytes()
        for start, end in list(split(content))[:20]:
            assert read(content[start:end]).damage is None, path


@needs_native_reader
@needs_data("eval/live1")
def test_pictures_of_photos_are_not_damaged() -> None:
    photos = sorted((DATA / "eval" / "live1").glob("*"))[:6]
    for path in photos:
        pixels = np.asarray(Image.open(path).convert("RGB"))
        for quality in (5, 40, 90):
            for optimize in (False, True):
                data = coded(pixels, "4:2:0", quality=quality, optimize=optimize)
                for where, packet in surroundings(data).items():
                    assert read(packet).damage is None, (path, quality, where)
