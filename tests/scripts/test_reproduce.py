"""`scripts/reproduce.py`: what it says of input that makes no sense, and that its pages hold what was measured."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from measuring.metrics import psnr
from PIL import Image

from mjpeg_restore import catalogue
from mjpeg_restore.jpeg import read
from mjpeg_restore.restorer import Restorer
from tests.jpeg.pictures import scene
from tests.lacking import needs
from tests.scripts.running import run

ROOT = Path(__file__).parents[2]
SETS = {"live1": (72, 56), "bsds500-test": (72, 56), "cid22-validation": (136, 128)}
"""Sizes of the pictures of the sets."""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sets of a small picture each."""
    folder = tmp_path_factory.mktemp("eval")
    for seed, (name, size) in enumerate(SETS.items()):
        (folder / name).mkdir()
        for picture in range(2):
            Image.fromarray(scene(*size, 2 * seed + picture)).save(folder / name / f"{picture}.png")
    return folder


def refusal(*words: str | Path) -> str:
    done = run("reproduce", *words)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1, done.stderr
    return done.stderr


def test_an_unknown_paper_is_one_line(data: Path) -> None:
    assert "no paper 'srcnn'; there are l4-l8, " in refusal("srcnn", "--data", data)


def test_a_missing_folder_is_one_line(tmp_path: Path) -> None:
    needs("matplotlib")
    output = tmp_path / "out"
    assert f"{tmp_path / 'live1'}: no pictures there" in refusal("l4-l8", "--data", tmp_path, "--output", output)
    assert not output.exists()


def test_without_matplotlib_it_is_one_line(data: Path, tmp_path: Path) -> None:
    (tmp_path / "matplotlib.py").write_text("raise ImportError('not here')\n")
    code = f"import sys, runpy; sys.path[:0] = [{str(tmp_path)!r}, 'scripts']; sys.argv = ['reproduce', 'l4-l8', "
    code += f"'--data', {str(data)!r}]; runpy.run_path('scripts/reproduce.py', run_name='__main__')"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1, done.stderr
    assert "needs Matplotlib" in done.stderr and "mjpeg-restore[papers]" in done.stderr


@pytest.fixture(scope="module")
def page(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with L4's and L8's page, of one picture a set, where edge preserving is not to be found."""
    needs("matplotlib")
    output, ablations = tmp_path_factory.mktemp("pages") / "papers", tmp_path_factory.mktemp("ablations")
    manifest = json.loads((catalogue.shipped_folder() / "ablations" / "manifest.json").read_text())
    del manifest["models"]["l4-q10-sobel"]
    (ablations / "manifest.json").write_text(json.dumps(manifest))
    for path in (catalogue.shipped_folder() / "ablations").glob("l4-*.onnx"):
        shutil.copy(path, ablations)
    words = ["--data", data, "--output", output, "--pictures", "1", "--ablations", ablations]
    done = run("reproduce", "l4-l8", *words, "--scores", output.parent / "scores.json")
    assert done.returncode == 0, done.stderr
    return output


def jpeg_rows(page: Path) -> list[dict[str, Any]]:
    rows = json.loads((page / "l4-l8.json").read_text())["live1"]
    return [row for row in rows if row["method"] == "JPEG"]


def test_the_page_has_the_published_column_beside_ours(page: Path) -> None:
    text = (page / "l4-l8.md").read_text()
    assert "| set | Q | method | PSNR | published | PSNR-B | published | SSIM | published | gain |" in text
    assert "| +1.31 |" in text  # L4's published gain at Q10, 29.08 - 27.77
    assert all(f"({path.name})" in text for path in page.glob("*.png"))
    assert all(path.stat().st_size <= 150_000 for path in page.glob("*.png"))


def test_ours_is_measured(page: Path, data: Path) -> None:
    from io import BytesIO

    rgb = np.asarray(Image.open(data / "live1" / "0.png")).astype(np.float64)
    luma = np.floor(16.5 + rgb @ np.array([65.481, 128.553, 24.966]) / 255).astype(np.uint8)
    for row in jpeg_rows(page):
        buffer = BytesIO()
        Image.fromarray(luma).save(buffer, "JPEG", quality=row["quality"])
        decoded = Restorer("decode", "onnxruntime").restore(read(buffer.getvalue())).planes[0]
        assert row["ours"]["psnr"] == pytest.approx(psnr(decoded, luma))
        assert row["published"]["psnr"] == pytest.approx({10: 27.77, 20: 30.07}[row["quality"]])


def test_what_is_not_shipped_is_named_with_the_command_that_would_make_it(page: Path) -> None:
    left_out = json.loads((page / "l4-l8.json").read_text())["left_out"]
    text = (page / "l4-l8.md").read_text()
    shipped = {v.name for v in catalogue.shipped()["l4"].variants} if "l4" in catalogue.shipped() else set[str]()
    for quality in (10, 20, 60):
        assert (f"L4 for Q{quality}" in left_out) == (f"Q{quality}" not in shipped)
    command = left_out["Edge preserving for Q10"]
    assert "scripts/train.py --model l4 --stage q10-sobel" in command
    assert "scripts/export.py --model l4 --stage q10-sobel`" in command
    assert command in text


def test_what_is_no_model_is_measured_from_the_ablations(page: Path) -> None:
    notes = json.loads((page / "l4-l8.json").read_text())
    assert "Direct mapping for Q10" not in notes["left_out"]
    rows = {row["method"]: row for row in notes["objectives"]}
    assert 0 < rows["direct mapping"]["gain"] < rows["residual"]["gain"]
    assert rows["direct mapping"]["difference"] is None  # of one picture of two
    assert "| l4-q10-direct | Q10 | 72,097 | 108.0 |" in (page / "l4-l8.md").read_text()


def test_spp_is_measured_and_sa_dct_is_not(page: Path) -> None:
    rows = {(row["method"], row["quality"]): row for row in json.loads((page / "l4-l8.json").read_text())["live1"]}
    assert rows["spp", 10]["gain"] > 0
    assert rows["SA-DCT", 10]["ours"] is None and rows["SA-DCT", 10]["published"]["psnr"] == 28.65


def test_what_is_not_made_is_said_with_its_reason(page: Path) -> None:
    reasons = json.loads((page / "l4-l8.json").read_text())["not_made"]
    assert any(what.startswith("Figure 8") for what in reasons)
    for what, why in reasons.items():
        assert f"- {what} {why}." in (page / "l4-l8.md").read_text()


def test_scores_are_kept_for_the_next_run(page: Path, data: Path, tmp_path: Path) -> None:
    scores = tmp_path / "scores.json"
    kept = json.loads((page.parent / "scores.json").read_text())
    psnr_of = {what: values[0] + (1.0 if what.startswith("l4/(10, 10)") else 0.0) for what, values in kept.items()}
    scores.write_text(json.dumps({what: [psnr_of[what], *values[1:]] for what, values in kept.items()}))
    done = run("reproduce", "l4-l8", "--data", data, "--output", tmp_path, "--pictures", "1", "--scores", scores)
    assert done.returncode == 0, done.stderr
    first, second = (json.loads((folder / "l4-l8.json").read_text())["live1"] for folder in (page, tmp_path))
    gains = [{row["method"]: row["gain"] for row in rows if row["quality"] == 10} for rows in (first, second)]
    assert gains[1]["L4"] == pytest.approx(gains[0]["L4"] + 1)
    assert gains[1]["spp"] == gains[0]["spp"]


@pytest.fixture(scope="module")
def notes(data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What the pages of HR-CNN, QGCN and QGAC have, of one picture a set."""
    needs("matplotlib")
    needs("torch")
    output = tmp_path_factory.mktemp("others")
    papers = ("hr-cnn", "qgcn", "qgac")
    for paper in papers:
        done = run("reproduce", paper, "--data", data, "--output", output, "--pictures", "1")
        assert done.returncode == 0, done.stderr
    return {paper: json.loads((output / f"{paper}.json").read_text()) for paper in papers}


@pytest.mark.slow
def test_hr_cnn_is_measured_on_squares_without_a_difference_from_others(notes: dict[str, dict[str, Any]]) -> None:
    squares = notes["hr-cnn"]["squares"]
    assert [row["published"]["psnr"] for row in squares] == [30.13, 31.79, 34.29, 35.70, 36.06, 37.19]
    assert all(row["ours"]["psnr"] > 20 and row["difference"] is None for row in squares)
    ours = {row["method"] for row in notes["hr-cnn"]["rivals"] if row["PSNR"] != "-"}
    assert len(notes["hr-cnn"]["rivals"]) == 11 and ours == {"HR-CNN", "L4"}


@pytest.mark.slow
def test_qgcns_page_says_what_its_global_branch_does(notes: dict[str, dict[str, Any]]) -> None:
    page = notes["qgcn"]
    for row in page["global_branch"]:
        assert row["its own minus zeros"] == pytest.approx(row["its own"] - row["zeros"])
    assert {row["method"] for row in page["luma"]} >= {"JPEG", "DMCNN", "IDCN", "QGCN"}
    assert len(page["rivals"]) == 30
    assert page["costs"][3]["network"] == "N = 32" and page["costs"][3]["parameters"] == "19,441,155"


@pytest.mark.slow
def test_qgacs_page_has_the_rivals_and_the_ablations(notes: dict[str, dict[str, Any]]) -> None:
    page = notes["qgac"]
    for table in ("colour", "luma"):
        methods = [row["method"] for row in page[table] if (row["set"], row["quality"]) == ("LIVE1", 10)]
        assert methods == ["JPEG", "AR-CNN", "MWCNN", "IDCN", "DMCNN", "QGAC"]
    rows = {row["method"]: row for row in page["ablations"]}
    assert len(rows) == 8 and all(row["difference"] is None for row in rows.values())
    assert rows["fusion"]["ours"] == rows["filter manifolds"]["ours"] != rows["no fusion"]["ours"]
    assert rows["no fusion"]["published_gain"] == 0
    assert [row["layer"] for row in page["kernels"]] == [row["layer"] for row in page["manifold"]]


def test_figure_8_shows_a_network_for_each_loss(data: Path, tmp_path: Path) -> None:
    needs("matplotlib")
    done = run("reproduce", "one-to-many", "--data", data, "--output", tmp_path, "--pictures", "1")
    assert done.returncode == 0, done.stderr
    notes = json.loads((tmp_path / "one-to-many.json").read_text())
    found = {row["network"]: row["PSNR"] for row in notes["losses"]}
    assert len({*found.values()}) == len(found)
    assert list(found) == ["JPEG", "perceptual, plain deconvolution", "perceptual", "and naturalness", "as shipped"]
    assert notes["losses"][0]["grid of the change"] == 0
    assert notes["left_out"] == {}
