"""What ends up in a wheel and in an archive of the sources."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import venv
import zipfile
from pathlib import Path
from typing import Any

import pytest

import mjpeg_restore
from tests.lacking import PROGRAMS, needs, needs_compiler, needs_patchelf, needs_readelf, needs_static_libjpeg

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


def marker_of(package: str) -> Any:
    """The condition under which a plain install brings a package."""
    markers = needs("packaging.requirements")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (found,) = (entry for entry in map(markers.Requirement, project["dependencies"]) if entry.name == package)
    return found.marker


OPENVINO = [("linux", "x86_64"), ("linux", "aarch64"), ("darwin", "arm64"), ("darwin", "x86_64"), ("win32", "AMD64")]
"""Where it has wheels, for each Python from 3.11 to 3.14."""


@pytest.mark.parametrize(("system", "machine"), [*OPENVINO, ("win32", "ARM64"), ("linux", "armv7l"), ("linux", "i686")])
@pytest.mark.parametrize("python", ["3.11", "3.14"])
def test_openvino_comes_where_it_has_wheels(system: str, machine: str, python: str) -> None:
    here = {"sys_platform": system, "platform_machine": machine, "python_version": python}
    assert marker_of("openvino").evaluate(here) is ((system, machine) in OPENVINO)


JPEGLIB = [("linux", "x86_64"), ("darwin", "arm64"), ("darwin", "x86_64"), ("win32", "AMD64")]
"""Where it has wheels."""


@pytest.mark.parametrize(("system", "machine"), [*JPEGLIB, ("linux", "aarch64"), ("win32", "ARM64")])
def test_jpeglib_comes_where_it_has_wheels(system: str, machine: str) -> None:
    here = {"sys_platform": system, "platform_machine": machine}
    assert marker_of("jpeglib").evaluate(here) is ((system, machine) in JPEGLIB)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive of the sources, made in a copy of the checkout: it writes there."""
    needs("setuptools")
    folder = tmp_path_factory.mktemp("archive")
    for name in sources():
        (folder / "copy" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "copy" / name).write_bytes((ROOT / name).read_bytes())
    done = build("sdist", "-d", str(folder), folder=folder / "copy")
    assert done.returncode == 0, done.stderr
    # The version in the name was read from the source: the dependencies are not there when a wheel is built.
    return folder / f"mjpeg_restore-{mjpeg_restore.__version__}.tar.gz"


def sources() -> set[str]:
    """What an archive has to hold: all that a checkout does, but for the settings of git and of its services."""
    folders = ("docs", "engines", "examples", "mjpeg_restore", "scripts", "tests")
    paths = [*ROOT.glob("*.md"), *(path for folder in folders for path in ROOT.glob(f"{folder}/**/*"))]
    found = {path.relative_to(ROOT).as_posix() for path in paths if path.suffix in KINDS}
    return found | {".dockerignore", "Dockerfile", "LICENSE", "MANIFEST.in", "Makefile", "pyproject.toml", "setup.py"}


KINDS = {
    *(".c", ".css", ".h", ".html", ".js", ".json", ".md", ".npz", ".onnx", ".png", ".py", ".pyi", ".service", ".svg"),
    ".typed",
}
"""Of the files in those folders, but for what is built there."""


def build(*words: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run setup.py; of the variables that it reads, those in `environment` alone are set."""
    command = [sys.executable, "setup.py", "-q", *words]
    inherited = {name: value for name, value in os.environ.items() if name not in ("CIBUILDWHEEL", "LIBJPEG_TURBO")}
    return subprocess.run(command, cwd=folder, env={**inherited, **environment}, capture_output=True, text=True)


def test_an_archive_of_the_sources_is_whole(archive: Path) -> None:
    with tarfile.open(archive) as found:
        held = {name.partition("/")[2] for name in found.getnames()}
    assert sources() <= held


# ---- the wheel ----

REPOSITORY = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["urls"]["Source"]
EXTENSIONS = {
    *("jpeg/_native", "jpeg/_entropy"),
    *("runtime/cpu/_projection", "runtime/cpu/_state", "runtime/cpu/_pieces", "runtime/cpu/_sparse"),
}


@pytest.fixture(scope="module")
def wheel(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel built from the archive; the environment's LIBJPEG_TURBO links libjpeg-turbo statically."""
    folder = tmp_path_factory.mktemp("wheel")
    with tarfile.open(archive) as found:
        found.extractall(folder, filter="data")
    words = ("wheel", "--quiet", "--no-index", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder))
    pip(*words, str(folder / archive.name.removesuffix(".tar.gz")))
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def repaired(wheel: Path) -> Path:
    """The wheel with the libraries that it needs inside, for the oldest Linux that can take it."""
    needs("auditwheel")
    folder = wheel.parent / "repaired"
    environment = os.environ | {"PATH": PROGRAMS}
    command = [sys.executable, "-m", "auditwheel", "repair", "--wheel-dir", str(folder), str(wheel)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def packed(wheel: Path) -> Path:
    """The folder of the package, from the wheel."""
    with zipfile.ZipFile(wheel) as found:
        found.extractall(wheel.parent / "unpacked")
    return wheel.parent / "unpacked" / "mjpeg_restore"


def pip(*words: str) -> None:
    """Run pip, which an environment may lack."""
    needs("pip")
    subprocess.run([sys.executable, "-m", "pip", *words], check=True)


@pytest.mark.slow
@needs_compiler
def test_a_wheel_is_for_all_versions_of_python(wheel: Path) -> None:
    assert wheel.name.startswith(f"mjpeg_restore-{mjpeg_restore.__version__}-cp311-abi3-")
    assert wheel.stat().st_size < 100_000_000  # PyPI takes no more


@pytest.mark.slow
@needs_compiler
def test_the_readme_of_a_wheel_has_absolute_links(packed: Path) -> None:
    (metadata,) = packed.parent.glob("*.dist-info/METADATA")
    links = re.findall(r"\]\(([^)]+)\)", metadata.read_text())
    assert f"{REPOSITORY}/blob/main/docs/papers.md" in links
    assert not [link for link in links if not link.startswith(("https://", "#"))]


@pytest.mark.slow
@needs_compiler
def test_a_wheel_holds_engines_stubs_and_extensions(packed: Path) -> None:
    held = {path.relative_to(packed).as_posix() for path in packed.rglob("*") if path.is_file()}
    engines = {f"engines/{path.name}" for path in (ROOT / "engines").iterdir() if path.is_file()}
    page = {f"serve/page/{path.name}" for path in (ROOT / "mjpeg_restore/serve/page").iterdir()}
    plugin = {"gstreamer/python/mjpegrestore.py"}
    assert engines | page | plugin | {f"{name}.pyi" for name in EXTENSIONS} | {"py.typed"} <= held
    assert {name.partition(".")[0] for name in held if name.endswith((".so", ".pyd"))} == EXTENSIONS
    assert not any(name.endswith((".c", ".h")) for name in held)


@pytest.mark.slow
@needs_compiler
@needs_static_libjpeg
@needs_readelf
def test_libjpeg_is_inside(packed: Path) -> None:
    (native,) = packed.glob("jpeg/_native.*.so")
    found = subprocess.run(["readelf", "-d", native], capture_output=True, text=True, check=True).stdout
    assert "NEEDED" in found
    assert "jpeg" not in found
    symbols = subprocess.run(["readelf", "-W", "--dyn-syms", native], capture_output=True, text=True, check=True).stdout
    assert "PyInit__native" in symbols
    assert "jpeg_" not in symbols


@pytest.mark.slow
@needs_compiler
@needs_patchelf
def test_a_repaired_wheel_needs_no_libjpeg_of_the_system(repaired: Path) -> None:
    assert re.search("manylinux|musllinux", repaired.name)
    with zipfile.ZipFile(repaired) as found:
        bundled = [name for name in found.namelist() if re.match(r"mjpeg_restore\.libs/libjpeg.*\.so", name)]
    # A static libjpeg-turbo is in the extension itself.
    assert bool(bundled) is ("LIBJPEG_TURBO" not in os.environ)


@pytest.mark.slow
@needs_compiler
@needs_patchelf
def test_an_installed_wheel_reads_and_restores(repaired: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", with_pip=False)
    binaries = tmp_path / "venv" / ("Scripts" if os.name == "nt" else "bin")
    python = binaries / Path(sys.executable).name
    pip("--python", str(python), "install", "--quiet", "--no-index", "--no-deps", str(repaired))
    # The dependencies are those of the tests' environment; their folder's own .pth files are not read from there.
    paths = sysconfig.get_paths()
    found = sysconfig.get_path("purelib", vars={"base": str(tmp_path / "venv"), "platbase": str(tmp_path / "venv")})
    Path(found, "dependencies.pth").write_text(f"{paths['purelib']}\n{paths['platlib']}\n")
    environment = {name: value for name, value in os.environ.items() if name not in ("PATH", "PYTHONPATH")}
    done = subprocess.run(
        [python, ROOT / "scripts/check_wheel.py"],
        cwd=tmp_path,
        env={**environment, "PATH": str(binaries)},  # no compiler
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    package, library, restored = done.stdout.splitlines()
    assert Path(package).is_relative_to(found)
    assert re.fullmatch(r"libjpeg-turbo [\d.]+ \(native\)", library)
    assert restored.startswith("stream-lite restored")


# ---- what cannot be compiled ----


def test_an_install_without_a_compiler_warns(archive: Path) -> None:
    done = build("build_ext", folder=archive.parent / "copy", CC="false")
    assert done.returncode == 0
    assert done.stderr.count("warning: mjpeg-restore: no native") == len(EXTENSIONS)
    assert "headers are missing" not in done.stderr


@pytest.mark.skipif(os.name == "nt", reason="needs a compiler of Unix")
@needs_compiler
@pytest.mark.parametrize("flag", ["-D__clang__", "-U__clang__"])
def test_convolutions_that_clang_leaves_out_are_warned_of(archive: Path, flag: str) -> None:
    compiler = f"cc {flag} -fsyntax-only"
    done = build("build_ext", "--force", folder=archive.parent / "copy", CC=compiler, LDSHARED="true")
    is_empty = flag.startswith("-D") and platform.machine() == "x86_64"
    assert ("no native convolutions (Clang" in done.stderr) is is_empty


@pytest.mark.parametrize("environment", [{"CIBUILDWHEEL": "1"}, {"LIBJPEG_TURBO": "nowhere"}])
def test_a_wheel_to_be_published_does_not_lack_an_extension(archive: Path, environment: dict[str, str]) -> None:
    done = build("build_ext", folder=archive.parent / "copy", CC="false", **environment)
    assert done.returncode != 0
    assert "false" in done.stderr


@pytest.mark.skipif(os.name == "nt", reason="needs a shell script as a compiler")
def test_headers_that_are_missing_are_named(archive: Path, tmp_path: Path) -> None:
    compiler = tmp_path / "compiler"
    compiler.write_text("#!/bin/sh\n! grep -q jpeglib.h\n")
    compiler.chmod(0o755)
    done = build("build_ext", folder=archive.parent / "copy", CC=str(compiler), CIBUILDWHEEL="1")
    assert done.returncode != 0
    assert "libjpeg-turbo's headers are missing" in done.stderr
