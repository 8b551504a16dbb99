"""Measure what the arithmetic of docs/scale.md multiplies, and write it to docs/scale.json.

    python scripts/measure_scale.py
    python scripts/measure_scale.py --recording "a street, 640x480=street.avi" --recording "a webcam=webcam.mjpeg"
    python scripts/scale.py --write    # then the tables of docs/scale.md

Memory of processes and of Ray, what the driver does for each camera, and bits of a pixel of real recordings, which stay
as they are if none is given. Times are CPU times, so other programs disturb them little. Takes three minutes; needs
Pillow, /proc, and the extras ray and serve.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from installed import needed

from mjpeg_restore.errors import MjpegRestoreError

FIGURES = Path(__file__).parents[1] / "docs" / "scale.json"


def recording(word: str) -> tuple[str, Path]:
    """What a recording is, and where."""
    what, equals, path = word.rpartition("=")
    if not (what and equals and path):
        raise argparse.ArgumentTypeError(f"{word!r} is not WHAT=PATH")
    return what, Path(path)


def main() -> int:
    """Measure; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recording", type=recording, action="append", default=[], metavar="WHAT=PATH")
    options = parser.parse_args()
    try:
        with needed("Measuring a fleet"):
            from scaling.measured import all_of
        before = json.loads(FIGURES.read_text()) if FIGURES.exists() else {}
        FIGURES.write_text(json.dumps({**before, **all_of(options.recording)}, indent=1) + "\n")
    except MjpegRestoreError as error:
        sys.exit(f"measure_scale: {error}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
