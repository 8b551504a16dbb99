"""Models of other packages in the command: they are listed, looked at, built and used like the shipped ones."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from mjpeg_restore import catalogue
from mjpeg_restore.runtime.base import Progress
from mjpeg_restore.runtime.tensorrt.builder import Built, Plan
from mjpeg_restore.runtime.tensorrt.package import Package
from tests.catalogue.fake_package import entry, fill, install, manifest
from tests.cli.command import assert_one_line, picture_of, run, still
from tests.lacking import needs, needs_tensorrt_rtx

MODEL = "acme-models/plain"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder where Python looks for packages, with the package acme-models in it."""
    place = tmp_path / "packages"
    install(place)
    fill(place / "acme_models", manifest())
    monkeypatch.syspath_prepend(place)
    return place


@pytest.fixture
def faulty(place: Path) -> str:
    """Another package, whose manifest is malformed; the line that says so."""
    install(place, "zinc", points="[mjpeg_restore.models]\nmodels = zinc_models")
    path = fill(place / "zinc_models", {"schema": 1, "models": {"a": entry() | {"speed": 1}}}) / "manifest.json"
    return f"the package zinc 1.2 cannot be used: {path}: models.a has the unknown key 'speed'; known: summary, "


@pytest.mark.usefixtures("place")
def test_models_lists_them(faulty: str, capfd: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(["models"], capfd)
    assert code == 0
    lines = f"{MODEL}: decodes\n    9 parameters, 0.10 kMAC per pixel at 4:2:0\n    no gain is stated\nGains are"
    assert lines in out
    assert_one_line(err)
    assert err.startswith(f"mjpeg-restore: {faulty}")
    code, out, err = run(["models", "--json"], capfd)
    assert code == 0
    assert err.startswith(f"mjpeg-restore: {faulty}")
    found = json.loads(out)
    assert [*found] == [*catalogue.shipped(), MODEL]
    assert found[MODEL]["name"] == MODEL


@pytest.mark.usefixtures("place")
def test_doctor_looks_at_them(faulty: str, capfd: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(["doctor"], capfd)
    assert (code, err) == (0, "")
    assert f"\n    {MODEL}: " in out
    assert f"\npackages with models:\n    acme-models 1.2: {MODEL}\n    {faulty}" in out
    first, second = json.loads(run(["doctor", "--json"], capfd)[1])["model_packages"]
    assert first == {"name": "acme-models", "version": "1.2", "models": [MODEL], "fault": None}
    assert (second["name"], second["models"]) == ("zinc", [])
    assert second["fault"].startswith(faulty)


def test_doctor_looks_at_a_model_for_grey_pictures(place: Path, capfd: pytest.CaptureFixture[str]) -> None:
    model = entry()
    del model["variants"][0]["graphs"]["colour"]
    fill(place / "acme_models", {"schema": 1, "models": {"plain": model}})
    code, out, _ = run(["doctor"], capfd)
    assert code == 0
    assert f"\n    {MODEL}: " in out


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize("device", ["onnxruntime", "openvino"])
def test_a_picture_is_restored(device: str, tmp_path: Path, output: Path, capfd: pytest.CaptureFixture[str]) -> None:
    if device == "openvino":
        needs("openvino")
    for number, model in enumerate((MODEL, "decode")):
        words = [still(tmp_path), "-o", output / f"{number}.png", "-m", model, "--device", device]
        code, out, _ = run([*words, "--json"], capfd)
        assert code == 0
        assert json.loads(out)["model"] == model
    np.testing.assert_array_equal(picture_of(output / "0.png")[1], picture_of(output / "1.png")[1])


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize("model", ["acme-models/soft", "acme/plain", "zinc/a"])
def test_one_that_cannot_be_used_is_one_line(
    model: str, faulty: str, tmp_path: Path, output: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    code, _, err = run([still(tmp_path), "-o", output / "a.png", "-m", model], capfd)
    assert code == 4
    assert_one_line(err)
    assert model in err or err.startswith(f"mjpeg-restore: {faulty}")
    assert not [*output.iterdir()]


@needs_tensorrt_rtx
@pytest.mark.usefixtures("place")
def test_engines_are_built_with_the_packages_name(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    needs("onnx")
    names: list[str] = []

    def build(plan: Plan, package: Package, progress: Progress, *_: object) -> Built:
        names.append(plan.name)
        return Built(b"engine", b"")

    monkeypatch.setattr("mjpeg_restore.runtime.tensorrt.engines.build", build)
    words = ["build", MODEL, "--device", "tensorrt-rtx", "--compute-capability", "8.9"]
    code, out, err = run([*words, "--engine-cache", tmp_path / "engines"], capfd)
    assert (code, err) == (0, "")
    assert names == ["acme-models/decode.grey", "acme-models/decode.colour"]
    assert out.startswith("acme-models/decode.grey, compute capability 8.9: ")
    files = sorted(path.name for path in (tmp_path / "engines").iterdir() if path.suffix == ".engine")
    assert [name.split("-")[:2] for name in files] == [["acme", "models"]] * 2
