from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from pictures import SAMPLINGS, encode, oracle

from mjpeg_restore.errors import BadJpeg, MissingExtra, TooLarge
from mjpeg_restore.jpeg import coefficients, fallback, read, reader, reader_name, scan, split
from tests.lacking import needs_native_reader


def test_reader_name(either_reader: str) -> None:
    name = reader_name()
    assert name.endswith(f"({either_reader})")
    assert name.startswith("libjpeg-turbo " if either_reader == "native" else "jpeglib ")


def test_types_and_shapes_of_arrays(either_reader: str) -> None:
    picture = read(encode())
    for plane, table in zip(picture.coefficients, picture.tables, strict=True):
        assert (plane.dtype, plane.shape[2], plane.flags.c_contiguous) == (np.int16, 64, True)
        assert (table.dtype, table.shape) == (np.uint16, (64,))
    assert picture.warnings == ()


def test_several_threads_read_the_same(either_reader: str) -> None:
    pictures = [encode(sampling, (320, 240), seed) for seed in range(3) for sampling in SAMPLINGS]
    pictures += [data[: len(data) // 2] for data in pictures]
    expected = [read(data) for data in pictures]

    def check(turn: int) -> None:
        number = turn % len(pictures)
        picture = read(pictures[number])
        for ours, theirs in zip(picture.coefficients, expected[number].coefficients, strict=True):
            np.testing.assert_array_equal(ours, theirs)
        assert picture.damage == expected[number].damage

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(check, range(400 if either_reader == "native" else 72)))


def test_each_thread_gets_its_own_errors(either_reader: str) -> None:
    bad, good = encode()[:-1000].replace(b"\xff\xc4", b"\xff\xc4\0\3\0\xff\xc4"), encode("gray")

    def check(turn: int) -> int:
        if turn % 2:
            return read(good).width
        with pytest.raises(BadJpeg):
            read(bad)
        return 163

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(check, range(40))) == {163}


@needs_native_reader
@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_native_takes_any_buffer(kind: type) -> None:
    data = encode("gray")
    for ours, theirs in zip(reader.read_native(kind(data)).components, oracle(data)[0], strict=True):
        np.testing.assert_array_equal(ours.coefficients, theirs)


@needs_native_reader
def test_native_errors_are_python_errors() -> None:
    for data in (b"", b"\xff", b"nothing", b"\xff\xd8", encode()[:400]):
        with pytest.raises(ValueError, match=r"\w"):
            reader.read_native(data)
    with pytest.raises(TypeError):
        reader.read_native("text")  # type: ignore[arg-type]


def test_errors_name_the_picture(either_reader: str) -> None:
    data = encode().replace(b"\xff\xc4", b"\xff\xc4\0\3\0\xff\xc4")
    with pytest.raises(BadJpeg, match="at byte 5"):
        coefficients.read(b"12345" + data)


def test_fallback_reports_a_missing_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jpeglib", None)
    with pytest.raises(MissingExtra, match=r"libjpeg-dev\) are, needs jpeglib: pip install jpeglib$"):
        fallback.load()


def test_fallback_survives_many_markers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "native_version", None)
    data = encode("gray")
    many = data[:2] + b"\xff\xfe\0\4hi" * 500 + data[2:]
    np.testing.assert_array_equal(read(many).coefficients[0], read(data).coefficients[0])


BUFFERS = [bytearray, memoryview, lambda data: np.frombuffer(data, np.uint8), lambda data: np.frombuffer(data, np.int8)]


@pytest.mark.parametrize("kind", BUFFERS)
def test_any_buffer_is_a_packet(kind: Callable[[bytes], bytes], either_reader: str) -> None:
    data = b"before" + encode("gray") + b"after"
    assert scan(kind(data)) == scan(data)
    assert list(split(kind(data))) == list(split(data)) == [(6, len(data) - 5)]
    np.testing.assert_array_equal(read(kind(data)).coefficients[0], read(data).coefficients[0])


@pytest.mark.parametrize("function", [read, scan, split])
@pytest.mark.parametrize(
    ("wrong", "kind"),
    [("text", "str"), (None, "NoneType"), (5, "int"), (np.zeros(9), "ndarray of float64")],
    ids=["str", "None", "int", "floats"],
)
def test_other_types_are_refused(function: Callable[[Any], Any], wrong: object, kind: str) -> None:
    with pytest.raises(TypeError, match=f"bytes, bytearray, memoryview or array of uint8, not as {kind}$"):
        list(function(wrong))


def test_memory_that_runs_out_concerns_one_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(data: object) -> reader.Contents:
        raise MemoryError

    monkeypatch.setattr(reader, "native_version", None)
    monkeypatch.setattr(fallback, "read", full)
    with pytest.raises(TooLarge, match="not enough memory for the coefficients of a 163x117 picture"):
        read(encode())


def test_fallback_raises_memory_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: object) -> None:
        raise MemoryError

    monkeypatch.setattr(fallback.load(), "read_dct", full)
    with pytest.raises(MemoryError):
        fallback.read(encode())


def test_fallback_leaves_standard_output_to_others(capfd: pytest.CaptureFixture[str]) -> None:
    stdout = sys.stdout
    seen: list[bool] = []

    def watch() -> None:
        while not done.is_set():
            seen.append(sys.stdout is stdout)

    done = threading.Event()
    watcher = threading.Thread(target=watch)
    watcher.start()
    for _ in range(5):
        with pytest.raises(ValueError, match="cannot read"):
            fallback.read(b"\xff\xd8\xff\xdb nothing")
        fallback.read(encode("gray"))
    done.set()
    watcher.join()
    assert all(seen)
    assert capfd.readouterr().out == ""
