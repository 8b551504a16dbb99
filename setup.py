"""The native extensions; everything else about the package stands in pyproject.toml."""

from __future__ import annotations

import subprocess
import sys

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

LIMITED_API = "0x030B0000"  # CPython 3.11: one wheel for it and all later versions
PROBE = "#include <stdio.h>\n#include <jpeglib.h>\n#ifndef LIBJPEG_TURBO_VERSION\n#error\n#endif\n"


READER, ENTROPY = "mjpeg_restore.jpeg._native", "mjpeg_restore.jpeg._entropy"
PROJECTION = "mjpeg_restore.runtime.cpu._projection"
WITHOUT = {
    READER: "no native reader ({}); the slower jpeglib will be used. "
    "For the fast one install a C compiler and libjpeg-turbo's headers (Debian: libjpeg-dev)",
    ENTROPY: "no native walk through damaged pictures ({}); more of each will be taken for damaged than is. "
    "For the exact one install a C compiler",
    PROJECTION: "no native decode and projection ({}); runtimes will do them, more slowly. "
    "For the fast ones install GCC or Clang",
}


class OptionalBuild(build_ext):
    """Builds each extension, or says in one line which fallback will be used."""

    def build_extension(self, ext: Extension) -> None:
        """Compile and link; nothing that goes wrong here ends the installation."""
        try:
            if ext.name == READER and not self._has_headers():
                raise FileNotFoundError("libjpeg-turbo's headers are missing")
            super().build_extension(ext)
        except Exception as error:  # compilers and linkers fail in their own ways; all mean the same here
            reason = error if isinstance(error, OSError) else "it does not compile, see above"
            sys.stderr.write(f"warning: mjpeg-restore: {WITHOUT[ext.name].format(reason)}.\n")

    def _has_headers(self) -> bool:
        """Ask the compiler first, quietly: without headers it would print a page of errors."""
        command = getattr(self.compiler, "compiler_so", None)
        if not command:  # not a Unix compiler: just try
            return True
        include = [f"-I{folder}" for folder in self.compiler.include_dirs]
        probe = [*command, *include, "-fsyntax-only", "-x", "c", "-"]
        return subprocess.run(probe, input=PROBE, text=True, capture_output=True).returncode == 0


def extension(name: str, optimisation: str, **options: list[str]) -> Extension:
    """One C file, built for the limited API."""
    return Extension(
        name,
        sources=[f"{name.replace('.', '/')}.c"],
        define_macros=[("Py_LIMITED_API", LIMITED_API)],
        extra_compile_args=[] if sys.platform == "win32" else [optimisation],
        py_limited_api=True,
        optional=True,
        **options,
    )


setup(
    cmdclass={"build_ext": OptionalBuild},
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
    ext_modules=[
        extension(READER, "-O2", libraries=["jpeg"]),
        extension(ENTROPY, "-O2"),
        extension(PROJECTION, "-O3", depends=["mjpeg_restore/runtime/cpu/_projection_kernel.h"]),
    ],
)
