"""Check and measure the networks on this machine's GPU, in less than four minutes a call.

    python scripts/gpu_check.py                                  # all that has not been measured on this card yet
    python scripts/gpu_check.py --parts parity --device torch    # some of it
    python scripts/gpu_check.py --page-only                      # docs/gpu.md again, from docs/gpu.json

Results are added to docs/gpu.json as they come, and docs/gpu.md is written from it at the end. A call that runs out of
time is continued by the next. What cannot be run is noted with the reason. Needs Pillow and ONNX.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any, get_args

from installed import needed
from measuring import gpu, gpu_page
from measuring.clips import Size
from measuring.gpu_page import PARTS

from mjpeg_restore import catalogue
from mjpeg_restore.catalogue import Model
from mjpeg_restore.cli.wording import worded
from mjpeg_restore.errors import MjpegRestoreError, RuntimeUnavailable
from mjpeg_restore.runtime import Precision

DEVICES = ("tensorrt", "tensorrt-rtx", "torch", "onnxruntime:cuda")
FIRST: tuple[tuple[str, Size], ...] = (
    ("stream", (1920, 1080)),
    ("stream-lite", (3840, 2160)),
    ("stream-hq", (1920, 1080)),
)
"""What has a target is measured first."""
SIZES: tuple[Size, ...] = ((1920, 1080), (640, 480), (1280, 720), (3840, 2160))
ON_CAMERAS: Size = (1920, 1080)


@dataclass(frozen=True, slots=True)
class Task:
    """One figure, or a few that belong together."""

    part: str
    key: str
    """Its name among the results of its part, with the graphs' checksums, so that a new network is measured anew."""
    measure: Callable[[], dict[str, Any]]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help="what is measured (all)")
    parser.add_argument("--device", nargs="+", default=DEVICES, help=f"runtimes ({' '.join(DEVICES)})")
    parser.add_argument("--model", nargs="+", default=list(catalogue.models()), help="networks of the catalogue (all)")
    parser.add_argument("--engines", type=Path, metavar="DIR", help="further networks: a folder with a manifest")
    parser.add_argument("--engine-cache", type=Path, metavar="DIR", help="of TensorRT (the user's cache)")
    parser.add_argument("--seconds", type=float, default=0.4, help="of each measurement of speed (0.4)")
    parser.add_argument("--budget", type=float, default=210.0, help="seconds after which no further one begins (210)")
    parser.add_argument("--json", type=Path, default=Path("docs/gpu.json"), help="the results (%(default)s)")
    parser.add_argument("--page", type=Path, default=Path("docs/gpu.md"), help="made of them (%(default)s)")
    parser.add_argument("--page-only", action="store_true", help="measure nothing")
    return parser.parse_args()


def tasks(options: argparse.Namespace, models: list[Model]) -> Iterator[Task]:
    """All tasks, in the order of their worth."""
    by_name = {model.name: model for model in models}
    devices: list[str] = options.device
    precisions: tuple[Precision, ...] = get_args(Precision)
    urgent = [(by_name[name], size) for name, size in FIRST if name in by_name]
    others = [(model, size) for size in SIZES for model in models if (model, size) not in urgent]
    yield from _speeds(options, urgent)
    for model in (by_name[name] for name in ("stream", "stream-lite") if name in by_name):
        for device in devices:
            subject = gpu.Subject(model, device, options.engine_cache)
            yield Task(
                "cameras",
                _key(model, device, ON_CAMERAS),
                partial(gpu.cameras, subject, ON_CAMERAS, options.seconds),
            )
    builders = [device for device in devices if device in gpu.BUILDERS]
    for (model, size), device in product(urgent, builders):
        subject = gpu.Subject(model, device, options.engine_cache)
        yield Task("static", _key(model, device, size), partial(gpu.static_speed, subject, size, options.seconds))
    graphs = [graph for model in models for variant in model.variants for graph in variant.graphs.values()]
    for graph, device, precision in product(graphs, devices, precisions):
        key = f"{graph.file} {graph.sha256[:12]} {device} {precision}"
        yield Task("parity", key, partial(gpu.parity, graph, device, precision, options.engine_cache))
    yield from _speeds(options, others)


def _speeds(options: argparse.Namespace, pairs: list[tuple[Model, Size]]) -> Iterator[Task]:
    devices: list[str] = options.device
    for (model, size), device in product(pairs, devices):
        subject = gpu.Subject(model, device, options.engine_cache)
        yield Task("speed", _key(model, device, size), partial(gpu.speed, subject, size, options.seconds))


def _key(model: Model, device: str, size: Size) -> str:
    graphs = [graph.sha256[:6] for graph in model.variants[0].graphs.values()]
    return f"{model.name} {'-'.join(graphs)} {device} {size[0]}x{size[1]}"


def check(options: argparse.Namespace) -> int:
    """Measure what is missing, within the budget; returns the exit code."""
    until = time.monotonic() + options.budget
    results = gpu_page.load(options.json)
    models = gpu.models(options.model, options.engines)
    card = gpu.card()
    found = results.setdefault(card["name"], {"card": card, **{part: {} for part in PARTS}})
    found |= {"card": card, **{part: found.get(part, {}) for part in PARTS}}
    absent: dict[str, str] = {}
    left = 0
    for task in tasks(options, models):
        device = task.key.split()[2]
        known = found[task.part].get(task.key)
        if task.part not in options.parts or (known and "error" not in known):
            continue
        if device in absent:
            found[task.part][task.key] = {"error": absent[device]}
            continue
        if time.monotonic() > until:
            left += 1
            continue
        try:
            found[task.part][task.key] = task.measure()
        except RuntimeUnavailable as error:
            found[task.part][task.key] = {"error": worded(error)}
            if gpu.is_absent(device):
                absent[device] = worded(error)
        print(f"{task.part} {task.key}: {found[task.part][task.key]}", flush=True)
        gpu_page.save(options.json, results)
    gpu_page.save(options.json, results)
    if left:
        print(f"{left} measurements are left: call this again")
    return 0


def main() -> int:
    """Run the command; the result is its exit code."""
    options = arguments()
    try:
        with needed("Checking a GPU"):
            code = 0 if options.page_only else check(options)
        options.page.write_text(gpu_page.page(gpu_page.load(options.json)))
    except MjpegRestoreError as error:
        print(f"error: {worded(error)}", file=sys.stderr)
        return 4
    return code


if __name__ == "__main__":
    sys.exit(main())
