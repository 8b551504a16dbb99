"""Export a model's training runs as ONNX graphs, and write its entry of the manifest.

python scripts/export.py --model stream            # from runs/stream/STAGE/checkpoint.pt
python scripts/export.py --model l4                # from runs/l4/STAGE/checkpoint.pt; other networks stay as shipped
python scripts/export.py --model decode            # has nothing to train
python scripts/export.py --model l4 --stage q10-sobel    # used by no model: to engines/ablations, for reproduce.py
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from installed import needed

from mjpeg_restore import catalogue
from mjpeg_restore.cli.wording import worded
from mjpeg_restore.errors import MjpegRestoreError, ModelCorrupt, ModelError

MANIFEST = "manifest.json"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="decode, or a network that was trained")
    parser.add_argument("--stage", nargs="+", help="stages that no shipped graph is made of: export their grey graphs")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="where scripts/train.py keeps checkpoints")
    parser.add_argument("--engines", type=Path, default=Path("engines"), help="where graphs and manifest go")
    options = parser.parse_args()
    with needed("Exporting"):
        from mjpeg_restore.training.recipes import MODELS
    if options.model not in ("decode", *MODELS):
        parser.error(f"--model: no recipe for {options.model!r}; there are decode, {', '.join(MODELS)}")
    stages = MODELS[options.model].stages if options.model in MODELS else {}
    unknown = [stage for stage in options.stage or () if stage not in stages]
    if unknown:
        parser.error(f"--stage: {options.model} has no stage {unknown[0]!r}; there are {', '.join(stages) or 'none'}")
    return options


def still_true(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """The measured quality of an entry, reduced to the JPEG qualities whose graphs did not change."""

    def graphs(entry: dict[str, Any], quality: str) -> dict[str, Any]:
        found = [catalogue.parse_variant(variant, "variant", Path()) for variant in entry["variants"]]
        return min(found, key=lambda variant: variant.distance(int(quality))).graphs

    measured = before.get("quality", {})
    kept = {
        data: {q: rows[q] for q in rows if graphs(before, q) == graphs(after, q)} for data, rows in measured.items()
    }
    return {data: rows for data, rows in kept.items() if rows}


def read(path: Path) -> dict[str, Any]:
    """The models of a manifest; none if the file does not exist.

    Raises:
        ModelCorrupt: it cannot be read.
    """
    try:
        return dict(json.loads(path.read_text())["models"]) if path.exists() else {}
    except (ValueError, LookupError, TypeError) as error:
        raise ModelCorrupt(f"{path}: no manifest ({error})") from error


@contextmanager
def replacing(folder: Path) -> Generator[Path]:
    """A new folder, whose files replace those of `folder` at the end, unless something failed.

    The manifest comes last, so that no graph of it is missing where the process is killed before.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".export-", dir=folder) as made:  # of the same file system
        yield Path(made)
        for path in sorted(Path(made).iterdir(), key=lambda path: path.name == MANIFEST):
            os.replace(path, folder / path.name)


def write(folder: Path, models: dict[str, Any]) -> None:
    """Write the manifest of a folder, with the models in the order of the recipes."""
    from mjpeg_restore.training.recipes import MODELS

    order = {name: number for number, name in enumerate(["decode", *MODELS])}
    names = sorted(models, key=lambda name: order.get(name, len(order)))
    catalogue.write_manifest(folder, {name: models[name] for name in names})


def export_model(options: argparse.Namespace) -> list[str]:
    """Write a model's graphs and its entry; returns messages about them.

    Raises:
        ModelCorrupt: the manifest or a checkpoint cannot be read.
        ModelError: no variant's checkpoints are complete.
    """
    from exporting import entry

    models = read(options.engines / MANIFEST)
    before = models.get(options.model, {})
    with replacing(options.engines) as folder:
        after = entry(options.model, options.runs, folder, before.get("variants", []))
        after["quality"] = still_true(before, after)
        textures = before.get("texture"), after["texture"]
        if all(textures) and textures[0]["sha256"] == textures[1]["sha256"]:
            after["texture"]["quality"] = textures[0].get("quality", {})
        write(folder, models | {options.model: after})
    messages = [
        f"{options.model}: {after['macs_per_pixel']:.0f} MACs per pixel, {v['graphs']}" for v in after["variants"]
    ]
    if textures[0] and not textures[1]:
        messages.append(f"{options.model}: no texture is shipped any more, for it was made for other weights")
    return messages


def export_stages(options: argparse.Namespace) -> list[str]:
    """Write the grey graphs of single stages, and their entries among the ablations; returns messages about them.

    Raises:
        ModelCorrupt: the manifest or a checkpoint cannot be read.
        ModelError: a stage is part of the shipped model.
    """
    from exporting import stage_entry

    from mjpeg_restore.training.recipes import MODELS

    model, ablations = MODELS[options.model], options.engines / "ablations"
    shipped = {stage for variant in model.variants for stage in (variant.grey, variant.colour)}
    if options.model in read(options.engines / MANIFEST) and (used := sorted(shipped & {*options.stage})):
        raise ModelError(f"{options.model} is made of stage {used[0]!r}: leave out --stage")
    models = read(ablations / MANIFEST)
    with replacing(ablations) as folder:
        for stage in options.stage:
            models[f"{options.model}-{stage}"] = stage_entry(options.model, stage, options.runs, folder)
        write(folder, models)
    return [f"{options.model}, stage {s}: {ablations / f'{options.model}-{s}.grey.onnx'}" for s in options.stage]


def main() -> int:
    try:
        options = arguments()
        with needed("Exporting"):
            print("\n".join(export_stages(options) if options.stage else export_model(options)))
    except (MjpegRestoreError, OSError) as error:
        sys.exit(f"export: {worded(error)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
