"""The cost of many cameras in one process of the command."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from measuring.endurance import resident_mb

_WARM_UP = 10.0
"""Seconds before the measurement: networks are loaded, encoders opened."""


@dataclass(frozen=True, slots=True)
class FleetCost:
    """What a process with many cameras took."""

    cameras: int
    seconds: float
    """Measured, after the warm-up."""
    cores: float
    """CPU seconds per second."""
    threads: int
    """Most at a time."""
    memory_mb: float
    """Most resident memory, 10^6 bytes."""
    fps: float
    """Pictures restored in a second, of all cameras."""
    late: int
    """Pictures dropped because they waited too long, the start included."""
    latency_ms: dict[str, float]
    """Percentiles of the camera with the highest median."""
    exit_code: int

    def __str__(self) -> str:
        latency = ", ".join(f"{name} {value:g} ms" for name, value in self.latency_ms.items())
        return (
            f"{self.cameras} cameras, {self.fps:.1f} pictures/s: {self.cores:.2f} cores, {self.threads} threads, "
            f"{self.memory_mb:.0f} MB, {self.late} late, latency {latency}"
        )


def measure(folder: Path, urls: Sequence[str], model: str, seconds: float, *, serve: bool) -> FleetCost:
    """Record cameras for some seconds, each to a file.

    Args:
        folder: for settings and files.
        urls: of the cameras.
        model: the network.
        seconds: length of the measurement.
        serve: serve them as well, on a port that the system chooses.

    Raises:
        RuntimeError: the command ended at once; the message is the last line that it wrote.
    """
    lines = ["[run]", 'serve = "127.0.0.1:0"' if serve else "", "[defaults]", f'model = "{model}"']
    lines += ['output = "{camera}.mp4"']
    for number, url in enumerate(urls):
        lines += [f"[cameras.camera{number}]", f'source = "{url}"']
    (folder / "cameras.toml").write_text("\n".join(lines) + "\n")
    command = [sys.executable, "-c", "from mjpeg_restore.cli import entry; entry()"]  # as the installed command does
    words = [*command, "run", str(folder / "cameras.toml"), "--json"]
    with (
        (folder / "log.txt").open("w") as log,
        subprocess.Popen(words, stdout=subprocess.PIPE, stderr=log, text=True) as process,
    ):
        try:
            with suppress(subprocess.TimeoutExpired):
                process.wait(_WARM_UP)
                lines = (folder / "log.txt").read_text().splitlines()
                raise RuntimeError(lines[-1] if lines else "the command ended")
            lasted, cores, threads, memory = _watch(process.pid, seconds)
            process.send_signal(signal.SIGINT)
            output, _ = process.communicate(timeout=60)
        finally:
            process.kill()
    reports = [camera["report"] for camera in json.loads(output)["cameras"].values()]
    slowest = max(reports, key=lambda report: report["latency_ms"].get("p50", 0.0))
    return FleetCost(
        len(urls),
        round(lasted, 1),
        round(cores, 3),
        threads,
        round(memory, 1),
        round(sum(report["fps"] for report in reports), 1),
        sum(report["late"] for report in reports),
        slowest["latency_ms"],
        process.returncode,
    )


def _watch(process: int, seconds: float) -> tuple[float, float, int, float]:
    """Watch a process for some seconds; returns how many, and its cores, most threads and most memory."""
    before, begun = _cpu_seconds(process), time.monotonic()
    threads, memory = 0, 0.0
    while time.monotonic() - begun < seconds:
        threads = max(threads, len(os.listdir(f"/proc/{process}/task")))
        memory = max(memory, resident_mb(process))
        time.sleep(0.5)
    lasted = time.monotonic() - begun
    return lasted, (_cpu_seconds(process) - before) / lasted, threads, memory


def _cpu_seconds(process: int) -> float:
    """CPU time of a process so far, all threads."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
