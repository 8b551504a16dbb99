"""The tables of docs/scale.md."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from scaling import figures
from scaling.city import Camera, City, Node, carried, core_rate, cores_of, gpu_rate, gpus_of

KINDS = (
    Camera(640, 480, 10),
    Camera(1280, 720, 10),
    Camera(1920, 1080, 10),
    Camera(1920, 1080, 25),
)
"""Of cameras."""
WAYS = (
    (Node(32), "stream-lite", "cpu"),
    (Node(32), "stream", "cpu"),
    (Node(16, 1), "stream", "gpu"),
)
"""To restore: the node, the model, what computes it."""
COUNTS = (10, 1_000, 100_000)
"""Cameras of the three cities."""
PRICES = {0: 400.0, 1: 2000.0}
"""Of a node for a month, by its GPUs. Not measured: an example of round numbers, and so is the next one."""
TERABYTE = 20.0
"""Price of a terabyte for a month."""


def tables() -> dict[str, str]:
    """All of them, by the name of their marks."""
    return {
        "rates": rates(),
        "cameras": cameras(),
        "nodes": nodes(),
        "cities": cities(),
        "costs": costs(),
        "driver": driver(),
    }


def rates() -> str:
    """Megapixels a second of a core and of a GPU."""
    sizes = [*figures.TWO_CORES["decode"]]
    rows = [[f"`{model}`, a core", *(f"{core_rate(model, size):.1f}" for size in sizes)] for model in figures.TWO_CORES]
    rows += [[f"`{model}`, an {figures.GPU}", "", "", f"{gpu_rate(model):.0f}"] for model in figures.GPU_CAMERAS]
    return _table(["megapixels/s", *(_size(*size) for size in sizes)], rows)


def cameras() -> str:
    """What one camera takes."""
    rows: list[list[str]] = []
    for camera in KINDS:
        lite, stream, gpu = (replace(camera, model=model, on=on) for _, model, on in WAYS)
        rows.append(
            [
                f"{_size(camera.width, camera.height)}, {camera.fps:g} frames/s",
                f"{camera.megapixels:.1f}",
                f"{camera.network:.1f}",
                f"{camera.disk:.1f}",
                f"{camera.stored:,.0f}",
                f"{cores_of(lite):.2f}",
                f"{cores_of(stream):.2f}",
                f"{gpus_of(gpu):.3f} and {cores_of(gpu):.2f}",
            ]
        )
    head = [
        "camera",
        "megapixels/s",
        "MJPEG, Mbit/s",
        "H.264, Mbit/s",
        "30 days, GB",
        "cores, `stream-lite`",
        "cores, `stream`",
        "GPUs and cores, `stream`",
    ]
    return _table(head, rows)


def nodes() -> str:
    """How many cameras a node carries."""
    rows = [
        [_node(node), f"`{model}`", *(str(carried(node, replace(one, model=model, on=on)) or "-") for one in KINDS)]
        for node, model, on in WAYS
    ]
    kinds = [f"{_size(one.width, one.height)}, {one.fps:g}/s" for one in KINDS]
    return _table(["node", "model", *kinds], rows)


def cities() -> str:
    """Three cities of cameras of 1280x720 at 10 frames/s."""
    rows: list[list[str]] = []
    for count in COUNTS:
        for node, model, on in WAYS:
            city = City(count, replace(KINDS[1], model=model, on=on), node)
            rows.append(
                [
                    f"{count:,}",
                    f"`{model}`, {_node(node)}",
                    f"{city.nodes:,}",
                    f"{city.cores:,.0f}" + (f" and {city.gpus:,.1f} GPUs" if city.gpus else ""),
                    "" if city.memory is None else f"{city.memory:.1f}",
                    f"{city.network:,.2f}",
                    f"{city.each * city.camera.network / 1000:.2f}",
                    f"{city.written:,.0f}",
                    f"{city.stored:,.0f}",
                    f"{city.drivers:,}",
                ]
            )
    head = [
        "cameras",
        "restored by",
        "nodes",
        "cores that work",
        "memory of a node, GB",
        "network, Gbit/s",
        "of a node",
        "written, MB/s",
        "30 days, TB",
        "drivers",
    ]
    return _table(head, rows)


def costs() -> str:
    """What a thousand cameras of 1280x720 at 10 frames/s cost at example prices."""
    rows: list[list[str]] = []
    for node, model, on in WAYS:
        city = City(1_000, replace(KINDS[1], model=model, on=on), node)
        machines, disks = city.cost(PRICES[node.gpus], 0.0), city.cost(0.0, TERABYTE)
        each = (machines + disks) / city.cameras
        rows.append([f"`{model}`, {_node(node)}", f"{machines:,.0f}", f"{disks:,.0f}", f"{each:.1f}"])
    return _table(["restored by", "nodes", "30 days on disks", "a camera"], rows)


def driver() -> str:
    """What the driver does for the cameras it looks after."""
    rows = [
        [
            f"{count:,}",
            *(
                _short(count * each)
                for each in (
                    figures.LOOK_SECONDS,
                    figures.LOOK_BYTES * 8 / 1e6,
                    figures.METRICS_SECONDS,
                    figures.METRICS_BYTES / 1e6,
                )
            ),
        ]
        for count in COUNTS
    ]
    head = ["cameras", "cores for the looks", "Mbit/s of looks", "an answer of `/metrics`, s", "MB"]
    return _table(head, rows)


def _short(value: float) -> str:
    """Two digits, or all before the point."""
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"


def _node(node: Node) -> str:
    return f"{node.cores} cores" + (f" and {node.gpus} {figures.GPU}" if node.gpus else "")


def _size(width: int, height: int) -> str:
    return f"{width}x{height}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
