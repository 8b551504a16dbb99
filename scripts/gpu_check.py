"""Check and measure the networks on this machine's GPU, in less than four minutes a call.

    python scripts/gpu_check.py                                  # all that has not been measured on this card yet
    python scripts/gpu_check.py --parts parity --device torch    # some of it
    python scripts/gpu_check.py --page-only                      # docs/gpu.md again, from docs/gpu.json

Results are added to docs/gpu.json as they come, and docs/gpu.md is written from it at the end. A call that runs out of
time is continued by the next. What fails is noted with the reason, and tried again after all that is new: also an
engine that takes longer than the time that is left, whose next build begins with what this one has measured. Runtimes
that cannot restore a picture here at all are noted once, and cost next to nothing.

The order: speed of what has a target; cameras; parity of the same networks; engines for one size; parity of the others;
speed of the others, 1920x1080 first. Estimated for PyTorch on an H100: a figure takes one to three seconds, mostly to
load the network, so 30 s for what comes before the engines, 60 s for the rest of the parity (28 graphs, two precisions,
and 7 s on one core for the CPU's part), 100 s for the rest of the speeds (10 networks, four sizes): one call. With
TensorRT 59 engines are built, of which each can take minutes: several calls, the first for what has a target.
`mjpeg-restore build` builds the half of them ahead that is fp16.

Needs Pillow, ONNX and ONNX Runtime.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from itertools import product
from pathlib import Path
from typing import Any, get_args

from installed import needed
from measuring import gpu, gpu_card, gpu_page, text_file
from measuring.clips import Size
from measuring.gpu_page import PARTS
from measuring.gpu_parity import parity

from mjpeg_restore import catalogue
from mjpeg_restore.catalogue import Model
from mjpeg_restore.cli.wording import worded
from mjpeg_restore.errors import MjpegRestoreError
from mjpeg_restore.runtime import Precision
from mjpeg_restore.runtime.base import wrap_errors

DEVICES = ("tensorrt", "tensorrt-rtx", "torch", "onnxruntime:cuda")
FIRST: tuple[tuple[str, Size], ...] = (
    ("stream", (1920, 1080)),
    ("stream-lite", (3840, 2160)),
    ("stream-hq", (1920, 1080)),
)
"""What has a target is measured first."""
REAL_TIME = ("stream", "stream-lite")
SIZES: tuple[Size, ...] = ((1920, 1080), (640, 480), (1280, 720), (3840, 2160))
ON_CAMERAS: Size = (1920, 1080)
OVERTIME = 20.0
"""Seconds after the budget at which an engine that is still being built is given up."""

Measure = Callable[[gpu.Subject, Size, float], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Task:
    """One figure, or a few that belong together."""

    part: str
    key: str
    """Its name among the results of its part, with the graphs' checksums, so that a new network is measured anew."""
    measure: Callable[[], dict[str, Any]]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = list(catalogue.shipped())
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help="what is measured (all)")
    parser.add_argument("--device", nargs="+", default=DEVICES, help=f"runtimes ({' '.join(DEVICES)})")
    parser.add_argument("--model", nargs="+", default=names, help="networks of the catalogue (all)")
    parser.add_argument("--engines", type=Path, metavar="DIR", help="further networks: a folder with a manifest")
    parser.add_argument("--engine-cache", type=Path, metavar="DIR", help="of TensorRT (the user's cache)")
    parser.add_argument("--seconds", type=float, default=0.4, help="of each measurement of speed (0.4)")
    parser.add_argument("--budget", type=float, default=210.0, help="seconds after which no further one begins (210)")
    parser.add_argument("--json", type=Path, default=Path("docs/gpu.json"), help="the results (%(default)s)")
    parser.add_argument("--page", type=Path, default=Path("docs/gpu.md"), help="made of them (%(default)s)")
    parser.add_argument("--page-only", action="store_true", help="measure nothing")
    return parser.parse_args()


class OutOfTime(MjpegRestoreError):
    """A network is given up that is still being made ready."""


def tasks(options: argparse.Namespace, devices: list[str], models: list[Model], until: float) -> Iterator[Task]:
    """All tasks, in the order of their worth.

    Args:
        options: of the command.
        devices: those that work here.
        models: what is measured.
        until: when networks that are still being made ready are given up, by `time.monotonic`.
    """

    def watch(what: str, share: float) -> None:
        if time.monotonic() > until:
            raise OutOfTime(f"{what} takes too long")

    def on_each(part: str, measure: Measure, pairs: list[tuple[Model, Size]], devices: list[str]) -> Iterator[Task]:
        for (model, size), device in product(pairs, devices):
            subject = gpu.Subject(model, device, options.engine_cache, watch)
            yield Task(part, _key(model, device, size), partial(measure, subject, size, options.seconds))

    def parities(models: list[Model]) -> Iterator[Task]:
        graphs = [graph for model in models for variant in model.variants for graph in variant.graphs.values()]
        for graph, device in product(graphs, devices):
            for precision in get_args(Precision):
                key = f"{graph.file} {graph.sha256[:12]} {device} {precision}"
                yield Task("parity", key, partial(parity, graph, device, precision, options.engine_cache, watch))

    by_name = {model.name: model for model in models}
    urgent = [(by_name[name], size) for name, size in FIRST if name in by_name]
    first = [model for model, _ in urgent]
    on_cameras = [(model, ON_CAMERAS) for model in first if model.name in REAL_TIME]
    yield from on_each("speed", gpu.speed, urgent, devices)
    yield from on_each("cameras", gpu.cameras, on_cameras, devices)
    yield from parities(first)
    yield from on_each("static", gpu.static_speed, urgent, [name for name in devices if name in gpu.BUILDERS])
    yield from parities([model for model in models if model not in first])
    others = [(model, size) for size in SIZES for model in models if (model, size) not in urgent]
    yield from on_each("speed", gpu.speed, others, devices)


def _key(model: Model, device: str, size: Size) -> str:
    graphs = [graph.sha256[:6] for graph in model.variants[0].graphs.values()]
    return f"{model.name} {'-'.join(graphs)} {device} {size[0]}x{size[1]}"


def check(options: argparse.Namespace) -> None:
    """Measure what is missing, within the budget."""
    until = time.monotonic() + options.budget
    for package in ("PIL", "onnx", "onnxruntime"):
        import_module(package)
    results = gpu_page.load(options.json)
    models = gpu.models(options.model, options.engines)
    card = gpu_card.card()
    found = results.setdefault(card["name"], {})
    absent = {device: gpu.why_absent(device, options.engine_cache) for device in options.device}
    found |= {"card": card, "absent": found.get("absent", {}) | absent, **{part: found.get(part, {}) for part in PARTS}}
    gpu_page.save(options.json, results)

    def is_new(task: Task) -> bool:
        return task.key not in found[task.part]

    present = [device for device in options.device if absent[device] is None]
    wanted = [task for task in tasks(options, present, models, until + OVERTIME) if task.part in options.parts]
    missing = [task for task in wanted if is_new(task) or "error" in found[task.part][task.key]]
    left = 0
    for task in sorted(missing, key=is_new, reverse=True):
        if time.monotonic() > until:
            left += 1
            continue
        try:
            with wrap_errors("it fails"):  # whatever a library raises, the others are measured
                row = task.measure()
        except MjpegRestoreError as error:
            row = {"error": worded(error)}
            left += isinstance(error, OutOfTime)
        found[task.part][task.key] = row
        print(f"{task.part} {task.key}: {row}", flush=True)
        gpu_page.save(options.json, results)
    if left:
        print(f"{left} left: call this again")


def main() -> int:
    """Run the command; the result is its exit code."""
    options = arguments()
    try:
        if not options.page_only:
            with needed("Checking a GPU"):
                check(options)
        text_file.write(options.page, gpu_page.page(gpu_page.load(options.json)))
    except MjpegRestoreError as error:
        print(f"error: {worded(error)}", file=sys.stderr)
        return 4
    return 0


if __name__ == "__main__":
    sys.exit(main())
