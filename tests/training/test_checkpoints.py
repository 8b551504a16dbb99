from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from tests.lacking import needs

needs("torch")

import torch

from mjpeg_restore.errors import ModelCorrupt
from mjpeg_restore.training.checkpoints import Progress, record, runs_of, trained
from tests.training.tiny import TINY, trainer


def test_the_checkpoint_is_whole_and_readable(tmp_path: Path) -> None:
    run = trainer(tmp_path / "runs" / "tiny")
    run.step(0.0)
    run.report([torch.tensor(1.0)])
    assert sorted(path.name for path in run.folder.iterdir()) == ["checkpoint.pt", "progress.json"]
    noted = json.loads((run.folder / "progress.json").read_text())
    assert noted["steps"] == 1
    assert noted["pixels"] == TINY.batch * TINY.side**2
    assert Progress(**noted) == run.progress
    assert noted["settings"]["data"].startswith("2 pictures, 0 pairs")


def test_a_network_is_loaded_with_its_record(tmp_path: Path) -> None:
    run = trainer(tmp_path / "tiny" / "stage", seed=1)
    run.step(0.0)
    run.save()
    assert runs_of(run.checkpoint) == tmp_path
    network, told = trained(TINY, run.checkpoint)
    assert not network.training
    for ours, theirs in zip(network.state_dict().values(), run.model.eval().state_dict().values(), strict=True):
        assert torch.equal(ours, theirs)
    assert told == record(asdict(run.progress), tmp_path)
    assert (told["steps"], told["device"], told["threads"], told["precision"]) == (
        1,
        "CPU",
        1,
        run.settings["precision"],
    )


@pytest.mark.parametrize("content", [b"no checkpoint", b""])
def test_a_damaged_checkpoint_is_one_line(tmp_path: Path, content: bytes) -> None:
    checkpoint = tmp_path / "tiny" / "stage" / "checkpoint.pt"
    checkpoint.parent.mkdir(parents=True)
    checkpoint.write_bytes(content)
    with pytest.raises(ModelCorrupt, match=r"checkpoint\.pt: not a checkpoint of this network") as caught:
        trained(TINY, checkpoint)
    assert "\n" not in str(caught.value)


def test_a_run_resumed_in_other_batches_is_a_stage_of_its_own(tmp_path: Path, ticking: None) -> None:
    first = trainer(tmp_path / "tiny" / "stage")
    first.run(minutes=5 / 60)
    smaller = replace(TINY, batch=2)
    second = trainer(tmp_path / "tiny" / "stage", smaller)
    second.resume()
    second.run(minutes=3 / 60)
    told = record(asdict(second.progress), tmp_path)
    assert (told["steps"], told["batch"]) == (3, 2)
    assert (told["before"]["steps"], told["before"]["batch"]) == (5, TINY.batch)
    third = trainer(tmp_path / "tiny" / "stage", smaller)
    third.resume()
    assert third.progress == second.progress
