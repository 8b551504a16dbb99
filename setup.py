"""The native coefficient reader; everything else about the package stands in pyproject.toml."""

from __future__ import annotations

import sys

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

LIMITED_API = "0x030B0000"  # CPython 3.11: one wheel for it and all later versions


class OptionalBuild(build_ext):
    """Builds the extension, or says in one line that the fallback will be used."""

    def build_extension(self, ext: Extension) -> None:
        """Compile and link; a failure (no compiler, no headers of libjpeg-turbo) is not fatal."""
        try:
            super().build_extension(ext)
        except Exception as error:  # compilers and linkers fail in their own ways, all mean the same here
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            sys.stderr.write(
                f"warning: mjpeg-restore: no native reader ({reason}); the slower jpeglib will be used. "
                "For the fast one install a C compiler and libjpeg-turbo's headers (Debian: libjpeg-dev).\n"
            )

    def copy_extensions_to_source(self) -> None:
        """For in-place builds: copy only what was built."""
        try:
            super().copy_extensions_to_source()
        except OSError as error:
            sys.stderr.write(f"warning: mjpeg-restore: nothing to copy: {error}\n")


setup(
    cmdclass={"build_ext": OptionalBuild},
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
    ext_modules=[
        Extension(
            "mjpeg_restore.jpeg._native",
            sources=["mjpeg_restore/jpeg/_native.c"],
            libraries=["jpeg"],
            define_macros=[("Py_LIMITED_API", LIMITED_API)],
            extra_compile_args=["-O2"] if sys.platform != "win32" else [],
            py_limited_api=True,
            optional=True,
        )
    ],
)
