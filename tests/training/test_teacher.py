from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from tests.lacking import needs

needs("torch")

import torch

from mjpeg_restore.models.decode import dct_matrix, plane_to_blocks
from mjpeg_restore.training.teacher import Teacher
from tests.training.tiny import TINY, trainer


@pytest.mark.parametrize("capability", ["AVX512", "AVX2"])
def test_a_teacher_takes_the_place_of_the_originals(
    capability: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    run, taught = trainer(tmp_path), trainer(tmp_path, dataclasses.replace(TINY, teacher=Teacher))
    assert taught.teacher is not None
    before = {name: buffer.clone() for name, buffer in taught.teacher.named_buffers()}
    original, lesson = (each.compressed(0.0) for each in (run, taught))
    for table, kept, same, target, plane in zip(
        original.tables, original.quantised, lesson.quantised, lesson.original, lesson.planes, strict=True
    ):
        assert torch.equal(kept, same)  # one batch
        assert ((target / table[:, None, None] - kept).abs() < 0.5).all()  # as `stream` restores: within the cell
        assert plane.dtype is torch.float32
        torch.testing.assert_close(plane_to_blocks(plane), target @ dct_matrix(), atol=1e-3, rtol=0)
    # And nearer to the originals than the decode is.
    truth, decoded = original.original[0], original.quantised[0] * original.tables[0][:, None, None]
    assert (lesson.original[0] - truth).square().mean() < (decoded - truth).square().mean()
    assert taught.settings["taught_by"] == "stream"
    assert taught.step(0.0).isfinite()
    assert all(torch.equal(buffer, before[name]) for name, buffer in taught.teacher.named_buffers())
    assert not any(parameter.requires_grad for parameter in taught.teacher.parameters())


def test_originals_are_the_targets_in_the_end(tmp_path: Path) -> None:
    run, taught = trainer(tmp_path), trainer(tmp_path, dataclasses.replace(TINY, teacher=Teacher, teacher_until=0.5))
    for share, same in ((0.49, False), (0.5, True), (1.0, True)):
        original, lesson = (each.compressed(share) for each in (run, taught))
        assert torch.equal(original.planes[0], lesson.planes[0]) is same
