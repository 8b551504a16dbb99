"""Separate processes for measurements, so that caches and memory of one do not affect the next.

The benchmark's own process imports and keeps as little as possible: on Linux a child's peak memory is never less than
its parent's memory at the time of the fork.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Ended:
    """Output and resource usage of a finished command."""

    output: str
    """Its standard output."""
    seconds: float
    """Wall-clock time, including imports and loading."""
    cpu_seconds: float
    """CPU time of all threads."""
    peak_mb: float
    """Peak resident memory, 10^6 bytes."""


def isolated(function: Callable[..., Result], *arguments: Any) -> Result:
    """Call a module-level function in a new process."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(function, *arguments).result()


def own_peak_mb() -> float:
    """Peak resident memory of this process so far, 10^6 bytes; 0 if the system does not report it."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) * 1024 / 1e6 for line in status.splitlines() if line.startswith("VmHWM")), 0.0)


def run(words: Sequence[str | Path]) -> Ended:
    """Run a command and wait for its end.

    Raises:
        RuntimeError: it failed; the message contains the end of its standard error.
    """
    begun = time.monotonic()
    process = subprocess.Popen(list(map(str, words)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout and process.stderr
    with process.stdout, process.stderr:
        output, errors = process.stdout.read(), process.stderr.read()  # a few lines each: no pipe can fill up
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.monotonic() - begun
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{words[0]} ended with {process.returncode}: {errors.strip()[-500:]}")
    unit = 1 if sys.platform == "darwin" else 1024
    return Ended(output, seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * unit / 1e6)


def restore(clip: Path, out: Path, model: str, device: str) -> tuple[dict[str, Any], Ended]:
    """Run the installed command on a clip; returns its report and resource usage."""
    command = Path(sys.executable).with_name("mjpeg-restore")
    ended = run([command, clip, "-o", out, "-m", model, "--device", device, "-y", "-q", "--json"])
    return json.loads(ended.output), ended
