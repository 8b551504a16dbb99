"""Train one of the shipped networks.

    python scripts/train.py --model stream --data DATA/train --validation DATA/eval/cid22-validation --minutes 120
    python scripts/train.py --model qgac --short ...           # all its stages in turn, as an hour allows
    python scripts/train.py --model l4 --stage q10 ...         # one of them

A model's recipe (mjpeg_restore/training/recipes) has one stage or several: networks for several qualities, or stages
that take their initial weights from an earlier one. The minutes are divided among the stages that are trained. Each
stage is trained as its paper describes, or with --short by the settings that gain most in little time.

Checkpoints go to runs/MODEL/STAGE. The same command with --resume continues an interrupted run, and with more --minutes
a finished one. `scripts/export.py` turns the checkpoints into the files that are shipped.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from installed import needed
from numpy.typing import NDArray

from mjpeg_restore import catalogue
from mjpeg_restore.cli.wording import worded
from mjpeg_restore.errors import MjpegRestoreError, SourceNotFound

if TYPE_CHECKING:  # PyTorch is imported only once there is something to train: --help works without it
    from mjpeg_restore.training.clips import Clips
    from mjpeg_restore.training.data import Crops
    from mjpeg_restore.training.loop import Trainer
    from mjpeg_restore.training.recipe import Recipe

log = logging.getLogger(__name__)

CENTRE = 256
"""Side of the centre crop of a picture that is validated on, in pixels."""


def arguments() -> argparse.Namespace:
    parser = command_line()
    options = parser.parse_args()
    with needed("Training"):
        import torch

        from mjpeg_restore.training.recipes import MODELS
    if options.model not in MODELS:
        parser.error(f"--model: no recipe for {options.model!r}; there are {', '.join(MODELS)}")
    options.device = options.device or ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        options.device = torch.zeros(1, device=options.device).device
    except (RuntimeError, AssertionError):
        parser.error(f"--device: PyTorch has no device {options.device!r} here")
    return options


def command_line() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="the network")
    parser.add_argument("--stage", nargs="+", help="stages of the model's recipe (all)")
    parser.add_argument("--short", action="store_true", help="train for minutes or hours, not as the paper describes")
    parser.add_argument("--data", required=True, nargs="+", type=Path, help="folders of lossless pictures")
    parser.add_argument("--validation", required=True, type=Path, help="folder of lossless pictures to validate on")
    clips = "folder of lossless recordings (.mkv), for networks that see several frames"
    parser.add_argument("--clips", type=Path, help=clips)
    parser.add_argument("--tables", type=Path, help="folder of real JPEGs and MJPEG streams to take tables from")
    parser.add_argument("--minutes", type=positive, default=120.0, help="wall-clock budget of the whole run (120)")
    batches = "end a stage after N batches if its minutes last that long, for stages that are compared"
    parser.add_argument("--batches", type=whole, metavar="N", help=batches)
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="where checkpoints go (runs)")
    parser.add_argument("--resume", action="store_true", help="continue from the run's checkpoint")
    parser.add_argument("--device", help="PyTorch's device (cuda if available, else cpu)")
    parser.add_argument("--threads", type=whole, help="CPU threads (all)")
    parser.add_argument("--batch", type=whole, help="crops per batch (the recipe's); 64 or more on a GPU")
    rate = "the highest learning rate (the recipe's); lower it to train finished weights further"
    parser.add_argument("--learning-rate", type=positive, help=rate)
    start = "an exported graph, or a checkpoint, whose weights are the initial ones; --resume takes precedence"
    parser.add_argument("--init-from", type=Path, help=start)
    anew = "prefixes of the names of weights that are not taken from it"
    parser.add_argument("--widen", action="store_true", help="that checkpoint is of the same network, but narrower")
    parser.add_argument("--anew", nargs="+", default=[], metavar="PREFIX", help=anew)
    precision = "of training (bf16 where that is fast); float32 for the last thousandths of a dB"
    parser.add_argument("--precision", choices=("bf16", "float32"), help=precision)
    parser.add_argument("--seed", type=seed, default=0)
    return parser


def positive(word: str) -> float:
    try:
        number = float(word)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"{word!r} is no number above 0")
    return number


def whole(word: str) -> int:
    number = positive(word)
    if not number.is_integer():
        raise argparse.ArgumentTypeError(f"{word!r} is no whole number")
    return int(number)


def seed(word: str) -> int:
    if not word.isdecimal():
        raise argparse.ArgumentTypeError(f"{word!r} is no whole number from 0")
    return int(word)


@dataclasses.dataclass(frozen=True, slots=True)
class Data:
    """All that the stages of a run are trained and validated on."""

    pictures: list[NDArray[np.uint8]]
    """RGB, uint8 `[height, width, 3]` each."""
    validation: list[NDArray[np.uint8]]
    """Likewise."""
    tables: NDArray[np.float32]
    """Cameras' quantisation tables, float32 `[n, 2, 64]`."""
    recordings: list[NDArray[np.uint8]]
    """RGB, uint8 `[frames, height, width, 3]` each, for networks that see several frames."""


def train(options: argparse.Namespace) -> None:
    """Train the requested stages in turn.

    Raises:
        MjpegRestoreError: a picture, a graph or a checkpoint is missing or unusable.
    """
    import torch

    if options.threads:
        torch.set_num_threads(options.threads)
    stages = requested(options)
    torch.backends.cudnn.benchmark = True  # crops have one size
    if options.device.type == "cuda":
        torch.cuda.set_device(options.device)
    for recipe in stages.values():
        if recipe.adversary:
            recipe.adversary()  # a missing backbone of the last stage is reported before hours go into the first
    torch.manual_seed(options.seed)
    data = load(options)
    budget = sum(recipe.budget for recipe in stages.values())
    for stage, recipe in stages.items():
        log.info("%s, stage %s", options.model, stage)
        prepared(options, stage, recipe, data).run(options.minutes * recipe.budget / budget, batches=options.batches)


def requested(options: argparse.Namespace) -> dict[str, Recipe]:
    """The stages to be trained, in turn."""
    from mjpeg_restore.training.recipes import MODELS

    model = MODELS[options.model]
    if options.short and not model.short:
        sys.exit(f"train: {options.model} has no short recipe: leave out --short")
    stages = {**model.stages, **model.short} if options.short else dict(model.stages)
    unknown = [stage for stage in options.stage or () if stage not in stages]
    if unknown:
        sys.exit(f"train: {options.model} has no stage {unknown[0]!r}; there are {', '.join(stages)}")
    return {stage: stages[stage] for stage in options.stage} if options.stage else stages


def load(options: argparse.Namespace) -> Data:
    """Read all pictures and tables.

    Raises:
        SourceNotFound: a folder has no pictures, or one of them is unusable.
    """
    from mjpeg_restore.training.clips import load_recordings
    from mjpeg_restore.training.data import camera_tables, load_rgb, picture_files, with_halves

    return Data(
        with_halves(load_rgb(path) for folder in options.data for path in picture_files(folder)),
        [centre(path) for path in picture_files(options.validation)],
        camera_tables(options.tables) if options.tables else np.empty((0, 2, 64), np.float32),
        load_recordings(options.clips) if options.clips else [],
    )


def centre(path: Path) -> NDArray[np.uint8]:
    """The centre of a picture, in whole MCUs of 4:2:0.

    Raises:
        SourceNotFound: it is no picture, or smaller than an MCU.
    """
    from mjpeg_restore.training.data import load_rgb

    picture = load_rgb(path)
    height, width = (min(length, CENTRE) // 16 * 16 for length in picture.shape[:2])
    if not height * width:
        raise SourceNotFound(f"{path}: a picture to validate with has 16x16 pixels or more")
    top, left = (picture.shape[0] - height) // 2, (picture.shape[1] - width) // 2
    return picture[top : top + height, left : left + width]


def prepared(options: argparse.Namespace, stage: str, recipe: Recipe, data: Data) -> Trainer:
    """A stage's run with its initial or resumed weights.

    Raises:
        SourceNotFound: no picture is as large as a crop, or the checkpoint to continue from is missing.
        ModelCorrupt: the weights belong to another network.
    """
    import torch

    from mjpeg_restore.models.graph import load_weights
    from mjpeg_restore.training.loop import Trainer

    overrides = {"batch": options.batch, "learning_rate": options.learning_rate}
    recipe = dataclasses.replace(recipe, **{name: value for name, value in overrides.items() if value})
    trainer = Trainer(
        recipe.build(),
        recipe,
        samples(recipe, data, options),
        data.tables,
        data.validation,
        options.runs / options.model / stage,
        options.device,
        {"bf16": torch.bfloat16, "float32": torch.float32}.get(options.precision),
        **origin(options, recipe),
    )
    if options.resume and trainer.checkpoint.is_file():
        trainer.resume()
    elif options.init_from and options.init_from.suffix == ".pt":
        trainer.begin_from(options.init_from, tuple(options.anew), widen=options.widen)
    elif options.init_from:
        load_weights(trainer.model, options.init_from, tuple(options.anew))
    elif recipe.init_from:
        trainer.begin_from(options.runs / recipe.init_from / "checkpoint.pt")
    elif options.resume:
        raise SourceNotFound(f"{trainer.checkpoint}: no such file to go on from; leave out --resume to begin anew")
    return trainer


def samples(recipe: Recipe, data: Data, options: argparse.Namespace) -> Crops | Clips:
    """What a recipe's batches are drawn from."""
    from mjpeg_restore.training.clips import Clips
    from mjpeg_restore.training.data import Crops

    rng = np.random.default_rng(options.seed)
    if recipe.frames == 1:
        return Crops(data.pictures, recipe.side, rng, options.device)
    return Clips(data.pictures, data.recordings, recipe.side, recipe.frames, rng, options.device)


def origin(options: argparse.Namespace, recipe: Recipe) -> dict[str, Any]:
    """The settings of the training record that say where a run's initial weights come from."""
    start = options.init_from.name if options.init_from else recipe.init_from
    notes: dict[str, Any] = {"seed": options.seed, "started_from": start}
    if options.anew:
        notes["begun_anew"] = options.anew
    if options.init_from and (before := training_record(options.init_from)):
        notes["before"] = before
    return notes


def training_record(start: Path) -> dict[str, Any] | None:
    """The training record of an exported graph, from the manifest in its folder, or of a checkpoint, from the file
    beside it; None if there is none."""
    from mjpeg_restore.training.checkpoints import record, runs_of

    if (progress := start.with_name("progress.json")).is_file():
        return record(json.loads(progress.read_text()), runs_of(start))
    if not start.with_name("manifest.json").is_file():
        return None
    for model in catalogue.read_manifest(start.parent).values():
        for variant in model.variants:
            for kind, training in variant.training.items():
                if variant.graphs[kind].file == start.name:
                    return training
    return None


def main() -> int:
    try:
        options = arguments()
        logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
        with needed("Training"):
            train(options)
    except (MjpegRestoreError, OSError) as error:
        sys.exit(f"train: {worded(error)}")
    except KeyboardInterrupt:
        print("train: stopped; the same command with --resume goes on", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
