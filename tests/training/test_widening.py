from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.lacking import needs

needs("torch")

import torch

from mjpeg_restore.errors import ModelCorrupt
from mjpeg_restore.models.papers.qgcn import Qgcn, QgcnConfig
from mjpeg_restore.training.widening import widened
from tests.training.tiny import trainer

NARROW = QgcnConfig(blocks=2, width=4, hidden=6, compact_output=True)
WIDE = replace(NARROW, width=7)


def scrambled(config: QgcnConfig, *, colour: bool) -> Qgcn:
    """A network with random weights everywhere, its last layer included."""
    network = Qgcn(config, colour=colour).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.normal_(0, 0.1)
    return network


def coefficients(colour: bool) -> list[torch.Tensor]:
    kinds = [(4, 6), (2, 3), (2, 3)] if colour else [(4, 6)]
    return [
        part
        for grid in kinds
        for part in (torch.randint(-9, 9, (2, *grid, 64)).float(), torch.randint(1, 30, (2, 64)).float())
    ]


@pytest.mark.parametrize("colour", [False, True])
def test_the_wide_network_computes_what_the_narrow_one_does(colour: bool) -> None:
    narrow, wide = (scrambled(config, colour=colour) for config in (NARROW, WIDE))
    given = coefficients(colour)
    assert not torch.allclose(wide(*given)[0], narrow(*given)[0], atol=1)
    wide.load_state_dict(widened(wide.state_dict(), narrow.state_dict()))
    for ours, theirs in zip(wide(*given), narrow(*given), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-3)


def test_the_added_channels_are_not_alike_and_learn_at_once() -> None:
    narrow, wide = (scrambled(config, colour=False) for config in (NARROW, WIDE))
    wide.load_state_dict(widened(wide.state_dict(), narrow.state_dict()))
    features = []
    wide.combined.register_forward_hook(lambda *seen: features.append(seen[-1]))
    wide(*coefficients(False))[0].square().mean().backward()
    added = features[0][:, 4:]
    assert all(not torch.allclose(added[:, i], added[:, j]) for i in range(3) for j in range(i))
    learnt = wide.predict["project"].weight.grad
    assert isinstance(learnt, torch.Tensor)
    assert learnt[:, 4:].abs().amax(dim=(0, 2, 3)).min() > 0


@pytest.mark.parametrize("other", [replace(WIDE, blocks=1), replace(WIDE, hidden=7), NARROW, replace(NARROW, width=3)])
def test_other_networks_are_no_wider_form(other: QgcnConfig) -> None:
    narrow, wide = Qgcn(NARROW, colour=False).state_dict(), Qgcn(other, colour=False).state_dict()
    with pytest.raises(ValueError, match=r"."):
        widened(wide, narrow)


def test_a_checkpoint_of_no_narrower_network_is_one_line(tmp_path: Path) -> None:
    first = trainer(tmp_path)
    first.save()
    with pytest.raises(ModelCorrupt, match=r"not a checkpoint of this network .*no wider form") as caught:
        trainer(tmp_path).begin_from(first.checkpoint, widen=True)
    assert "\n" not in str(caught.value)
