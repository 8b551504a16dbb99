from __future__ import annotations

import numpy as np

from mjpeg_restore.sinks import pixels
from tests.sinks.conftest import noise, planes_of


def test_nv12_has_interleaved_chroma() -> None:
    picture = noise(63, 47)
    luma, pairs = planes_of(pixels.to_frame(picture, "nv12", 64, 48))
    assert np.array_equal(luma[:47, :63], picture.planes[0])
    frame = pixels.to_frame(picture, "nv12", 64, 48).reformat(format="yuv420p")
    assert all(map(np.array_equal, planes_of(frame)[1:], picture.planes[1:]))
    assert pairs.shape == (24, 32)
