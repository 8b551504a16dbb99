"""The native extensions, and the readme for package indexes; everything else stands in pyproject.toml.

LIBJPEG_TURBO=PREFIX links the static libjpeg-turbo that `scripts/build_libjpeg.py PREFIX` has installed. With it, and
under cibuildwheel, an extension that does not compile is an error. Otherwise it is a warning that names the fallback.
"""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

LIMITED_API = "0x030B0000"  # CPython 3.11: one wheel for it and all later versions
PROBE = "#include <stdio.h>\n#include <jpeglib.h>\n#ifndef LIBJPEG_TURBO_VERSION\n#error\n#endif\n"
CLANG = "#if !defined(__clang__) || !defined(__x86_64__)\n#error\n#endif\n"
STATIC = os.environ.get("LIBJPEG_TURBO", "")
OPTIONAL = not STATIC and "CIBUILDWHEEL" not in os.environ

READER, ENTROPY = "mjpeg_restore.jpeg._native", "mjpeg_restore.jpeg._entropy"
PROJECTION, STATE = "mjpeg_restore.runtime.cpu._projection", "mjpeg_restore.runtime.cpu._state"
PIECES, SPARSE = "mjpeg_restore.runtime.cpu._pieces", "mjpeg_restore.runtime.cpu._sparse"
VECTORS = (PROJECTION, STATE, SPARSE)
HAS_JPEGLIB = sys.platform == "darwin" or platform.machine() in ("x86_64", "AMD64")  # as pyproject.toml says
INSTEAD = (
    "the slower jpeglib will be used" if HAS_JPEGLIB else "without jpeglib, which has to be compiled, nothing is read"
)
WITHOUT = {
    READER: f"no native reader ({{}}); {INSTEAD}. "
    "For the fast one install a C compiler and libjpeg-turbo's headers (Debian: libjpeg-dev)",
    ENTROPY: "no native walk through damaged pictures ({}); more of each will be taken for damaged than is. "
    "For the exact one install a C compiler",
    PROJECTION: "no native decode and projection ({}); runtimes will do them, more slowly. "
    "For the fast ones install GCC or Clang",
    STATE: "no native state of cameras ({}); models for video will compute every frame whole. "
    "For the fast way install GCC or Clang",
    SPARSE: "no native convolutions ({}); models for video will compute more. For the fast way install GCC",
    PIECES: "no native search for the pieces of a picture that moved ({}); models for video will compute more. "
    "For the fast way install a C compiler",
}


class OptionalBuild(build_ext):
    """Builds each extension; where one is optional, says in one line which fallback will be used."""

    def build_extension(self, ext: Extension) -> None:
        """Compile and link. The failure of an optional extension does not end the installation."""
        try:
            self._check(ext)
            super().build_extension(ext)
            if ext.name == SPARSE and self._compiles(CLANG):  # they are written for GCC there, and the module is empty
                self._warn(ext, "Clang compiles none of them")
        except Exception as error:  # compilers and linkers fail in their own ways; all mean the same here
            if not ext.optional:
                raise
            self._warn(ext, error if isinstance(error, OSError) else "it does not compile, see above")

    def _warn(self, ext: Extension, reason: object) -> None:
        sys.stderr.write(f"warning: mjpeg-restore: {WITHOUT[ext.name].format(reason)}.\n")

    def _check(self, ext: Extension) -> None:
        """Fail at once where the compiler would print a page of errors first."""
        # A compiler that does not work says so itself.
        if ext.name == READER and self._compiles("") and not self._compiles(PROBE, ext.include_dirs):
            raise FileNotFoundError("libjpeg-turbo's headers are missing")
        if ext.name in VECTORS and self.compiler.compiler_type == "msvc":
            raise OSError("MSVC lacks the vector types of GCC and Clang")

    def _compiles(self, program: str, folders: Sequence[str] = ()) -> bool:
        """Ask the compiler whether a program is correct, with headers of these folders."""
        command = getattr(self.compiler, "compiler_so", None)
        if not command:  # not a Unix compiler: just try
            return True
        include = [f"-I{folder}" for folder in [*folders, *self.compiler.include_dirs]]
        probe = [*command, *include, "-fsyntax-only", "-x", "c", "-"]
        return subprocess.run(probe, input=program, text=True, capture_output=True).returncode == 0


def extension(name: str, optimisation: str, **options: object) -> Extension:
    """One C file, built for the limited API."""
    return Extension(
        name,
        sources=[f"{name.replace('.', '/')}.c"],
        define_macros=[("Py_LIMITED_API", LIMITED_API)],
        # Of a debugger's tables the lines alone: Python's own options ask for all, two thirds of an extension.
        extra_compile_args=[] if sys.platform == "win32" else [optimisation, "-g1"],
        py_limited_api=True,
        **{"optional": OPTIONAL, **options},
    )


def libjpeg() -> dict[str, list[str]]:
    """Options that link libjpeg-turbo: the static library of `STATIC`, else what the system has."""
    if not STATIC:
        return {"libraries": ["jpeg"]}
    library = "jpeg-static.lib" if sys.platform == "win32" else "libjpeg.a"
    return {
        "include_dirs": [str(Path(STATIC, "include"))],
        "extra_objects": [str(Path(STATIC, "lib", library))],
        # Its symbols stay inside: a process may hold another libjpeg (OpenCV's, Pillow's) of another version.
        "extra_link_args": ["-Wl,--exclude-libs,ALL"] if sys.platform == "linux" else [],
    }


def readme() -> str:
    """The readme with absolute links: package indexes do not have the files that its relative ones name."""
    files = "https://github.com/mjpeg-restore/mjpeg-restore/blob/main/"
    return re.sub(r"\]\((?!https:|#)", f"]({files}", Path("README.md").read_text("utf-8"))


setup(
    long_description=readme(),
    long_description_content_type="text/markdown",
    cmdclass={"build_ext": OptionalBuild},
    options={"bdist_wheel": {"py_limited_api": "cp311"}, "build_ext": {"parallel": str(os.cpu_count() or 1)}},
    ext_modules=[
        extension(READER, "-O2", **libjpeg()),
        extension(ENTROPY, "-O2"),
        extension(PIECES, "-O2"),
        *(
            extension(
                name,
                "-O3",
                depends=sorted(map(str, Path("mjpeg_restore/runtime/cpu").glob("_*.h"))),
                libraries=[] if sys.platform == "win32" else ["m"],
                optional=OPTIONAL or sys.platform == "win32",  # wheels for Windows are compiled with MSVC and lack them
            )
            for name in VECTORS
        ),
    ],
)
