"""Work in processes of its own, so that one measurement neither warms nor fattens the next.

The benchmark's own process imports and keeps as little as it can: on Linux a child's peak memory is
never less than what its parent held when it was made.
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
    """A command that came to its end."""

    output: str
    """What it printed."""
    seconds: float
    """From its start to its end, imports and loading included."""
    cpu_seconds: float
    """Of all its threads."""
    peak_mb: float
    """Its peak resident memory, in 10^6 bytes."""


def isolated(function: Callable[..., Result], *arguments: Any) -> Result:
    """Call a function of a module in a fresh process."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(function, *arguments).result()


def own_peak_mb() -> float:
    """Peak resident memory of this process so far, in 10^6 bytes; 0 where the system does not say."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) * 1024 / 1e6 for line in status.splitlines() if line.startswith("VmHWM")), 0.0)


def run(words: Sequence[str | Path]) -> Ended:
    """Run a command to its end.

    Raises:
        RuntimeError: it failed; the message holds what it said.
    """
    begun = time.monotonic()
    process = subprocess.Popen(list(map(str, words)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout and process.stderr
    with process.stdout, process.stderr:
        output, errors = process.stdout.read(), process.stderr.read()  # a few lines each: no pipe fills up
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.monotonic() - begun
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{words[0]} ended with {process.returncode}: {errors.strip()[-500:]}")
    unit = 1 if sys.platform == "darwin" else 1024
    return Ended(output, seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * unit / 1e6)


def restore(clip: Path, out: Path, model: str, device: str) -> tuple[dict[str, Any], Ended]:
    """Run the installed command on a clip; its report, and what it took."""
    command = Path(sys.executable).with_name("mjpeg-restore")
    ended = run([command, clip, "-o", out, "-m", model, "--device", device, "-y", "-q", "--json"])
    return json.loads(ended.output), ended
