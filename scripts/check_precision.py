"""Check that float16 costs no picture more than 0.02 dB, on the CPU and with a GPU's rounding.

    python scripts/check_precision.py --data DATA/eval/live1 [--model stream ...] [--quality 10 40 80] [--colour]

Each network is checked at those qualities that it is for. Exits with 1 if a picture loses more, or if a coefficient of
a network that guarantees the quantisation cell leaves it.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from measuring.pictures import Kind, Plane, files, load
from measuring.precision import MAX_LOSS, losses

from mjpeg_restore import catalogue
from mjpeg_restore.catalogue import Model
from mjpeg_restore.cli.wording import worded
from mjpeg_restore.errors import MjpegRestoreError


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, type=Path, help="folder of pictures")
    parser.add_argument("--quality", nargs="+", type=int, default=[10, 20, 30, 40, 50, 80, 95], help="1 to 100")
    parser.add_argument("--model", nargs="+", help="networks to check (all that are shipped)")
    parser.add_argument("--colour", action="store_true", help="colour at 4:2:0; else luma")
    return parser.parse_args()


def qualities(model: Model, asked: list[int]) -> list[int]:
    """Those of the qualities that some network of a model was trained for."""
    return [quality for quality in asked if model.variant(quality).distance(quality)[0] == 0]


def check(model: Model, pictures: list[Plane], quality: int, kind: Kind) -> bool:
    """Print a row of the table; returns whether no picture lost too much."""
    rows = list(losses(model, pictures, quality, kind))
    mean = sum(row.loss for row in rows) / len(rows)
    worst, largest = max(row.loss for row in rows), max(row.largest for row in rows)
    level = sum(row.psnr for row in rows) / len(rows)
    print(f"| {model.name} | {kind} | {quality} | {level:.2f} | {mean:+.4f} | {worst:+.4f} | {largest} |", flush=True)
    return worst <= MAX_LOSS


def main() -> int:
    options = arguments()
    kind: Kind = "colour" if options.colour else "luma"
    print(
        "| network | | Q | float32, dB | mean loss | largest loss | largest difference |\n|---|---|---|---|---|---|---|"
    )
    try:
        pictures = [load(path) for path in files(options.data)]
        models = [catalogue.find(name) for name in options.model or catalogue.models()]
        kept = [check(model, pictures, q, kind) for model in models for q in qualities(model, options.quality)]
    except (MjpegRestoreError, AssertionError) as error:
        sys.exit(f"check_precision: {worded(error) if isinstance(error, MjpegRestoreError) else error}")
    return 0 if all(kept) else 1


if __name__ == "__main__":
    sys.exit(main())
