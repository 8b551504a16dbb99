"""Malformed text and numbers in containers."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import pytest

from mjpeg_restore.cli.inspect import described
from mjpeg_restore.cli.wording import left_out
from mjpeg_restore.errors import NotMjpeg
from mjpeg_restore.inspection import survey
from mjpeg_restore.sources import open_source
from tests.jpeg.pictures import patch_frame
from tests.sources.clips import add_sound, make_jpeg, mux_packet, mux_sound
from tests.sources.matroska import loud, real, write_mkv
from tests.sources.matroska import number as element_number

RATE = Fraction(1, 25)
CONTAINERS = ("avi", "mkv", "mov", "mp4", "nut")


def record(path: Path, height: int = 48, *, flat: bool = False) -> bytes:
    """A clip with a title and a language in every place for them."""
    with av.open(str(path), "w") as container:
        container.metadata.update(title="Cafe", comment="Cafe")
        video = container.add_mux_stream("mjpeg", rate=25, width=64, height=height)
        video.time_base = RATE
        sound = add_sound(container, "aac" if path.suffix == ".mp4" else "pcm_s16le")
        for stream in (video, sound):
            stream.metadata.update(title="Cafe", language="fra")
        for number in range(4):
            data = make_jpeg(number)
            mux_packet(container, video, patch_frame(data, 1, b"\0\0") if flat else data, number, RATE)
            mux_sound(container, sound, number)
        container.mux(sound.encode(None))
    return path.read_bytes()


@pytest.mark.parametrize(("right", "wrong"), [(b"Cafe", b"Caf\xe9"), (b"fra", b"\xff\xfea")], ids=["title", "language"])
@pytest.mark.parametrize("suffix", CONTAINERS)
def test_invalid_utf_8_is_replaced(tmp_path: Path, suffix: str, right: bytes, wrong: bytes) -> None:
    data = record(tmp_path / f"clip.{suffix}")
    with open_source(data.replace(right, wrong)) as source:
        assert len(list(source)) == 4
        if right == b"Cafe":
            assert source.info.metadata["title"] == "Caf\ufffd"
        words = [*source.sound[0].metadata.values(), *(track.title for track in source.info.tracks)]
    assert not any("\udc80" <= character <= "\udcff" for word in words for character in word)  # no surrogates


@pytest.mark.parametrize("suffix", ["mkv", "mov"])
def test_control_characters_are_replaced(tmp_path: Path, suffix: str) -> None:
    data = record(tmp_path / f"clip.{suffix}").replace(b"Cafe", b"\x1b[3m").replace(b"fra", b"f\nr")
    with open_source(data) as source:
        words = [word for track in source.info.tracks for word in (track.title, track.language)]
    assert "?[3m" in words
    assert all(word.isprintable() for word in words)


@pytest.mark.parametrize(
    ("suffix", "right", "wrong"),
    [("avi", b"MJPG", b"MJP\xe9"), ("mov", b"jpeg\0\0\0\0", b"mp\x7f\xff\0\0\0\0")],
)
def test_a_four_character_code_of_any_bytes(tmp_path: Path, suffix: str, right: bytes, wrong: bytes) -> None:
    data = record(tmp_path / f"clip.{suffix}")
    assert right in data
    with pytest.raises(NotMjpeg, match="the buffer holds an unknown codec, not Motion-JPEG"):
        open_source(data.replace(right, wrong))


def test_audio_of_an_unknown_codec_is_reported_and_not_chosen(tmp_path: Path) -> None:
    data = record(tmp_path / "clip.mov").replace(b"sowt", b"so\xe9\xff")
    with open_source(data) as source:
        assert len(list(source)) == 4
        assert not source.sound
        remarks = [*left_out(source.info.tracks, sound=True)]
        assert remarks == ["sound track 1 of 1 is left out (an unknown codec, fra, Cafe): FFmpeg cannot copy it"]


@pytest.mark.parametrize(("rate", "channels"), [(1, 1), (999, 1), (2_000_000_000, 1), (8000, 33), (8000, 65_535)])
def test_audio_with_absurd_numbers_is_reported_and_not_chosen(tmp_path: Path, rate: int, channels: int) -> None:
    blocks = [(1, 40 * number, make_jpeg(number)) for number in range(4)] + [(2, 0, loud(RATE))]
    path = write_mkv(tmp_path / "a.mkv", blocks, sound=True)
    data = path.read_bytes().replace(real(0xB5, 8000), real(0xB5, rate))
    with open_source(data.replace(element_number(0x9F, 1), element_number(0x9F, channels))) as source:
        assert len(list(source)) == 4
        assert not source.sound
        remarks = [*left_out(source.info.tracks, sound=True)]
        assert remarks == ["sound track 1 of 1 is left out (pcm_s16le, eng): FFmpeg cannot copy it"]


@pytest.mark.parametrize("suffix", ["mkv", "nut"])
def test_an_impossible_height_is_ignored(tmp_path: Path, suffix: str) -> None:
    with open_source(record(tmp_path / f"clip.{suffix}", 70_000, flat=True)) as source:
        assert source.info.height is None
        assert len(list(source)) == 4
    with open_source(record(tmp_path / f"clip.{suffix}", 70_000)) as source:
        assert described(survey(source))[1] == "  size         64x48"
