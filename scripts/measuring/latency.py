"""Latency of the command for a camera, as its report has it and from outside: an HTTP camera in another process.

From outside, the latency of a picture is from the sending of its last byte to the reading of the last byte of its
frame, both on the monotonic clock, which the processes of a machine share.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from measuring.clips import Size

FPS = 30
SIZE: Size = (640, 480)
TARGETS_MS = (40.0, 120.0)
"""Median and 99th percentile for `stream-lite` at `SIZE`, on two cores."""
_WARM_UP = 2.0
"""Seconds at the beginning that are left out: the first pictures wait until the network is loaded."""

Percentiles = tuple[float, float, float]
"""50th, 95th and 99th, milliseconds."""


@dataclass(frozen=True, slots=True)
class Row:
    """Results of a model for one kind of output."""

    model: str
    output: str
    """"y4m" or "mp4"."""
    frames: int
    late: int
    """Pictures dropped because they had waited too long, those of the beginning included."""
    reported_ms: Percentiles
    outside_ms: Percentiles | None
    """None for a file, from which no frame can be read while it is written."""


def measure(models: Sequence[str], folder: Path, quality: int, seconds: float, device: str) -> Iterator[Row]:
    """Record a camera with each network, first to a pipe, then to a file.

    Args:
        models: names of the catalogue.
        folder: for the file and the camera's log.
        quality: of the camera's JPEGs.
        seconds: duration of a run.
        device: runtime of the command.
    """
    for model in models:
        for output in ("y4m", "mp4"):
            yield _run(model, output, folder, quality, seconds, device)


def _run(model: str, output: str, folder: Path, quality: int, seconds: float, device: str) -> Row:
    from measuring.endurance import camera

    log = folder / "sent.jsonl"
    player = ["--street", "--fps", str(FPS), "--size", "{}x{}".format(*SIZE), "--quality", str(quality)]
    with camera(log, player) as url:
        command = [
            Path(sys.executable).with_name("mjpeg-restore"),
            url,
            "-m",
            model,
            "--device",
            device,
            "--json",
            "-y",
        ]
        command += ["-q", "-o", "-" if output == "y4m" else folder / "out.mp4"]
        process = subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert process.stdout and process.stderr
        with process.stdout, process.stderr:
            begun = time.monotonic()
            read = _read(process.stdout, process, begun + _WARM_UP + seconds) if output == "y4m" else {}
            time.sleep(max(0.0, begun + _WARM_UP + seconds - time.monotonic()))
            process.send_signal(signal.SIGINT)
            rest, errors = process.communicate(timeout=60)
    words = (rest if output == "mp4" else errors).decode().strip().splitlines()
    if process.returncode not in (0, 130) or not words:
        raise RuntimeError(f"the command ended with {process.returncode}: {errors.decode().strip()[-500:]}")
    report = json.loads(words[-1])
    reported = report["latency_ms"]
    return Row(
        model,
        output,
        report["frames"],
        report["late"],
        (reported["p50"], reported["p95"], reported["p99"]),
        _outside(log, read, begun + _WARM_UP) if output == "y4m" else None,
    )


def _read(stream: IO[bytes], process: subprocess.Popen[bytes], until: float) -> dict[int, float]:
    """Read frames of y4m until a time; when each number was read.

    Raises:
        RuntimeError: the command ended.
    """
    from cameras.pictures import read_number

    header = stream.readline().split()
    sizes = {word[:1]: word[1:] for word in header[1:]}
    width, height = int(sizes.get(b"W", 0)), int(sizes.get(b"H", 0))
    read: dict[int, float] = {}
    while time.monotonic() < until:
        if not stream.readline():
            errors = process.stderr.read().decode().strip() if process.stderr else ""
            raise RuntimeError(f"the command ended: {errors[-500:]}")
        frame = stream.read(width * height + 2 * (-(-width // 2) * -(-height // 2)))
        at = time.monotonic()
        number = read_number(np.frombuffer(frame, np.uint8, width * height).reshape(height, width))
        if number is not None:
            read.setdefault(number, at)
    return read


def _outside(log: Path, read: dict[int, float], begin: float) -> Percentiles:
    """Percentiles of the pictures that were sent after the warm-up."""
    sent = {line["number"]: line["ended"] for line in map(json.loads, log.read_text().splitlines()) if "state" in line}
    delays = sorted(1000 * (at - sent[number]) for number, at in read.items() if sent.get(number, 0.0) > begin)
    if not delays:
        raise RuntimeError("no frame's number could be read")
    p50, p95, p99 = (round(delays[share * (len(delays) - 1) // 100], 1) for share in (50, 95, 99))
    return p50, p95, p99
