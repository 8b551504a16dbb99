"""Measure a model for video on clips with a known truth, beside the model that it is made of.

    python scripts/evaluate_video.py --data DATA --json video.json                  # measures what the file lacks
    python scripts/evaluate_video.py --data DATA --json video.json --clips still object --quality 50
    python scripts/evaluate_video.py --json video.json --page docs/video.md         # writes its tables from the file
    python scripts/evaluate_video.py --json video.json --page docs/video.md --pictures docs/video    # draws, too

DATA has the folders eval (pictures, of which clips with a known truth are made) and video (recordings). Every clip is
compressed as Motion-JPEG at 4:2:0 and restored by both models as the stream of a camera. Gains are those of --model
over --over. --json keeps what was measured from run to run; delete the file if the code that restores or measures has
changed. `measuring_video/rows.py` says what each figure is, docs/video.md how the clips are made.
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
from mjpeg_restore.errors import MjpegRestoreError, ModelError, SourceNotFound
from mjpeg_restore.runtime import usable_cores

if TYPE_CHECKING:  # these modules need extras, --help does not
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
    parser.add_argument("--clips", nargs="+", metavar="WORD", help="only those with one of the words in name or kind")
    parser.add_argument("--scenes", type=_number, default=8, metavar="N", help="pictures for clips of each kind (8)")
    parser.add_argument("--frames", type=_number, default=40, metavar="N", help="of a clip, at most (40)")
    parser.add_argument("--device", default="auto", help="the runtime (auto)")
    parser.add_argument("--threads", type=_number, default=usable_cores(), help="of the CPU (every core)")
    parser.add_argument("--speed", action="store_true", help="frames per second, too: on a machine without other work")
    parser.add_argument("--storage", action="store_true", help="bytes of H.264 and HEVC, too: takes long")
    parser.add_argument("--page", type=Path, metavar="FILE", help="write the tables into this page")
    parser.add_argument("--pictures", type=Path, metavar="FOLDER", help="draw the page's pictures, here beside it")
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
    """What the figures depend on."""
    graphs = {one.name: one.variants[0].graphs["colour"].sha256 for one in (model, over)}
    return {
        "model": model.name,
        "over": over.name,
        "graphs": graphs,
        "device": options.device,
        "frames": options.frames,
    }


def listed(options: argparse.Namespace) -> Iterator[Listed]:
    """The clips that are wanted."""
    from measuring_video.recorded import recorded_clips
    from measuring_video.synthetic import synthetic_clips

    synthetic = synthetic_clips(options.data / "eval", options.scenes, options.frames)
    for one in chain(synthetic, recorded_clips(options.data / "video", options.frames)):
        if not options.clips or any(word in f"{one.name} {one.kind}" for word in options.clips):
            yield one


def measure(models: tuple[Model, Model], options: argparse.Namespace) -> Results:
    """Measure what the file lacks; it grows row by row.

    Args:
        models: the one for video, and the one that it is compared with.
        options: of the command.

    Raises:
        ModelError: the file was measured with another model, or in another way.
        SourceNotFound: there are no such clips.
        MjpegRestoreError: something cannot be read or written, or a model does not run.
    """
    from measuring_video import results, tables
    from measuring_video.measurement import Bench

    now = about(*models, options)
    found = results.read(options.json) or results.Results(now)
    if differing := [key for key in now if found.about.get(key) != now[key]]:
        raise ModelError(f"{options.json} was measured with another value of {differing[0]!r}: take another file")
    clips = list(listed(options))
    if not clips:
        raise SourceNotFound(f"{options.data}: no clip has {' or '.join(options.clips or [])!r} in its name or kind")
    bench = Bench(*models, options.device, options.threads)
    further = {"speed": options.speed, "storage": options.storage}
    print(tables.HEADER)
    for one in clips:
        if missing := [quality for quality in options.quality if not found.has(one.name, quality, **further)]:
            clip = one.clip()
            for quality in missing:
                row = bench.measure(clip, quality, **further)
                print(tables.line(row, found.model, found.over), flush=True)
                found.add(row)
                found.write(options.json)
    return found


def evaluate(options: argparse.Namespace) -> None:
    """Do what the command asks for.

    Raises:
        ModelError: the file was measured with another model, or in another way.
        MjpegRestoreError: something cannot be read or written, or a model does not run.
    """
    from measuring_video import illustrations, page, results, tables

    def models() -> tuple[Model, Model]:
        return find(options.model, options.engines), find(options.over, options.engines)

    found = measure(models(), options) if options.data else results.read(options.json)
    if options.page and found is None:
        raise SourceNotFound(f"{options.json}: no such file; --data measures one")
    parts = tables.tables(found) if found else {}
    if options.pictures:
        illustrations.illustrate(*models(), options.device, options.pictures)
        parts["pictures"] = illustrations.captioned(options.over, options.model, options.pictures.name)
    if options.page:
        page.write_page(options.page, parts)


def main() -> int:
    options = arguments()
    try:
        with needed("Evaluating"):
            evaluate(options)
    except (MjpegRestoreError, OSError) as error:
        sys.exit(f"evaluate_video: {worded(error)}")
    except KeyboardInterrupt:
        print("evaluate_video: stopped; the same command measures the rest", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
