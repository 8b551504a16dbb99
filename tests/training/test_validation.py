from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from tests.lacking import needs

needs("torch")


from mjpeg_restore.models.papers.qgcn import Qgcn, QgcnConfig
from mjpeg_restore.training import validation
from mjpeg_restore.training.degradation import Degradation
from tests.jpeg.pictures import scene
from tests.training.tiny import CPU, TINY, picture, trainer


@pytest.mark.parametrize("colour", [False, True])
def test_an_untrained_network_gains_nothing(colour: bool) -> None:
    found = validation.gains(TINY.build(), [picture(48, 64)], 20, colour=colour, device=CPU)
    assert found == pytest.approx([0, 0, 0] if colour else [0], abs=1e-3)


def test_chroma_at_lumas_size_is_compared_with_the_interpolated_decode() -> None:
    network = Qgcn(QgcnConfig(blocks=1, width=4, hidden=16), colour=True)
    found = validation.gains(network, [scene(64, 48)], 20, colour=True, device=CPU)
    assert found == pytest.approx([0, 0, 0], abs=0.1)  # it rounds the decode before it interpolates


@pytest.mark.parametrize(
    ("qualities", "checked"), [(None, [10, 20, 40, 80]), ((1, 60), [10, 20, 40]), ((20, 20), [20]), ((30, 30), [30])]
)
def test_a_report_names_qualities_that_the_recipe_is_for(
    tmp_path: Path, qualities: tuple[int, int] | None, checked: list[int]
) -> None:
    assert validation.validation_qualities(qualities) == checked
    run = trainer(tmp_path, dataclasses.replace(TINY, degradation=Degradation(qualities)))
    run.report([])
    assert [gains.split()[0] for gains in run.progress.validation.split(", ")] == [f"Q{q}" for q in checked]
    assert run.model.training
