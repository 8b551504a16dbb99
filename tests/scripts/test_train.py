from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.jpeg.pictures import scene
from tests.lacking import needs
from tests.scripts.running import run

torch = needs("torch")

from mjpeg_restore import catalogue
from mjpeg_restore.training.checkpoints import record

ROOT = Path(__file__).parents[2]
MODEL, STAGE, GRAPH = "stream-lite", "rounded", "stream-lite.colour.onnx"


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    """As many as before, when the script has set its own."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def train(folder: Path, *words: str | Path) -> dict[str, Any]:
    """Train for a step; what the run says of itself then."""
    folders = ("--data", folder, "--validation", folder, "--runs", folder / "runs")
    options = ("--model", MODEL, "--stage", STAGE, *folders, "--device", "cpu", "--threads", "1", "--batch", "1")
    done = run("train", *options, *words)
    assert done.returncode == 0, done.stderr
    return json.loads((folder / "runs" / MODEL / STAGE / "progress.json").read_text())


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
