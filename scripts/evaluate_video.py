"""Measure a model for video on clips with a known truth, beside the model that it is made of.

    python scripts/evaluate_video.py --data DATA --json video.json                   # measures what the file lacks
    python scripts/evaluate_video.py --data DATA --json video.json --clips still object --quality 50
    python scripts/evaluate_video.py --json video.json --page docs/video.md          # from the file alone

DATA has the folders eval (pictures, which clips with a known truth are made of) and video (recordings). Every clip is
compressed as Motion-JPEG at 4:2:0, and restored by both models as a camera's stream. Gains are those of --model over
--over, frame by frame. --json keeps what was measured from run to run; delete the file if the code that restores or
measures has changed. The measuring_video folder says what each figure is.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from installed import needed

from mjpeg_restore import catalogue
from mjpeg_restore.catalogue import Model
from mjpeg_restore.cli.wording import worded
from mjpeg_restore.errors import MjpegRestoreError, ModelError

if TYPE_CHECKING:  # they need extras: --help works without
    from measuring_video.clip import Listed
    from measuring_video.results import Results


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder with eval and video; without it nothing is measured")
    parser.add_argument("--json", required=True, type=Path, metavar="FILE", help="keeps what was measured")
    parser.add_argument("--model", default="stream-video", help="the model for video (stream-video)")
    parser.add_argument("--over", default="stream", help="what it is compared with (stream)")
    parser.add_argument("--engines", type=Path, metavar="FOLDER", help="with a manifest of models that are not shipped")
    parser.add_argument("--quality", nargs="+", type=_number, default=[10, 50, 75], help="of the JPEGs (10 50 75)")
    parser.add_argument("--clips", nargs="+", metavar="WORD", help="only those with one of the words in their name")
    parser.add_argument("--scenes", type=_number, default=8, metavar="N", help="pictures for clips of each kind (8)")
    parser.add_argument("--frames", type=_number, default=40, metavar="N", help="of a clip, at most (40)")
    parser.add_argument("--device", default="auto", help="the runtime (auto)")
    parser.add_argument("--threads", type=_number, help="of the CPU (every core)")
    return parser.parse_args()


def _number(word: str) -> int:
    if not word.isdecimal() or not 1 <= int(word) <= 100:
        raise argparse.ArgumentTypeError(f"{word!r} is not 1 to 100")
    return int(word)


def find(name: str, engines: Path | None) -> Model:
    """A model of a folder that has a manifest, or else of the catalogue.

    Raises:
        UnknownModel: neither has it.
        ModelCorrupt: the folder has no manifest that can be read.
    """
    unshipped = catalogue.read_manifest(engines) if engines else {}
    return unshipped[name] if name in unshipped else catalogue.find(name)


def about(model: Model, over: Model, options: argparse.Namespace) -> dict[str, Any]:
    """What determines the figures; earlier ones with anything else are of no use."""
    graphs = {one.name: one.variants[0].graphs["colour"].sha256 for one in (model, over)}
    return {"model": model.name, "over": over.name, "graphs": graphs, "frames": options.frames}


def listed(options: argparse.Namespace) -> Iterator[Listed]:
    """The clips that are wanted."""
    from measuring_video.recorded import recorded_clips
    from measuring_video.synthetic import synthetic_clips

    synthetic = synthetic_clips(options.data / "eval", options.scenes, options.frames)
    for one in chain(synthetic, recorded_clips(options.data / "video", options.frames)):
        if not options.clips or any(word in f"{one.name} {one.kind}" for word in options.clips):
            yield one


def measure(options: argparse.Namespace) -> Results:
    """Measure what the file lacks; it grows row by row.

    Raises:
        ModelError: the file is of another model.
        MjpegRestoreError: a clip cannot be read, or a model does not run.
    """
    from measuring_video import results, tables
    from measuring_video.measurement import Bench

    model, over = (find(name, options.engines) for name in (options.model, options.over))
    now = about(model, over, options)
    found = results.read(options.json) or results.Results(now)
    if found.about != now:
        raise ModelError(f"{options.json} holds figures of another model or of other lengths: delete it")
    bench = Bench(model, over, options.device, options.threads)
    print(tables.HEADER)
    for one in listed(options):
        missing = [quality for quality in options.quality if not found.has(one.name, quality)]
        clip = one.clip() if missing else None
        for quality in missing if clip else ():
            row = bench.measure(clip, quality)
            print(tables.line(row, model.name, over.name), flush=True)
            found.add(row)
            found.write(options.json)
    return found


def main() -> int:
    options = arguments()
    try:
        with needed("Evaluating"):
            found = measure(options)
    except (MjpegRestoreError, OSError) as error:
        sys.exit(f"evaluate_video: {worded(error)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
