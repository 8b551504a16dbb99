"""Milliseconds per picture of the networks by themselves, with all cores on one picture at a time."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from installed import needed

from measuring import clips
from measuring.clips import Size
from measuring.machine import memory
from measuring.processes import isolated, own_peak_mb
from measuring.reading import median_ms
from mjpeg_restore import catalogue
from mjpeg_restore.catalogue import Model

RUNTIMES = ("onnxruntime", "openvino")


@dataclass(frozen=True, slots=True)
class Row:
    """One network at one size on one runtime."""

    model: str
    kmac_per_pixel: float
    size: Size
    runtime: str
    """Full name with version and precision."""
    ms: float | None
    """Milliseconds per picture; None if it was not run."""
    peak_mb: float | None
    """Peak memory of a process that does nothing else, 10^6 bytes."""
    remark: str = ""


def installed() -> list[str]:
    """The installed runtimes."""
    return [name for name in RUNTIMES if importlib.util.find_spec(name)]


def measure(
    names: list[str], sizes: list[Size], peers: Path | None, folder: Path, quality: int, seconds: float
) -> Iterator[Row]:
    """Run each network on each runtime at each size, each in its own process; `decode` only on its default runtime.

    Args:
        names: of models of the catalogue.
        sizes: of the pictures.
        peers: folder with the weights of AR-CNN and DnCNN-3; None to leave them out.
        folder: for the peers' graphs.
        quality: of the restored JPEG; it has no influence on the time.
        seconds: duration of each measurement; a network that takes longer runs once.
    """
    models = [catalogue.find(name) for name in names]
    with needed("Measuring AR-CNN and DnCNN-3"):
        heavy = isolated(publish_peers, peers, folder) if peers else []
    for model in [*models, *heavy]:
        for runtime in ["auto"] if model.name == catalogue.DECODE else installed():
            for size in sizes:
                need = model.bytes_per_pixel * size[0] * size[1]
                if need > memory("MemAvailable"):
                    remark = f"skipped: may need {need / 1e9:.1f} GB"
                    yield Row(model.name, model.macs_per_pixel / 1000, size, runtime, None, None, remark)
                    continue
                name, ms, peak = isolated(run, model, runtime, size, quality, seconds)
                yield Row(model.name, model.macs_per_pixel / 1000, size, name, ms, peak)


def publish_peers(weights: Path, folder: Path) -> list[Model]:
    """Export AR-CNN and DnCNN-3. To be called in a separate process, as PyTorch needs much memory."""
    from measuring.peers import load_ar_cnn, load_dn_cnn, publish

    return [
        publish("AR-CNN", load_ar_cnn(weights, 10), folder),
        publish("DnCNN-3", load_dn_cnn(weights), folder),
    ]


def run(model: Model, device: str, size: Size, quality: int, seconds: float) -> tuple[str, float, float]:
    """Time a model on a colour picture; returns the runtime's full name, milliseconds and peak memory in 10^6 bytes."""
    from mjpeg_restore.jpeg import read
    from mjpeg_restore.restorer import Restorer

    coded = read(clips.pictures(size, quality, 1)[0])
    restorer = Restorer(model, device, memory=sys.maxsize)  # no tiles
    if median_ms(lambda: restorer.planes(coded), 0) < 1000 * seconds:  # includes loading and compiling
        restorer.planes(coded)
    return restorer.runtime_name, median_ms(lambda: restorer.planes(coded), seconds), own_peak_mb()
