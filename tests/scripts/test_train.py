from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
from PIL import Image

from tests.jpeg.pictures import scene
from tests.lacking import needs
from tests.scripts.running import run

torch = needs("torch")

from mjpeg_restore import catalogue
from mjpeg_restore.training import validation
from mjpeg_restore.training.checkpoints import locked, record

ROOT = Path(__file__).parents[2]
MODEL, STAGE, GRAPH = "stream-lite", "rounded", "stream-lite.colour.onnx"


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    """As many as before, when the script has set its own."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def command(folder: Path, *words: str | Path, stages: tuple[str, ...] = (STAGE,)) -> CompletedProcess[str]:
    """Train with pictures in a folder."""
    folders = ("--data", folder, "--validation", folder, "--runs", folder / "runs")
    options = ("--model", MODEL, "--stage", *stages, *folders, "--device", "cpu", "--threads", "1", "--batch", "1")
    return run("train", *options, *words)


def train(folder: Path, *words: str | Path, stages: tuple[str, ...] = (STAGE,)) -> dict[str, Any]:
    """Train for a step; what the run, or the last stage's, says of itself then."""
    done = command(folder, *words, stages=stages)
    assert done.returncode == 0, done.stderr
    return progress(folder, stages[-1])


def progress(folder: Path, stage: str) -> dict[str, Any]:
    """What a stage's run says of itself."""
    return json.loads((folder / "runs" / MODEL / stage / "progress.json").read_text())


def test_an_engine_is_trained_further_and_its_record_kept(tmp_path: Path) -> None:
    Image.fromarray(scene(192, 192)).save(tmp_path / "a.png")
    engine = catalogue.shipped_folder() / GRAPH
    first = train(tmp_path, "--init-from", engine, "--minutes", "0.0001")
    shipped = json.loads((catalogue.shipped_folder() / "manifest.json").read_text())["models"][MODEL]
    assert first["settings"]["started_from"] == GRAPH
    assert first["settings"]["before"] == shipped["variants"][0]["training"]["colour"]
    assert first["steps"] == 1

    # Whether it is told again or not, where it began is the run's own.
    second = train(tmp_path, "--resume", "--minutes", f"{first['seconds'] / 60 + 0.0001}")
    assert second["steps"] == 2
    assert second["settings"]["before"] == first["settings"]["before"]
    assert second["settings"]["started_from"] == GRAPH

    exported = record(second, tmp_path / "runs")
    assert exported["hours"] == pytest.approx(second["settings"]["before"]["hours"], abs=0.1)
    assert exported["megapixels"] >= second["settings"]["before"]["megapixels"]


def test_a_checkpoint_is_trained_further_and_its_record_kept(tmp_path: Path) -> None:
    Image.fromarray(scene(192, 192)).save(tmp_path / "a.png")
    before = train(tmp_path, "--init-from", catalogue.shipped_folder() / GRAPH, "--minutes", "0.0001")
    (tmp_path / "runs").rename(tmp_path / "others")
    checkpoint = tmp_path / "others" / MODEL / STAGE / "checkpoint.pt"
    after = train(tmp_path, "--init-from", checkpoint, "--minutes", "0.0001")
    assert after["settings"]["started_from"] == "checkpoint.pt"
    assert after["settings"]["before"] == record(before, tmp_path / "others")
    exported = record(after, tmp_path / "runs")
    assert exported["hours"] == pytest.approx(after["settings"]["before"]["hours"], abs=0.1)


def test_a_checkpoint_of_another_network_is_refused(tmp_path: Path) -> None:
    Image.fromarray(scene(192, 192)).save(tmp_path / "a.png")
    torch.save({"model": {"other": torch.zeros(1)}}, tmp_path / "checkpoint.pt")
    folders = ("--data", tmp_path, "--validation", tmp_path, "--runs", tmp_path / "runs")
    options = ("--model", MODEL, "--stage", STAGE, *folders, "--device", "cpu", "--init-from")
    for name, told in (("checkpoint.pt", "not a checkpoint of this network"), ("none.pt", "no such file")):
        done = run("train", *options, tmp_path / name)
        assert done.returncode == 1
        assert told in done.stderr
        assert "Traceback" not in done.stderr


def test_a_stage_begins_from_the_one_before_it_and_that_one_from_what_is_given(tmp_path: Path) -> None:
    Image.fromarray(scene(192, 192)).save(tmp_path / "a.png")
    engine = catalogue.shipped_folder() / GRAPH
    given = ("--init-from", engine, "--anew", "tail", "--minutes", "9")
    last = train(tmp_path, *given, "--batches", "1", stages=("rounded", "whole")[::-1])
    first = progress(tmp_path, "whole")
    assert first["settings"]["started_from"] == GRAPH
    assert first["settings"]["begun_anew"] == ["tail"]
    assert last["settings"]["started_from"] == f"{MODEL}/whole"
    assert "begun_anew" not in last["settings"]
    assert last["settings"]["before"] == record(first, tmp_path / "runs")

    # What has been trained by the last stage does not pass for training after the longer first one.
    last = train(tmp_path, *given, "--resume", "--batches", "2", stages=("whole", "rounded"))
    assert progress(tmp_path, "whole")["steps"] == last["steps"] == last["settings"]["before"]["steps"] == 2
    again = train(tmp_path, *given, "--resume", "--batches", "2", stages=("whole", "rounded"))
    assert again["seconds"] == last["seconds"]


def test_a_stage_that_was_not_reached_is_begun_by_a_resumed_run(tmp_path: Path) -> None:
    Image.fromarray(scene(192, 192)).save(tmp_path / "a.png")
    options = ("--model", "l4", "--batches", "1", "--learning-rate", "1e-3")
    assert command(tmp_path, *options, stages=("q10",)).returncode == 0
    done = command(tmp_path, *options, "--resume", stages=("q10", "q20"))
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "runs" / "l4" / "q20" / "checkpoint.pt").is_file()


def test_an_interrupted_run_says_how_to_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.fromarray(scene(192, 192)).save(tmp_path / "a.png")

    def stopped(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(validation, "gains", stopped)
    done = command(tmp_path, "--batches", "1", stages=("whole",))
    assert (done.returncode, done.stderr) == (130, "train: stopped; the same command with --resume goes on\n")
    assert progress(tmp_path, "whole")["steps"] == 1

    monkeypatch.setattr("training.load_rgb", stopped)
    done = command(tmp_path, "--batches", "1", stages=("whole",))
    assert (done.returncode, done.stderr) == (130, "train: stopped\n")


def test_a_second_training_in_a_folder_is_refused(tmp_path: Path) -> None:
    Image.fromarray(scene(192, 192)).save(tmp_path / "a.png")
    folder = tmp_path / "runs" / MODEL / STAGE
    with locked(folder):
        done = command(tmp_path, "--batches", "1")
    assert done.returncode == 1
    assert done.stderr.startswith(f"train: {folder}: another training is at work there")
    assert not list(folder.iterdir())
