"""Description of the machine that measures."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from pathlib import Path

from mjpeg_restore.cli.versions import versions
from mjpeg_restore.runtime import usable_cores

FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "asimddp", "bf16")
"""CPU flags, by Linux's names, that determine the speed of a network."""


@dataclass(frozen=True, slots=True)
class Machine:
    """Hardware, versions and load of a machine."""

    cpu: str
    cores: int
    """Number of cores that this process may use."""
    flags: tuple[str, ...]
    memory_gb: float
    load: float
    """Load average of the last minute: above a few tenths, measured speeds are too low."""
    python: str
    versions: tuple[str, ...]

    def describe(self) -> list[str]:
        """Lines of text about the machine."""
        lines = [
            f"{self.cpu}, {self.cores} cores used, {self.memory_gb:.0f} GB, {' '.join(self.flags) or 'no known flags'}",
            f"Python {self.python}; {'; '.join(self.versions)}",
            f"load average at the start: {self.load:.2f}",
        ]
        if self.load > 0.5:
            lines.append("THE MACHINE IS BUSY: the results are slower than they could be")
        return lines


def machine() -> Machine:
    """Describe this machine."""
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
    """An entry of Linux's /proc/meminfo, such as "MemTotal", in bytes; 0 if there is none."""
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
