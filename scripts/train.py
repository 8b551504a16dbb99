"""Train one of the shipped networks.

    python scripts/train.py --model stream --data DATA/train --validation DATA/eval/cid22-validation --minutes 120
    python scripts/train.py --model qgac --short ...           # all its stages in turn, as an hour allows
    python scripts/train.py --model l4 --stage q10 ...         # one of them

A model's recipe (mjpeg_restore/training/recipes) has one stage or several: networks for several qualities, or stages
that take their initial weights from an earlier one. The minutes are divided among the stages that are trained. Each
stage is trained as its paper describes, or with --short by the settings that gain most in little time.

Checkpoints go to runs/MODEL/STAGE. The same command with --resume continues an interrupted run, and with more --minutes
a finished one; a stage that begins from one that was trained further is trained anew. `scripts/export.py` turns the
checkpoints into the files that are shipped.
"""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from installed import needed

from mjpeg_restore.cli.wording import worded
from mjpeg_restore.errors import MjpegRestoreError, SourceNotFound

if TYPE_CHECKING:  # PyTorch is imported only once there is something to train: --help works without it
    from mjpeg_restore.training.recipe import Recipe


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
    start = "an exported graph, or a checkpoint, whose weights are the initial ones of stages that do not begin from \
another one of this run; --resume takes precedence"
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


def train(options: argparse.Namespace) -> None:
    """Train the requested stages in turn.

    Raises:
        MjpegRestoreError: a picture, a graph or a checkpoint is missing or unusable, or a stage is in training already.
        KeyboardInterrupt: with what to do next, if there is a checkpoint.
    """
    import torch
    from training import load, train_in_turn

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
    train_in_turn(options, stages, load(options))


def requested(options: argparse.Namespace) -> dict[str, Recipe]:
    """The stages to be trained, in the recipe's order: some begin from an earlier one.

    Raises:
        SourceNotFound: they are to be continued, and not one has a checkpoint.
    """
    from training import checkpoint

    from mjpeg_restore.training.recipes import MODELS

    model = MODELS[options.model]
    if options.short and not model.short:
        sys.exit(f"train: {options.model} has no short recipe: leave out --short")
    stages = {**model.stages, **model.short} if options.short else dict(model.stages)
    unknown = [stage for stage in options.stage or () if stage not in stages]
    if unknown:
        sys.exit(f"train: {options.model} has no stage {unknown[0]!r}; there are {', '.join(stages)}")
    found = {stage: recipe for stage, recipe in stages.items() if stage in (options.stage or stages)}
    if options.resume and not options.init_from and not any(checkpoint(options, stage).is_file() for stage in found):
        first = checkpoint(options, next(iter(found)))
        raise SourceNotFound(f"{first}: no such file to go on from; leave out --resume to begin anew")
    return found


def main() -> int:
    try:
        options = arguments()
        logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
        with needed("Training"):
            train(options)
    except (MjpegRestoreError, OSError) as error:
        sys.exit(f"train: {worded(error)}")
    except KeyboardInterrupt as interrupt:
        print("; ".join(["train: stopped", *interrupt.args]), file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
