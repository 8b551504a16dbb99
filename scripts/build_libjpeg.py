"""Build the static libjpeg-turbo that wheels link: `python scripts/build_libjpeg.py PREFIX`.

It needs CMake, a C compiler and, on x86, NASM for the SIMD code. `LIBJPEG_TURBO=PREFIX` then tells setup.py where the
library is. The script runs before the package is installed, on any Python from 3.9 on, so it imports the standard
library alone.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import shutil
import subprocess
import sys
import tarfile
import tempfile
import urllib.request
from pathlib import Path

VERSION = "3.1.4.1"
URL = f"https://github.com/libjpeg-turbo/libjpeg-turbo/releases/download/{VERSION}/libjpeg-turbo-{VERSION}.tar.gz"
SHA256 = "ecae8008e2cc9ade2f2c1bb9d5e6d4fb73e7c433866a056bd82980741571a022"

OPTIONS = {
    "CMAKE_BUILD_TYPE": "Release",
    "CMAKE_INSTALL_LIBDIR": "lib",  # not lib64, where setup.py would not look
    "CMAKE_POSITION_INDEPENDENT_CODE": "ON",  # it becomes part of a shared object
    "ENABLE_SHARED": "OFF",
    "REQUIRE_SIMD": "ON",  # without NASM the build fails rather than being slow
    "WITH_CRT_DLL": "ON",  # Windows: the C runtime of Python's extensions; unknown elsewhere
    "WITH_TESTS": "OFF",
    "WITH_TOOLS": "OFF",
    "WITH_TURBOJPEG": "OFF",
}


def main() -> None:
    """Download, verify, build and install."""
    parser = argparse.ArgumentParser(description="Build the static libjpeg-turbo that wheels link.")
    parser.add_argument("prefix", type=Path, help="folder to install to")
    prefix = parser.parse_args().prefix
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(fileobj=io.BytesIO(downloaded())) as archive:
            archive.extractall(folder, filter="data")
        build(Path(folder, f"libjpeg-turbo-{VERSION}"), Path(folder, "build"), prefix)


def downloaded() -> bytes:
    """The release archive, once its checksum has been verified."""
    try:
        with urllib.request.urlopen(URL, timeout=60) as response:
            archive = response.read()
    except OSError as error:
        sys.exit(f"{URL} cannot be downloaded ({error}): nothing was built")
    found = hashlib.sha256(archive).hexdigest()
    if found != SHA256:
        sys.exit(f"{URL} has the SHA-256 {found}, not {SHA256}: nothing was built")
    return archive


def build(sources: Path, folder: Path, prefix: Path) -> None:
    """Build the library in `folder` and install it with its headers to `prefix`."""
    options = [f"-D{name}={value}" for name, value in OPTIONS.items()]
    install = f"-DCMAKE_INSTALL_PREFIX={prefix.resolve().as_posix()}"
    run("cmake", "-S", str(sources), "-B", str(folder), install, *options)
    run("cmake", "--build", str(folder), "--config", "Release", "--parallel")
    run("cmake", "--install", str(folder), "--config", "Release")


def run(*command: str) -> None:
    """Run a command; its failure ends the script."""
    if not shutil.which(command[0]):
        sys.exit(f"{command[0]} is not installed: pip install {command[0]}")
    status = subprocess.run(command).returncode
    if status:
        sys.exit(f"{' '.join(command)} failed with status {status}: see above")


if __name__ == "__main__":
    main()
