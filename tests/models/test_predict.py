from __future__ import annotations

import numpy as np
import pytest

from tests.lacking import needs

needs("torch")

import torch

from mjpeg_restore.jpeg.tables import scaled_tables
from mjpeg_restore.models.decode import plane_to_blocks
from mjpeg_restore.models.predict import confidence_of, phases_to_blocks, places_of_phases
from mjpeg_restore.runtime.cpu import projection


@pytest.mark.parametrize("quality", [1, 40, 97, 98, 99, 100])
def test_graph_and_extension_believe_as_much(quality: int) -> None:
    ramps = (projection.LUMA_CONFIDENCE, projection.CHROMA_CONFIDENCE)
    for table, confidence in zip(scaled_tables(quality), ramps, strict=True):
        (share,) = confidence_of(torch.from_numpy(table.astype(np.float32))[None], confidence)
        assert share.item() == pytest.approx(confidence(table), abs=1e-6)


def test_features_become_blocks_as_by_a_pixel_shuffle() -> None:
    phases = torch.randn(2, 32, 6, 10)
    planes = torch.nn.functional.pixel_shuffle(phases, 4)
    for plane, blocks in zip(planes.unbind(1), phases_to_blocks(phases, 2), strict=True):
        assert torch.equal(blocks, plane_to_blocks(plane)[..., places_of_phases()])
