"""The native extensions built with AddressSanitizer and UndefinedBehaviorSanitizer, and a process that uses them."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).parents[2]
EXTENSIONS = (
    *("mjpeg_restore.jpeg._native", "mjpeg_restore.jpeg._entropy"),
    *("mjpeg_restore.runtime.cpu._projection", "mjpeg_restore.runtime.cpu._state"),
    *("mjpeg_restore.runtime.cpu._pieces", "mjpeg_restore.runtime.cpu._sparse"),
)
_FOLDER = "MJPEG_RESTORE_SANITIZED"
"""Environment variable: the folder of the extensions, in the process that runs with the sanitizers."""
_FLAGS = ["-O1", "-g1", "-fno-omit-frame-pointer", "-fno-sanitize-recover=all"]
"""Of the debugger's tables the lines alone, which findings name: all of them take the compiler half as long again."""
_OPTIONS = {
    # Python frees little at its end. Memory that cannot be had is NULL, as without the sanitizer.
    "ASAN_OPTIONS": "detect_leaks=0:allocator_may_return_null=1:max_allocation_size_mb=2000",
    "UBSAN_OPTIONS": "print_stacktrace=1",
}


def restart(folder: Path, runtime: Path | None) -> None:
    """Build the extensions and start this command again with them; return in the process that has them.

    Args:
        folder: where the extensions are built.
        runtime: the runtime of the sanitizers that comes with Atheris, for Clang; None: that of the compiler `cc`.
    """
    if _FOLDER in os.environ:
        _load(Path(os.environ[_FOLDER]))
        return
    compiler = "clang" if runtime else "cc"
    if not shutil.which(compiler):
        sys.exit(f"fuzz: {compiler} is not installed: the sanitizers need it")
    folder.mkdir(parents=True, exist_ok=True)
    for name in EXTENSIONS:
        _build(name, compiler, ["fuzzer-no-link"] if runtime else [], folder)
    library = str(runtime) if runtime else _output(compiler, "-print-file-name=libasan.so")
    environment = {**os.environ, **_OPTIONS, _FOLDER: str(folder.resolve()), "LD_PRELOAD": library}
    os.execve(sys.executable, [sys.executable, *sys.argv], environment)


def _build(name: str, compiler: str, kinds: list[str], folder: Path) -> None:
    """Compile an extension, unless what is there is newer than its sources; its libjpeg-turbo is that of LIBJPEG_TURBO
    (see setup.py), or the system's."""
    static, found = os.environ.get("LIBJPEG_TURBO"), _file(folder, name)
    source = ROOT / f"{name.replace('.', '/')}.c"
    newest = max(path.stat().st_mtime for path in (*source.parent.glob("_*.[ch]"), Path(__file__)))
    if not static and found.exists() and found.stat().st_mtime > newest:
        return
    jpeg = [f"-I{static}/include", f"{static}/lib/libjpeg.a", "-Wl,--exclude-libs,ALL"] if static else ["-ljpeg"]
    sanitize = ",".join(["address", "undefined", "float-cast-overflow", *kinds])
    command = [
        *(compiler, "-shared", "-fPIC", *_FLAGS, f"-fsanitize={sanitize}", "-DPy_LIMITED_API=0x030B0000"),
        f"-I{sysconfig.get_path('include')}",
        str(source),
        *(jpeg if name.endswith("_native") else []),
        *("-o", f"{found}.new"),
    ]
    if subprocess.run(command).returncode:
        sys.exit(f"fuzz: {name} does not compile with sanitizers: see above")
    os.replace(f"{found}.new", found)


def _output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def _load(folder: Path) -> None:
    """Import the extensions in the place of those that are installed."""
    for name in EXTENSIONS:
        spec = importlib.util.spec_from_file_location(name, _file(folder, name))
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        sys.modules[name] = module


def _file(folder: Path, name: str) -> Path:
    return folder / f"{name.rpartition('.')[2]}.abi3.so"
