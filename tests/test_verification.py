"""What `--verify` counts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from mjpeg_restore.frames import CodedPicture, Picture, Sampling
from mjpeg_restore.jpeg import read, scan
from mjpeg_restore.jpeg.dct import to_coefficients
from mjpeg_restore.jpeg.segments import APP0, COM
from mjpeg_restore.pipeline import PipelineSettings, run
from mjpeg_restore.restorer import Restorer
from mjpeg_restore.testing import Collect, ListSource
from mjpeg_restore.verification import Verification, verify
from tests.jpeg.pictures import SAMPLINGS, encode, insert, segment, without

DECODE = Restorer("decode", "onnxruntime", threads=1)
STREAM = Restorer("stream", "onnxruntime", threads=1)


def compared(sampling: str, across: int, down: int) -> int:
    """Coefficients in the whole blocks of a picture of 163x117."""
    chroma = 0 if sampling == "gray" else 2 * (-(-163 // across) // 8) * (-(-117 // down) // 8)
    return 64 * (20 * 14 + chroma)


@pytest.mark.parametrize("restorer", [DECODE, STREAM], ids=["decode", "stream"])
@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_every_sampling_agrees(sampling: str, restorer: Restorer) -> None:
    coded = read(encode(sampling))
    found = verify(restorer.restore(coded), coded)
    across, down = coded.sampling.value or (1, 1)
    assert found.coefficients == compared(sampling, across, down)
    assert found.inside > 0.98 * found.coefficients
    assert found.outside == 0


@pytest.mark.parametrize(
    "words", [b"MTSJ", b"Intel(R) JPEG Library, version 1.51"], ids=["swapped chroma", "bottom up"]
)
def test_c4_planes_are_compared_with_their_own_coefficients(words: bytes) -> None:
    data = insert(encode(size=(160, 128)), segment(COM, words))
    coded = read(data, header=scan(data, codec_tag="MJPG"))
    assert coded.colour.swapped_chroma or coded.colour.bottom_up
    found = verify(DECODE.restore(coded), coded)
    assert found.inside > 0.99 * found.coefficients
    assert found.outside == 0


def test_a_picture_that_left_its_cells_is_found_out() -> None:
    coded = read(encode("gray", (160, 128), quality=90))
    picture = DECODE.restore(coded)
    brighter = replace(picture, planes=(picture.planes[0] // 2 + 60,))
    found = verify(brighter, coded)
    assert found.outside > 0.1 * found.coefficients


def as_picture(luma: NDArray[np.int_]) -> Picture:
    return Picture((luma.astype(np.uint8),), Sampling.GRAY)


def test_rounding_is_told_from_leaving_the_cell() -> None:
    luma = np.arange(64).reshape(8, 8) * 3 + 20
    quantised = np.rint(to_coefficients(luma.astype(np.uint8))).astype(np.int16)
    coded = CodedPicture(8, 8, Sampling.GRAY, (quantised,), (np.ones(64, np.uint16),))
    assert verify(as_picture(luma), coded) == Verification(64, 64)
    assert verify(as_picture(luma + 1), coded).outside == 1  # DC moves by 8: no rounding does that
    quantised[0, 0, 0] += 3  # within the 4 that rounding can move it
    assert verify(as_picture(luma), coded) == Verification(64, 63, rounded=1)
    quantised[0, 0, 0] += 3
    assert verify(as_picture(luma), coded) == Verification(64, 63, rounded=0)
    luma[7, 7] = 255
    found = verify(as_picture(luma), coded)  # of a block that reaches the end of the range nothing more is known
    assert (found.outside, found.inside + found.rounded + found.clipped) == (0, 64)
    assert found.clipped > 0


def test_a_run_counts_every_picture_and_both_fields() -> None:
    field = encode(size=(64, 24))
    avi1 = insert(without(field, APP0), segment(APP0, b"AVI1\x01" + bytes(9)))
    source = ListSource([encode(size=(64, 48)), avi1 + avi1], height=48)
    report = run(source, DECODE, Collect(original=True), PipelineSettings(verify=True))
    assert report.verified is not None
    whole, fields = 64 * (8 * 6 + 2 * 4 * 3), 2 * 64 * (8 * 3 + 2 * 4 * 1)
    assert report.verified.coefficients == whole + fields
    assert report.verified.inside > 0.99 * report.verified.coefficients
    assert run(ListSource([field]), DECODE, Collect()).verified is None
