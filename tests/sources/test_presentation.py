"""Field order, rotation and sample aspect ratio of containers."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import pytest

from mjpeg_restore.cli.inspect import described
from mjpeg_restore.frames import FieldLayout, FieldOrder
from mjpeg_restore.inspection import survey
from mjpeg_restore.sources import open_source
from mjpeg_restore.sources.base import SourceInfo
from tests.sources.clips import make_jpeg, mux_packet

PROGRESSIVE, TT, BB, TB, BT = 1, 2, 3, 4, 5
ORDERS: dict[int, tuple[FieldOrder, FieldOrder]] = {
    TT: ("top", "top"),
    BB: ("bottom", "bottom"),
    TB: ("top", "bottom"),
    BT: ("bottom", "top"),
}


def record(path: Path, order: int = 0, degrees: float = 0, aspect: Fraction = Fraction(0), flip: str = "") -> Path:
    """A clip of FFmpeg's own encoder: the muxer writes matrices and field orders only for its streams."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuvj420p"
        stream.codec_context.field_order = order
        stream.codec_context.sample_aspect_ratio = aspect
        if degrees or flip:
            stream.set_display_rotation(degrees, hflip=flip == "hflip", vflip=flip == "vflip")
        for _ in range(2):
            container.mux(stream.encode(av.VideoFrame(64, 48, "yuvj420p")))
        container.mux(stream.encode(None))
    return path


def info_of(path: Path) -> SourceInfo:
    with open_source(path) as source:
        return source.info


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("suffix", ["mov", "mkv"])
def test_s6_the_order_of_fields_is_the_containers(tmp_path: Path, suffix: str, order: int) -> None:
    path = record(tmp_path / f"clip.{suffix}", order)
    assert info_of(path).fields == FieldLayout(*ORDERS[order])
    with open_source(path) as source:
        found = survey(source)
    assert found.as_dict()["field_order"] == dict(zip(("stored", "shown"), ORDERS[order], strict=True))
    assert "  fields       {} field stored first, {} field shown first".format(*ORDERS[order]) in described(found)


@pytest.mark.parametrize("fiel", [(2, 1), (2, 6), (2, 9), (2, 14)])
def test_s6_the_numbers_of_quicktime(tmp_path: Path, fiel: tuple[int, int]) -> None:
    path = record(tmp_path / "clip.mov", TT)
    path.write_bytes(path.read_bytes().replace(b"fiel\x02\x01", b"fiel" + bytes(fiel)))
    order = {1: TT, 6: BB, 9: TB, 14: BT}[fiel[1]]
    assert info_of(path).fields == FieldLayout(*ORDERS[order])


@pytest.mark.parametrize(("suffix", "order"), [("mov", PROGRESSIVE), ("mkv", PROGRESSIVE), ("avi", TT), ("mp4", 0)])
def test_s6_there_is_no_order_if_progressive_or_not_stated(tmp_path: Path, suffix: str, order: int) -> None:
    assert info_of(record(tmp_path / f"clip.{suffix}", order)).fields is None


@pytest.mark.parametrize(("degrees", "turned"), [(0, 0), (90, 90), (180, 180), (270, 270), (-90, 270), (-180, 180)])
@pytest.mark.parametrize("suffix", ["mov", "mp4", "mkv"])
def test_the_display_matrix_is_a_rotation(tmp_path: Path, suffix: str, degrees: int, turned: int) -> None:
    path = record(tmp_path / f"clip.{suffix}", degrees=degrees)
    with av.open(str(path)) as container:
        assert next(container.decode(video=0)).rotation % 360 == turned  # FFmpeg counts the same way
    with open_source(path) as source:
        found = survey(source)
        assert source.info.rotation == turned
        assert (source.info.width, source.info.height) == (64, 48)
        assert not source.remarks
    assert found.as_dict()["rotation"] == turned
    assert (f"  rotation     {turned} degrees anticlockwise to stand upright" in described(found)) is bool(turned)


def test_a_rotation_is_found_even_if_a_picture_is_damaged(tmp_path: Path) -> None:
    path = record(tmp_path / "clip.mov", degrees=90)
    data = path.read_bytes()
    start = data.index(b"\xff\xd8\xff")
    path.write_bytes(data[:start] + bytes(64) + data[start + 64 :])
    assert info_of(path).rotation == 90


@pytest.mark.parametrize(
    ("degrees", "flip", "says"),
    [(45, "", "turned by 45 degrees"), (0, "hflip", "mirrored"), (90, "vflip", "mirrored")],
)
def test_other_matrices_are_reported(tmp_path: Path, degrees: int, flip: str, says: str) -> None:
    with open_source(record(tmp_path / "clip.mkv", degrees=degrees, flip=flip)) as source:
        assert len(list(source)) == 2
        assert source.info.rotation == 0
        assert len(source.remarks) == 1
        assert says in source.remarks[0]


def with_density(data: bytes, across: int, down: int, unit: int) -> bytes:
    """Change the density of a JFIF picture; unit 1 is dots per inch, 0 is an aspect ratio."""
    place = data.index(b"JFIF\0") + 7
    return data[:place] + bytes([unit]) + across.to_bytes(2) + down.to_bytes(2) + data[place + 5 :]


@pytest.mark.parametrize(
    ("across", "down", "unit", "aspect"),
    [
        (72, 1, 1, 1),
        (1, 72, 1, 1),
        (96, 1, 1, 1),
        (300, 1, 0, 1),
        (1, 1000, 2, 1),
        (72, 72, 1, 1),
        (0, 0, 0, 1),
        (12, 11, 0, Fraction(12, 11)),
        (40, 33, 0, Fraction(40, 33)),
        (1, 2, 0, Fraction(1, 2)),
        (32, 11, 0, Fraction(32, 11)),
    ],
)
@pytest.mark.parametrize("suffix", ["avi", "nut"])
def test_impossible_densities_are_ignored(
    tmp_path: Path, suffix: str, across: int, down: int, unit: int, aspect: Fraction
) -> None:
    path = tmp_path / f"clip.{suffix}"
    with av.open(str(path), "w") as container:
        stream = container.add_mux_stream("mjpeg", rate=25, width=64, height=48)
        for number in range(2):
            data = with_density(make_jpeg(number), across, down, unit)
            mux_packet(container, stream, data, number, Fraction(1, 25))
    assert info_of(path).sample_aspect == aspect


def test_the_containers_own_aspect_takes_precedence(tmp_path: Path) -> None:
    path = record(tmp_path / "clip.mov", aspect=Fraction(16, 11))
    data = path.read_bytes()
    assert b"JFIF\0\x01\x02\x00\x00\x10\x00\x0b" in data
    for density in (b"\x01\x00\x48\x00\x01", b"\x00\x00\x04\x00\x03", b"\x01\x00\x48\x00\x48"):
        path.write_bytes(data.replace(b"JFIF\0\x01\x02\x00\x00\x10\x00\x0b", b"JFIF\0\x01\x02" + density))
        assert info_of(path).sample_aspect == Fraction(16, 11)


def test_an_impossible_aspect_of_the_container_is_ignored(tmp_path: Path) -> None:
    assert info_of(record(tmp_path / "clip.mov", aspect=Fraction(72))).sample_aspect == 1
