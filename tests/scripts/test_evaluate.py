"""`scripts/evaluate.py`: that its figures are what the metrics give, and what it notes in a manifest."""

from __future__ import annotations

import json
import shutil
from io import BytesIO
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from measuring.metrics import psnr
from PIL import Image

from mjpeg_restore import catalogue
from mjpeg_restore.cli.models import described
from mjpeg_restore.jpeg import read
from mjpeg_restore.restorer import Restorer
from tests.jpeg.pictures import scene
from tests.lacking import needs
from tests.scripts.running import run

needs("onnx")

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("live1")
    for number in range(2):
        Image.fromarray(scene(96, 104, number)).save(folder / f"{number}.png")
    return folder


def test_the_figures_are_means_over_the_pictures(pictures: Path) -> None:
    done = run("evaluate", "--data", pictures, "--model", "stream-lite", "--quality", "20", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    row = found["models"]["stream-lite"]["20"]
    scores, gains = [], []
    for path in sorted(pictures.iterdir()):
        picture, buffer = np.asarray(Image.open(path)), BytesIO()
        Image.fromarray(picture).save(buffer, "JPEG", quality=20, subsampling="4:2:0")
        coded = read(buffer.getvalue())
        after, before = (
            psnr(Restorer(name, "onnxruntime").restore(coded).to_ndarray("rgb"), picture)
            for name in ("stream-lite", "decode")
        )
        scores.append(after)
        gains.append(after - before)
    assert (found["pictures"], row["rgb_psnr"]) == (2, round(float(np.mean(scores)), 3))
    assert row["rgb_gain"] == round(float(np.mean(gains)), 3)
    assert row["rgb_worse"] == np.mean(np.array(gains) < 0)
    assert row["consistent"] == 1.0
    assert row["unnatural"] > 0


@pytest.mark.parametrize("quality", ["0", "101", "many"])
def test_qualities_that_there_are_not(pictures: Path, quality: str) -> None:
    done = run("evaluate", "--data", pictures, "--quality", quality)
    assert done.returncode == 2
    assert f"{quality!r} is not 1 to 100" in done.stderr


@pytest.mark.parametrize("model", ["decode", "stream-lite"])
def test_pictures_that_are_exact_are_left_out_of_means(pictures: Path, tmp_path: Path, model: str) -> None:
    shutil.copy(pictures / "0.png", tmp_path)
    words = ("--model", model, "--quality", "20", "--json", "--data")
    alone = json.loads(run("evaluate", *words, tmp_path).stdout)["models"][model]["20"]
    Image.new("RGB", (96, 104), (128, 128, 128)).save(tmp_path / "flat.png")
    done = run("evaluate", *words, tmp_path)
    assert done.returncode == 0, done.stderr
    both = json.loads(done.stdout, parse_constant=pytest.fail)["models"][model]["20"]
    assert both["rgb_gain"] == alone["rgb_gain"]
    (tmp_path / "0.png").unlink()
    flat = json.loads(run("evaluate", *words, tmp_path).stdout, parse_constant=pytest.fail)["models"][model]["20"]
    assert flat["rgb_gain"] is None and (flat["rgb_psnr"] is None) == (model == "decode")
    assert run("evaluate", *words[:-2], "--data", tmp_path).returncode == 0


def test_what_was_measured_is_printed_before_a_manifest_that_cannot_be_written(
    pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(folder: Path, models: dict[str, object]) -> None:
        raise OSError("no room on the disk")

    monkeypatch.setattr(catalogue, "write_manifest", full)
    done = run("evaluate", "--data", pictures, "--model", "decode", "--quality", "20", "--write-manifest")
    assert "luma PSNR" in done.stdout
    assert (done.returncode, done.stderr) == (1, "evaluate: no room on the disk\n")


def test_an_evaluation_that_is_stopped_says_so(pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(catalogue, "shipped", stop)
    done = run("evaluate", "--data", pictures)
    assert (done.returncode, done.stderr) == (130, "evaluate: stopped\n")


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(ROOT / "scripts")
    import evaluate

    return evaluate


def test_a_manifest_keeps_what_was_measured_at_other_qualities(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(catalogue.shipped_folder() / "manifest.json", tmp_path)
    monkeypatch.setattr(catalogue, "shipped_folder", lambda: tmp_path)
    row = script.Row(30.0, 29.0, 0.9, 1.5, 28.0, 1.25, 0.0, 0.5, None, None)
    script.write_manifest("live1", {"qgac": {15: row}, "qgac --texture 1": {15: row}, "AR-CNN": {15: row}})
    before, after = (catalogue.read_manifest(folder)["qgac"] for folder in (ROOT / "engines", tmp_path))
    assert list(after.quality["live1"]) == sorted({*before.quality["live1"], "15"}, key=int)
    assert after.quality["live1"]["15"]["rgb_gain"] == 1.25
    assert all(after.quality["live1"][quality] == known for quality, known in before.quality["live1"].items())
    assert after.texture is not None
    assert after.texture["quality"]["live1"]["15"]["luma_gain"] == 1.5
    assert any(line.split()[0] == "unnatural" and "-" in line for line in described(after))
