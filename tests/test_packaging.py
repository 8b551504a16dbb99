"""What ends up in a wheel and in an archive of the sources."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import tomllib
from pathlib import Path

import pytest

import mjpeg_restore
from tests.lacking import needs, needs_setuptools

ROOT = Path(__file__).parents[1]


def test_every_package_is_named() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    folders = {".".join(path.parent.relative_to(ROOT).parts) for path in ROOT.glob("mjpeg_restore/**/__init__.py")}
    assert {*settings["packages"]} == folders | {"mjpeg_restore.engines"}


def test_a_plain_install_brings_both_runtimes_and_extras_bring_either() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for runtime in ("openvino", "onnxruntime"):
        assert any(entry.startswith(f"{runtime}>=") for entry in project["dependencies"])
        assert all(entry.startswith(f"{runtime}>=") for entry in project["optional-dependencies"][runtime])


OPENVINO = [("linux", "x86_64"), ("linux", "aarch64"), ("darwin", "arm64"), ("darwin", "x86_64"), ("win32", "AMD64")]
"""Where it has wheels, for each Python from 3.11 to 3.14."""


@pytest.mark.parametrize(("system", "machine"), [*OPENVINO, ("win32", "ARM64"), ("linux", "armv7l"), ("linux", "i686")])
@pytest.mark.parametrize("python", ["3.11", "3.14"])
def test_openvino_comes_where_it_has_wheels(system: str, machine: str, python: str) -> None:
    markers = needs("packaging.requirements")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (openvino,) = (entry for entry in map(markers.Requirement, project["dependencies"]) if entry.name == "openvino")
    here = {"sys_platform": system, "platform_machine": machine, "python_version": python}
    assert openvino.marker.evaluate(here) is ((system, machine) in OPENVINO)


@needs_setuptools
def test_an_archive_of_the_sources_is_whole(tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    wanted = ["pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "LICENSE", "CHANGELOG.md", "Makefile"]
    for pattern in ("mjpeg_restore/**/*", "engines/*", "scripts/**/*.py", "tests/**/*.py"):
        files = (path for path in ROOT.glob(pattern) if path.is_file() and path.suffix not in (".pyc", ".so"))
        wanted += [str(path.relative_to(ROOT)) for path in files]
    for name in wanted:
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).write_bytes((ROOT / name).read_bytes())
    command = [sys.executable, "setup.py", "-q", "sdist", "-d", str(tmp_path)]
    done = subprocess.run(command, cwd=copy, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    # The version in the name was read from the source: the dependencies are not there when a wheel is built.
    stem = f"mjpeg_restore-{mjpeg_restore.__version__}"
    with tarfile.open(tmp_path / f"{stem}.tar.gz") as archive:
        held = {name.removeprefix(f"{stem}/") for name in archive.getnames()}
    assert {*wanted} <= held
