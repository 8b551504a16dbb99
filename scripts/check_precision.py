"""Check that float16 costs no picture more than 0.02 dB: the graphs of a GPU, run on the CPU with a GPU's rounding.

    python scripts/check_precision.py --data DATA/eval/live1 [--model stream ...] [--quality 10 40 80] [--colour]

Each network is checked at those qualities that it is for. "outside" are the coefficients of the float output that left
their quantisation cells, of a network that guarantees them. Exits with 1 if a picture loses more, or a coefficient
left.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from installed import needed
from measuring.pictures import Kind, Plane, files, load

from mjpeg_restore import catalogue
from mjpeg_restore.catalogue import Model
from mjpeg_restore.cli.wording import worded
from mjpeg_restore.errors import MjpegRestoreError

HEAD = """\
| network | picture | Q | float32, dB | mean loss | largest loss | largest difference | outside |
|---|---|---|---|---|---|---|---|"""


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, type=Path, help="folder of pictures")
    qualities = [10, 20, 30, 40, 50, 80, 95]
    parser.add_argument(
        "--quality", nargs="+", type=int, choices=range(1, 101), metavar="Q", default=qualities, help="1 to 100"
    )
    parser.add_argument("--model", nargs="+", help="networks to check (all that are shipped)")
    parser.add_argument("--colour", action="store_true", help="colour at 4:2:0 (luma)")
    return parser.parse_args()


def qualities(model: Model, asked: list[int]) -> list[int]:
    """Those of the qualities that one of a model's networks is for."""
    return [quality for quality in asked if model.variant(quality).distance(quality)[0] == 0]


def check(model: Model, pictures: list[Plane], quality: int, kind: Kind) -> bool:
    """Print a row of the table; returns whether float16 cost no more than it may."""
    from measuring.precision import MAX_LOSS, losses

    rows = list(losses(model, pictures, quality, kind))
    level, mean = (sum(values) / len(rows) for values in zip(*((row.psnr, row.loss) for row in rows), strict=True))
    worst, largest = max(row.loss for row in rows), max(row.largest for row in rows)
    outside = sum(row.outside for row in rows)
    figures = (
        f"{quality} | {level:.2f} | {mean:+.4f} | {worst:+.4f} | {largest} | {outside if model.projected else '-'}"
    )
    print(f"| {model.name} | {kind} | {figures} |", flush=True)
    return worst <= MAX_LOSS and not outside


def main() -> int:
    options = arguments()
    kind: Kind = "colour" if options.colour else "luma"
    try:
        with needed("Checking the precision"):
            pictures = [load(path) for path in files(options.data)]
            names = options.model or list(catalogue.shipped())
            models = [catalogue.find(name) for name in names]
            print(HEAD, flush=True)
            kept = [check(model, pictures, q, kind) for model in models for q in qualities(model, options.quality)]
    except MjpegRestoreError as error:
        sys.exit(f"check_precision: {worded(error)}")
    return 0 if all(kept) else 1


if __name__ == "__main__":
    sys.exit(main())
