"""A package with models, made as docs/models.md says, installed by pip, and used by the command."""

from __future__ import annotations

import os
import re
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mjpeg_restore import Restorer, catalogue
from mjpeg_restore.jpeg import read
from tests.catalogue.fake_package import fill, manifest
from tests.cli.command import COMMAND, picture_of, still
from tests.jpeg.pictures import encode
from tests.lacking import needs, needs_pip_and_setuptools

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "models.md").read_text()

Command = Callable[..., subprocess.CompletedProcess[str]]


def block(language: str) -> str:
    """The one block of code in a language on the page."""
    (found,) = re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    return found


def install(project: Path) -> Command:
    """Install a package into a folder of its own; the command of a Python that looks there, too."""
    target = project.parent / "installed"
    words = ("install", "--quiet", "--no-index", "--no-deps", "--no-build-isolation", "--target", str(target))
    subprocess.run([sys.executable, "-m", "pip", *words, str(project)], check=True)
    places = [str(target), str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]

    def command(*words: object) -> subprocess.CompletedProcess[str]:
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(places)}
        return subprocess.run([*COMMAND, *map(str, words)], env=environment, capture_output=True, text=True)

    return command


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The folder of the package's sources, with its settings."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "pyproject.toml").write_text(block("toml"))
    return folder


@needs_pip_and_setuptools
def test_an_installed_package_is_used_by_its_name(project: Path, tmp_path: Path) -> None:
    fill(project / "acme_models", manifest())
    command = install(project)
    listed = command("models")
    assert (listed.returncode, listed.stderr) == (0, "")
    assert "\nacme-models/plain: decodes\n" in listed.stdout
    words = [still(tmp_path), "--device", "onnxruntime", "-q"]
    for name, model in (("a.png", "acme-models/plain"), ("b.png", "decode")):
        done = command(*words, "-m", model, "-o", tmp_path / name)
        assert (done.returncode, done.stderr) == (0, "")
    np.testing.assert_array_equal(picture_of(tmp_path / "a.png")[1], picture_of(tmp_path / "b.png")[1])


@needs_pip_and_setuptools
def test_an_unknown_key_is_named_with_the_package_that_brought_it(project: Path, tmp_path: Path) -> None:
    fill(project / "acme_models", manifest() | {"licence": "MIT"})
    command = install(project)
    for words in (["models"], [still(tmp_path), "-o", tmp_path / "a.png", "-m", "acme-models/plain"]):
        done = command(*words)
        assert done.stderr.startswith("mjpeg-restore: the package acme-models 1.0 cannot be used: ")
        assert "the unknown key 'licence'" in done.stderr
        assert done.stderr.count("\n") == 1
    assert not (tmp_path / "a.png").exists()
    assert command("models").stdout.startswith("decode: ")


@needs_pip_and_setuptools
@pytest.mark.slow
def test_the_page_makes_a_model_of_a_pixel_network(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for package in ("torch", "onnx", "onnxscript"):
        needs(package)
    (project / "make_models.py").write_text(block("python"))
    monkeypatch.chdir(project)
    runpy.run_path("make_models.py", run_name="__main__")
    command = install(project)
    assert "\nacme-models/soft: softens every edge\n    9 parameters, " in command("models").stdout
    done = command(still(tmp_path), "-o", tmp_path / "soft.png", "-m", "acme-models/soft", "-q")
    assert (done.returncode, done.stderr) == (0, "")
    assert picture_of(tmp_path / "soft.png")[1].shape == picture_of(still(tmp_path))[1].shape

    soft = catalogue.read_manifest(project / "acme_models")["soft"]
    coded = read(encode("4:2:0", (64, 48)))
    found = Restorer(soft, "onnxruntime").planes(coded)
    for ours, plain in zip(found, Restorer("decode", "onnxruntime").planes(coded), strict=True):
        difference = ours - softened(plain.astype(np.float64))
        assert np.abs(difference).max() <= 0.5 + 1e-3  # rounded to eight bits


def softened(plane: np.ndarray) -> np.ndarray:
    """A plane after the page's network, computed otherwise: the mean with each neighbour, twice, down and across."""
    for axis in (0, 1):
        padded = np.pad(plane, [(1, 1) if one == axis else (0, 0) for one in (0, 1)], mode="edge")
        before, same, after = (np.take(padded, np.arange(plane.shape[axis]) + step, axis) for step in (0, 1, 2))
        plane = (before + 2 * same + after) / 4
    return plane


def test_the_table_of_keys_is_complete() -> None:
    named = set(re.findall(r"`(\w+)`", " ".join(re.findall(r"^\| (`.*?) \|", PAGE, re.MULTILINE))))
    known = {name for name in catalogue.find("stream").as_dict() if name != "name"}
    assert known <= named


def test_the_ports_have_the_contracts_forms() -> None:
    colour = catalogue.find("one-to-many").variants[0].graphs["colour"]
    for port in (colour.inputs[0], colour.inputs[1], colour.inputs[-1], colour.outputs[0]):
        assert f"`{port}`" in PAGE
