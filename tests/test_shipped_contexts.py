"""The contexts of shipped networks tell pictures apart, and help to restore them; unless docs/papers.md says otherwise.

Where a network no longer is as the page says, its tests fail: they pass unexpectedly. Then the page is to be changed.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from measuring.contexts import ChangedContext, Kept
from measuring.metrics import psnr
from measuring.pictures import Kind, encode, files, load, middle, original
from measuring.scores import samples

from mjpeg_restore import catalogue
from mjpeg_restore.jpeg import read
from mjpeg_restore.restorer import Restorer
from tests.jpeg.pictures import scene
from tests.lacking import DATA, needs_data

PAGE = " ".join((Path(__file__).parents[1] / "docs" / "papers.md").read_text().split())
ALIKE = "every picture has the same vector"
USELESS = "without it nothing changes"
LEAST_GAIN = 0.01
"""Gain in dB over a context of zeros from which on a context is of use."""

contextual = pytest.mark.parametrize("name", [name for name, m in catalogue.shipped().items() if m.takes("context")])
each_kind = pytest.mark.parametrize("kind", ["luma", "colour"])


@pytest.mark.xfail(ALIKE in PAGE, reason=f"docs/papers.md: {ALIKE}", strict=True)
@each_kind
@contextual
def test_contexts_tell_pictures_apart(name: str, kind: Kind) -> None:
    kept = Kept()
    restorer = ChangedContext(name, "onnxruntime", kept)
    for quality in (10, 50):
        for seed, size in enumerate([(128, 96), (96, 160)]):
            restorer.restore(read(encode(original(scene(*size, seed), kind), quality)))
    assert np.std(kept.contexts, axis=0).mean() > 1e-4


@needs_data("eval/live1")
@pytest.mark.xfail(USELESS in PAGE, reason=f"docs/papers.md: {USELESS}", strict=True)
@each_kind
@contextual
def test_pictures_are_restored_worse_without_their_context(name: str, kind: Kind) -> None:
    own, without = Restorer(name, "onnxruntime"), ChangedContext(name, "onnxruntime", np.zeros_like)
    gains: list[float] = []
    for path in files(DATA / "eval" / "live1")[::6]:
        truth = middle(original(load(path), kind), 256)
        coded = read(encode(truth, 10))
        gains.append(psnr(samples(own, coded), truth) - psnr(samples(without, coded), truth))
    assert np.mean(gains) > LEAST_GAIN
