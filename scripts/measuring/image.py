"""The Dockerfile, read and carried out as far as that is possible without Docker."""

from __future__ import annotations

import fnmatch
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

BASE_MB = 125
"""Size of the base image, 10^6 bytes, as Docker lists it; not measured here."""
LIMIT_MB = 600


@dataclass(frozen=True, slots=True)
class Image:
    """What a Dockerfile of two stages does: one builds, and the other one takes the result."""

    root: Path
    """Where the Dockerfile is."""
    instructions: tuple[tuple[str, str], ...]
    """Names and arguments, comments left out and lines joined."""

    @classmethod
    def parse(cls, root: Path) -> Image:
        """Read the Dockerfile of a folder."""
        lines = [line for line in (root / "Dockerfile").read_text().splitlines() if not line.startswith("#")]
        joined = re.sub(r"\\\n\s*", "", "\n".join(lines)).splitlines()
        split = (line.partition(" ") for line in joined if line.strip())
        return cls(root, tuple((name, arguments.strip()) for name, _, arguments in split))

    @property
    def base(self) -> str:
        """The base of the image."""
        return self.arguments("FROM")[-1]

    @property
    def installed(self) -> PurePosixPath:
        """The folder that the image takes from the stage that builds."""
        (copied,) = (words for words in self.arguments("COPY") if words.startswith("--from="))
        return PurePosixPath(copied.split()[-1])

    def arguments(self, name: str) -> list[str]:
        """The arguments of all instructions of a name."""
        return [arguments for instruction, arguments in self.instructions if instruction == name]

    def copies(self) -> list[tuple[list[str], str]]:
        """What is copied from the folder: names, and the target."""
        words = [arguments.split() for arguments in self.arguments("COPY") if not arguments.startswith("--from=")]
        return [(names, target) for *names, target in words]

    def build(self, folder: Path) -> None:
        """Copy and run what the first stage does, below a folder instead of the root.

        Raises:
            subprocess.CalledProcessError: a step failed.
        """
        ignored = shutil.ignore_patterns(*self._ignored())
        for names, target in self.copies():
            place = folder / target.lstrip("/")
            for name in names:
                source = self.root / name
                if source.is_dir():
                    shutil.copytree(source, place, ignore=ignored)
                else:
                    place.mkdir(parents=True, exist_ok=True)
                    shutil.copy(source, place)
        for command in self.arguments("RUN"):
            if "apt-get" not in command:
                self._run(command, folder)

    def size_mb(self, folder: Path) -> float:
        """What the image takes from the first stage, 10^6 bytes."""
        place = folder / self.installed.relative_to("/")
        return sum(path.lstat().st_size for path in place.rglob("*")) / 1e6

    def admits(self, name: str) -> bool:
        """Whether .dockerignore lets Docker see a file or folder at the top."""
        lines = (self.root / ".dockerignore").read_text().split()
        admitted = [line.removeprefix("!") for line in lines if line.startswith("!")]
        return any(fnmatch.fnmatch(name, pattern) for pattern in admitted)

    def _ignored(self) -> list[str]:
        """Names that .dockerignore leaves out of what is copied."""
        lines = (self.root / ".dockerignore").read_text().split()
        return [PurePosixPath(line).name for line in lines if "/" in line]

    def _run(self, command: str, folder: Path) -> None:
        """Run a shell command with this Python, and with the folders of the image below another one."""
        programs = folder / "programs"
        programs.mkdir(exist_ok=True)
        for name, words in {"python": "", "pip": " -m pip"}.items():
            (programs / name).write_text(f'#!/bin/sh\nexec "{sys.executable}"{words} "$@"\n')
            (programs / name).chmod(0o755)
        moved = re.sub(r'(?<=[\s"])/(?=opt/|src\b)', f"{folder}/", command)
        environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "LIBJPEG_TURBO")}
        path = f"{programs}{os.pathsep}{environment.get('PATH', '')}"
        subprocess.run(["sh", "-ec", moved], env=environment | {"PATH": path}, check=True)
