"""Turn a model's training runs into what is shipped: ONNX graphs and an entry of the manifest.

python scripts/export.py --model stream            # from runs/stream/rounded/checkpoint.pt
python scripts/export.py --model l4                # from runs/l4/PART/checkpoint.pt; other networks stay as shipped
python scripts/export.py --model decode            # has nothing to train
python scripts/export.py --model l4 --part q10-sobel    # a part of no model: to engines/ablations, for reproduce.py
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from installed import needed

from mjpeg_restore import catalogue
from mjpeg_restore.errors import MjpegRestoreError, ModelCorrupt, ModelError


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="decode, or a network that was trained")
    parser.add_argument("--part", nargs="+", help="of the recipe, that no model is made of: graphs of grey pictures")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="where scripts/train.py keeps checkpoints")
    parser.add_argument("--engines", type=Path, default=Path("engines"), help="where graphs and manifest go")
    options = parser.parse_args()
    with needed("Exporting"):
        from mjpeg_restore.training.recipes import FAMILIES
    if options.model not in ("decode", *FAMILIES):
        parser.error(f"--model: no recipe for {options.model!r}; there are decode, {', '.join(FAMILIES)}")
    parts = FAMILIES[options.model].parts if options.model in FAMILIES else {}
    unknown = [part for part in options.part or () if part not in parts]
    if unknown:
        parser.error(f"--part: {options.model} has no part {unknown[0]!r}; there are {', '.join(parts) or 'none'}")
    return options


def still_true(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """What was measured, at those qualities whose network is still the same."""

    def graphs(entry: dict[str, Any], quality: str) -> dict[str, Any]:
        found = [
            catalogue.Variant(v["qualities"] and tuple(v["qualities"]), {}, v["graphs"], Path())
            for v in entry["variants"]
        ]
        return min(found, key=lambda variant: variant.distance(int(quality))).graphs

    measured = before.get("quality", {})
    kept = {
        data: {q: rows[q] for q in rows if graphs(before, q) == graphs(after, q)} for data, rows in measured.items()
    }
    return {data: rows for data, rows in kept.items() if rows}


def read(path: Path) -> dict[str, Any]:
    """The models of a manifest; none where it is not there yet.

    Raises:
        ModelCorrupt: it cannot be read.
    """
    try:
        return dict(json.loads(path.read_text())["models"]) if path.exists() else {}
    except (ValueError, LookupError, TypeError) as error:
        raise ModelCorrupt(f"{path}: no manifest ({error})") from error


def write(path: Path, models: dict[str, Any]) -> None:
    """Write a manifest, its models in the order of the recipes."""
    from mjpeg_restore.training.recipes import FAMILIES

    order = {name: number for number, name in enumerate(["decode", *FAMILIES])}
    names = sorted(models, key=lambda name: order.get(name, len(order)))
    path.write_text(json.dumps({"models": {name: models[name] for name in names}}, indent=2) + "\n")


def export_model(options: argparse.Namespace) -> list[str]:
    """Write a model's graphs and its entry; the result says what was written.

    Raises:
        ModelCorrupt: the manifest or a checkpoint cannot be read.
    """
    from exporting import entry

    path = options.engines / "manifest.json"
    models = read(path)
    before = models.get(options.model, {})
    after = entry(options.model, options.runs, options.engines, before.get("variants", []))
    said = [f"{options.model}: {after['macs_per_pixel']:.0f} MACs per pixel, {v['graphs']}" for v in after["variants"]]
    textures = before.get("texture"), after["texture"]
    if textures[0] and not textures[1]:
        said.append(f"{options.model}: no texture is shipped any more, for it was made for other weights")
    after["quality"] = still_true(before, after)
    if all(textures) and textures[0]["sha256"] == textures[1]["sha256"]:
        after["texture"]["quality"] = textures[0].get("quality", {})
    write(path, models | {options.model: after})
    return said


def export_parts(options: argparse.Namespace) -> list[str]:
    """Write graphs of grey pictures of parts of a recipe, and their entries among the ablations.

    Raises:
        ModelCorrupt: the manifest or a checkpoint cannot be read.
    """
    from exporting import part_entry

    from mjpeg_restore.training.recipes import FAMILIES

    family, folder = FAMILIES[options.model], options.engines / "ablations"
    shipped = {part for variant in family.variants for part in (variant.grey, variant.colour)}
    if options.model in read(options.engines / "manifest.json") and (whole := sorted(shipped & {*options.part})):
        raise ModelError(f"{options.model} is made of part {whole[0]!r}: leave out --part")
    models = read(folder / "manifest.json")
    for part in options.part:
        models[f"{options.model}-{part}"] = part_entry(options.model, part, options.runs, folder)
    write(folder / "manifest.json", models)
    return [f"{options.model}, part {part}: {folder / f'{options.model}-{part}.grey.onnx'}" for part in options.part]


def main() -> int:
    try:
        options = arguments()
        with needed("Exporting"):
            print("\n".join(export_parts(options) if options.part else export_model(options)))
    except (MjpegRestoreError, OSError) as error:
        sys.exit(f"export: {error}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
