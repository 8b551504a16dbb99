"""The machine that figures were measured on."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from pathlib import Path

from mjpeg_restore.cli.versions import versions
from mjpeg_restore.runtime import usable_cores

FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "asimddp", "bf16")
"""What decides about the speed of a network on a CPU, as Linux calls it."""


@dataclass(frozen=True, slots=True)
class Machine:
    """Where, with what, and how busy it was."""

    cpu: str
    cores: int
    """That this process may use."""
    flags: tuple[str, ...]
    memory_gb: float
    load: float
    """Processes that wanted to run in the minute before: more than a few tenths, and the figures are too low."""
    python: str
    versions: tuple[str, ...]

    def describe(self) -> list[str]:
        """For people, in lines."""
        lines = [
            f"{self.cpu}, {self.cores} cores used, {self.memory_gb:.0f} GB, {' '.join(self.flags) or 'no known flags'}",
            f"Python {self.python}; {'; '.join(self.versions)}",
            f"load average at the start: {self.load:.2f}",
        ]
        if self.load > 0.5:
            lines.append("THE MACHINE IS BUSY WITH SOMETHING ELSE: what follows is slower than it could be")
        return lines


def machine() -> Machine:
    """Look around."""
    lines = [line.partition(":") for line in _read("/proc/cpuinfo").splitlines()]
    fields = {name.strip(): value.strip() for name, _, value in lines}
    present = (fields.get("flags") or fields.get("Features") or "").split()
    return Machine(
        cpu=fields.get("model name") or platform.processor() or platform.machine(),
        cores=usable_cores(),
        flags=tuple(flag for flag in FLAGS if flag in present),
        memory_gb=memory("MemTotal") / 1e9,
        load=round(os.getloadavg()[0], 2),
        python=platform.python_version(),
        versions=tuple(versions()),
    )


def memory(what: str) -> int:
    """A line of Linux's /proc/meminfo, in bytes: "MemTotal", "MemAvailable"; 0 where there is no such thing."""
    for line in _read("/proc/meminfo").splitlines():
        name, _, value = line.partition(":")
        if name == what:
            return 1024 * int(value.split()[0])
    return 0


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""
