"""Frames per second from JPEGs to restored pictures, through the product's pipeline."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle
from time import perf_counter

from mjpeg_restore.catalogue import Model
from mjpeg_restore.cli.restore import MOST_STREAMS
from mjpeg_restore.pipeline import restore_pictures
from mjpeg_restore.restorer import Restorer
from mjpeg_restore.testing import ListSource

SECONDS = 3.0
"""Duration of a measurement."""


def frames_per_second(model: Model, jpegs: Sequence[bytes], device: str, threads: int) -> float:
    """Restore a clip forwards and backwards, for a few seconds after one time through.

    Args:
        model: as the command runs it.
        jpegs: the clip's frames, two or more.
        device: the runtime.
        threads: of the CPU.
    """
    streams = min(threads, MOST_STREAMS)
    restorer = Restorer(model, device, threads=threads, streams=streams)
    pictures = restore_pictures(ListSource(cycle([*jpegs, *jpegs[-2:0:-1]])), restorer)
    for _ in jpegs:
        next(pictures)
    begun, count = perf_counter(), 0
    while perf_counter() < begun + SECONDS:
        next(pictures)
        count += 1
    taken = perf_counter() - begun
    pictures.close()
    return count / taken
