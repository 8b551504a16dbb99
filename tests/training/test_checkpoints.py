from __future__ import annotations

import errno
import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from tests.lacking import needs

needs("torch")

import torch

from mjpeg_restore.errors import ModelCorrupt, SinkError
from mjpeg_restore.training.checkpoints import Progress, locked, record, runs_of, trained
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


def test_a_checkpoint_that_was_cut_is_named(tmp_path: Path) -> None:
    run = trainer(tmp_path / "tiny" / "stage")
    run.save()
    run.checkpoint.write_bytes(run.checkpoint.read_bytes()[:50_000])
    for use in (run.resume, lambda: run.begin_from(run.checkpoint), lambda: trained(TINY, run.checkpoint)):
        with pytest.raises(ModelCorrupt, match=r"checkpoint\.pt: not a checkpoint of this network"):
            use()


def test_a_run_of_an_earlier_version_has_the_record_of_the_stage_before(tmp_path: Path) -> None:
    first = trainer(tmp_path / "tiny" / "first")
    first.step(0.0)
    first.save()
    (first.folder / "progress.json").write_text("{")  # nothing is read from it
    before = record(asdict(first.progress), tmp_path)
    second = Progress(1, 3600.0, 1_000_000, "", {"started_from": "tiny/first"})
    assert record(asdict(second), tmp_path)["before"] == before
    first.checkpoint.write_bytes(b"no checkpoint")
    with pytest.raises(ModelCorrupt, match=r"first/checkpoint\.pt: not a checkpoint"):
        record(asdict(second), tmp_path)


def test_a_full_disk_is_one_line_and_leaves_no_part_of_a_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = trainer(tmp_path)
    run.save()
    before = run.checkpoint.read_bytes()
    run.step(0.0)
    write = Path.write_bytes

    def full(path: Path, content: bytes) -> int:
        write(path, content[:100])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(SinkError, match=r"checkpoint\.pt cannot be written \(No space left on device\): once it can"):
        run.save()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint.pt", "progress.json"]
    assert run.checkpoint.read_bytes() == before


def test_one_training_at_a_time_is_at_work_in_a_folder(tmp_path: Path) -> None:
    with locked(tmp_path / "stage"):
        with pytest.raises(SinkError, match="stage: another training is at work there"), locked(tmp_path / "stage"):
            pass
        with locked(tmp_path / "other"):
            pass
    assert not list((tmp_path / "stage").iterdir())


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
