"""What the scripts say of input that makes no sense: one line, no traceback."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from tests.jpeg.pictures import scene

pytest.importorskip("torch")

ROOT = Path(__file__).parents[2]


def refusal(*words: str | Path) -> str:
    """The one line that a script ends with."""
    command = [sys.executable, *map(str, words)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1, done.stderr
    return done.stderr


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    Image.fromarray(scene(64, 48)).save(tmp_path / "a.png")
    return tmp_path


def test_evaluate_names_a_broken_picture(pictures: Path) -> None:
    (pictures / "b.png").write_bytes((pictures / "a.png").read_bytes()[:500])
    assert refusal("scripts/evaluate.py", "--data", pictures).startswith(
        f"evaluate: {pictures / 'b.png'} is no picture"
    )


def train(pictures: Path, *words: str) -> str:
    folders = ("--data", pictures, "--validation", pictures, "--runs", pictures / "runs")
    return refusal("scripts/train.py", "--model", "stream-lite", *folders, "--device", "cpu", *words)


def test_train_wants_pictures_as_large_as_a_crop(pictures: Path) -> None:
    assert "not one picture of" in train(pictures)


def test_train_wants_a_checkpoint_to_resume(pictures: Path) -> None:
    Image.fromarray(scene(320, 320)).save(pictures / "large.png")
    assert "checkpoint.pt: no such file to go on from" in train(pictures, "--resume")


def test_train_names_a_broken_picture(pictures: Path) -> None:
    (pictures / "b.png").write_bytes(b"no picture")
    assert "b.png" in train(pictures)
