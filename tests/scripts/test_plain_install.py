"""Every script explains itself in a plain install, and says in one line what it needs beyond that."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPTS = [
    "train",
    "export",
    "evaluate",
    "evaluate_video",
    "fuzz",
    "benchmark",
    "reproduce",
    "make_sample",
    "draw_screens",
    "play_camera",
    "soak",
    "demo",
    "build_libjpeg",
    "check_wheel",
    "check_image",
    "measure_fleet",
    "measure_serving",
    "gpu_check",
    "build_engines",
    "check_precision",
    "measure_archive",
    "measure_scale",
    "scale",
]
EXTRAS = ["torch", "torchvision", "onnx", "onnxscript", "PIL", "matplotlib", "scipy", "h5py", "ray"]
"""Modules of packages that a plain install does not bring."""


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment without them."""
    folder = tmp_path_factory.mktemp("plain")
    for module in EXTRAS:
        (folder / f"{module}.py").write_text(f"raise ModuleNotFoundError('No module {module}', name={module!r})\n")
    return os.environ | {"PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)])}


def script(plain: dict[str, str], name: str, *words: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, f"scripts/{name}.py", *map(str, words)]
    return subprocess.run(command, cwd=ROOT, env=plain, capture_output=True, text=True, check=False)


def test_every_command_is_among_them() -> None:
    commands = {path.stem for path in (ROOT / "scripts").glob("*.py") if "__main__" in path.read_text()}
    assert commands == {*SCRIPTS}


@pytest.mark.parametrize("name", SCRIPTS)
def test_help_needs_no_extra(plain: dict[str, str], name: str) -> None:
    done = script(plain, name, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"usage: {name}.py")


@pytest.mark.parametrize(
    ("words", "package", "extra"),
    [
        ("train --model stream --data . --validation .", "torch", "train"),
        ("export --model decode", "torch", "train"),
        ("evaluate --data {folder}", "onnx", "train"),
        ("evaluate_video --json {folder}/video.json --data {folder}", "pillow", "demo"),
        ("benchmark --only reading --seconds 0.1", "pillow", "demo"),
        ("measure_archive", "ray", "ray"),
        ("benchmark --only network --model decode --sizes 64x64 --seconds 0.1 --peers {folder}", "torch", "train"),
        ("reproduce qgac --data {folder} --output {folder}", "pillow", "demo"),
        ("make_sample {folder}/a.avi", "pillow", "demo"),
        ("draw_screens {folder}", "matplotlib", "papers"),
        ("demo {folder}/a.avi {folder}/out", "pillow", "demo"),
    ],
)
def test_a_missing_package_is_one_line(
    plain: dict[str, str], tmp_path: Path, words: str, package: str, extra: str
) -> None:
    name, *others = words.format(folder=tmp_path).split()
    done = script(plain, name, *others)
    assert done.returncode == 1
    assert done.stderr.startswith(f"{name}: ") and done.stderr.count("\n") == 1, done.stderr
    assert done.stderr.endswith(f": pip install {package} (the extra mjpeg-restore[{extra}])\n")
    assert not list(tmp_path.iterdir())


def test_what_is_broken_in_another_way_is_not_called_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "scripts")
    from installed import needed

    with pytest.raises(ImportError, match="nowhere"), needed("This"):
        raise ImportError("nowhere", name="numpy.nowhere")
