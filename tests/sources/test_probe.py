from __future__ import annotations

import io

import numpy as np
import pytest

from mjpeg_restore.sources import probe
from mjpeg_restore.sources.probe import Content, detect_content, read_head
from tests.sources.clips import make_jpeg

JPEG = make_jpeg(0)


@pytest.mark.parametrize(
    ("head", "content"),
    [
        (JPEG, Content.JPEG),
        (b"HTTP/1.1 200 OK\r\n\r\n--b\r\n\r\n" + JPEG, Content.JPEG_LATER),
        (b"\x12\x34" * 5000 + JPEG, Content.JPEG_LATER),  # S4: cut out of a longer stream
        (b"RIFF\x00\x00\x00\x00AVI LIST", Content.CONTAINER),
        (b"\x00\x00\x00\x18ftypmp42" + JPEG, Content.CONTAINER),
        (b"\x1a\x45\xdf\xa3" + JPEG, Content.CONTAINER),
        (b"\x00\x00\x00\x18ftypheic", Content.FOREIGN),
        (make_jpeg(0, format="PNG"), Content.FOREIGN),
        (make_jpeg(0, format="GIF"), Content.FOREIGN),
        (make_jpeg(0, format="BMP"), Content.FOREIGN),
        (make_jpeg(0, format="TIFF"), Content.FOREIGN),
        (make_jpeg(0, format="WEBP"), Content.FOREIGN),
        ("Überwachung\n".encode(), Content.TEXT),
        (b"\xff\xd8 is no picture, \xff\xd8\xff\xe0 neither\x00", Content.UNKNOWN),
        (np.random.default_rng(1).bytes(1 << 20), Content.UNKNOWN),
    ],
)
def test_content(head: bytes, content: Content) -> None:
    assert detect_content(head) is content


def test_text_cut_within_a_character_is_text() -> None:
    assert detect_content(("x" + "ü" * 4000).encode()) is Content.TEXT


def test_no_more_is_read_than_needed() -> None:
    assert len(read_head(io.BytesIO(JPEG + bytes(1 << 20)))) == 1 << 16
    assert len(read_head(io.BytesIO(bytes(2 << 20)))) == 1 << 20


class Drops:
    """A stream of which each read returns one byte."""

    def __init__(self, data: bytes) -> None:
        self.file = io.BytesIO(data)

    def read(self, size: int = -1, /) -> bytes:
        return self.file.read(min(size, 1))


def test_bytes_that_arrive_one_by_one_are_searched_a_few_times(monkeypatch: pytest.MonkeyPatch) -> None:
    searched: list[int] = []

    def detect(head: bytes) -> Content:
        searched.append(len(head))
        return detect_content(head)

    monkeypatch.setattr(probe, "detect_content", detect)
    text = b"no picture yet\n" * 4000
    assert read_head(Drops(text)) == text
    assert len(searched) < 60
    searched.clear()
    found = read_head(Drops(text[:1000] + JPEG + bytes(5000)))
    assert 1000 < len(found) < 1200
    assert detect_content(found) is Content.JPEG_LATER
