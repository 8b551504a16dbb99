"""A camera that misbehaves and the command that records it, for a long time: what was sent, what is in the file."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
from cameras.pictures import read_number

PLAYER = Path(__file__).parents[1] / "play_camera.py"
_SAMPLE_SECONDS = 1.0
_ON_THE_WAY = 5.0
"""Seconds before the end in which a picture that was sent need not be in the file: it may be under way."""
_WARM_UP = 0.2
"""Share of the run after which the memory is called that of the start: the network is loaded, buffers are full."""
_SETTLED = 60.0
"""Seconds of a run whose memory is judged: in a shorter one, a slow machine may load the network after the warm-up."""


@dataclass
class Soak:
    """The result of a run."""

    seconds: float
    exit_code: int
    report: dict[str, Any]
    """The command's, as JSON."""
    faults: dict[str, int]
    """Numbers of the faults that happened, by kind."""
    sent: dict[str, int]
    """Numbers of the pictures that the camera sent "whole", "damaged" and in "part"."""
    shown: int = 0
    """Different pictures in the file, by their numbers."""
    frames: int = 0
    """Frames in the file."""
    missing: list[int] = field(default_factory=list)
    """Numbers of pictures that were sent whole and are not in the file."""
    disordered: int = 0
    """Frames with a lower number than an earlier one."""
    late_stamps: int = 0
    """Frames whose time is not after that of the frame before."""
    unreadable_numbers: int = 0
    """Frames whose number cannot be read."""
    memory: list[tuple[float, float]] = field(default_factory=list)
    """Seconds since the start, and resident memory in 10^6 bytes."""

    @property
    def accounted(self) -> bool:
        """Whether each packet is in one count of the report: packets = frames - held + dropped + unreadable."""
        r = self.report
        return r["packets"] == r["frames"] - r["held"] + r["dropped"] + r["unreadable"]

    @property
    def lost(self) -> int:
        """Pictures that were sent whole, and are neither shown nor counted as late."""
        return max(0, len(self.missing) - self.report["late"])

    @property
    def memory_start(self) -> float:
        """Median of the resident memory in the tenth of the run after the warm-up, 10^6 bytes."""
        return self._median(_WARM_UP, _WARM_UP + 0.1)

    @property
    def memory_end(self) -> float:
        """Median in the last tenth."""
        return self._median(0.9, 1.1)

    def _median(self, begin: float, end: float) -> float:
        last = self.memory[-1][0] if self.memory else 0.0
        values = sorted(mb for at, mb in self.memory if begin * last <= at <= end * last)
        return values[len(values) // 2] if values else 0.0

    def failures(self) -> list[str]:
        """What did not go as it should, a sentence each."""
        checks = [
            (self.exit_code not in (0, 130), f"the command ended with {self.exit_code}"),
            (not self.accounted, "the report's counts do not add up"),
            (self.lost > 0, f"{self.lost} pictures were sent whole, and are neither shown nor counted as late"),
            (self.disordered > 0, f"{self.disordered} frames are out of order"),
            (self.late_stamps > 0, f"{self.late_stamps} frames have a time that does not rise"),
            (self.frames != self.report["frames"], f"the file has {self.frames} frames, not {self.report['frames']}"),
            (self.seconds >= _SETTLED and self.memory_end > 1.05 * self.memory_start + 10, "memory grows"),
        ]
        return [sentence for failed, sentence in checks if failed]


@contextmanager
def camera(log: Path, words: Sequence[str]) -> Generator[str]:
    """Play a camera in another process; its URL.

    Args:
        log: for what was sent.
        words: further options of `play_camera.py`.
    """
    with subprocess.Popen(
        [sys.executable, PLAYER, "--log", log, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin and process.stdout
        try:
            yield process.stdout.readline().strip()
        finally:
            process.stdin.close()


def soak(folder: Path, minutes: float, player: Sequence[str], command: Sequence[str]) -> Soak:
    """Record a camera for some minutes, and compare the file with what was sent.

    Args:
        folder: for the file and the camera's log.
        minutes: length.
        player: options of `play_camera.py`.
        command: options of the command; the output is `folder / "out.mp4"`.
    """
    log, out = folder / "sent.jsonl", folder / "out.mp4"
    memory: list[tuple[float, float]] = []
    with camera(log, player) as url:
        words = [sys.executable, "-m", "mjpeg_restore", url, "-o", str(out), "-y", "--json", *command]
        begun = time.monotonic()
        with (folder / "log.txt").open("w") as errors:
            process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=errors, text=True)
        while process.poll() is None and time.monotonic() - begun < 60 * minutes:
            memory.append((time.monotonic() - begun, resident_mb(process.pid)))
            time.sleep(_SAMPLE_SECONDS)
        stopped = time.monotonic()
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=60)
    if not output.strip():
        raise RuntimeError(f"the command ended with {process.returncode}: {(folder / 'log.txt').read_text()[-500:]}")
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    pictures = [line for line in lines if "state" in line]
    result = Soak(
        stopped - begun,
        process.returncode,
        json.loads(output),
        dict(Counter(line["fault"] for line in lines if "fault" in line)),
        dict(Counter(line["state"] for line in pictures)),
        memory=memory,
    )
    until = stopped - _ON_THE_WAY
    check(result, out, [line["number"] for line in pictures if line["state"] == "whole" and line["ended"] < until])
    return result


def check(result: Soak, out: Path, whole: list[int]) -> None:
    """Decode the file from start to end, and compare it with the numbers of the pictures that were sent whole."""
    numbers: list[int] = []
    stamps: list[int] = []
    with av.open(str(out)) as container:
        for frame in container.decode(video=0):
            result.frames += 1
            stamps.append(frame.pts or 0)
            number = read_number(np.asarray(frame.to_ndarray(format="gray"), np.uint8))
            if number is None:
                result.unreadable_numbers += 1
            else:
                numbers.append(number)
    result.shown = len(set(numbers))
    result.missing = sorted(set(whole) - set(numbers))
    result.disordered = sum(after < before for before, after in pairwise(numbers))
    result.late_stamps = sum(after <= before for before, after in pairwise(stamps))


def resident_mb(pid: int) -> float:
    """Resident memory of a process, 10^6 bytes; 0 where the system does not tell."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) * 1024 / 1e6 for line in status.splitlines() if line.startswith("VmRSS")), 0.0)
