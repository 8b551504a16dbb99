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
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

try:
    import torch
except ImportError:
    sys.exit("export: PyTorch is not installed: pip install 'mjpeg-restore[train]'")
from torch import nn

from mjpeg_restore.errors import MjpegRestoreError, ModelCorrupt, ModelError
from mjpeg_restore.models import catalogue
from mjpeg_restore.models.cost import figures
from mjpeg_restore.models.decode import Decode
from mjpeg_restore.models.graph import checksum, initializers, publish
from mjpeg_restore.models.planes import alike
from mjpeg_restore.training.checkpoints import trained
from mjpeg_restore.training.recipe import Family, Variant
from mjpeg_restore.training.recipes import FAMILIES

DECODE = "the plain JPEG decode, no network: what the others are compared with"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, choices=["decode", *FAMILIES])
    parser.add_argument("--part", nargs="+", help="of the recipe, that no model is made of: graphs of grey pictures")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="where scripts/train.py keeps checkpoints")
    parser.add_argument("--engines", type=Path, default=Path("engines"), help="where graphs and manifest go")
    options = parser.parse_args()
    parts = FAMILIES[options.model].parts if options.model in FAMILIES else {}
    unknown = [part for part in options.part or () if part not in parts]
    if unknown:
        parser.error(f"--part: {options.model} has no part {unknown[0]!r}; there are {', '.join(parts) or 'none'}")
    return options


def blend(network: nn.Module, other: nn.Module, share: float) -> None:
    """Move a network's weights, and the statistics of its normalisations, towards another's, by a share of the way."""
    ours, theirs = network.state_dict(), other.state_dict()
    both = [name for name, weight in ours.items() if name in theirs and weight.is_floating_point()]
    network.load_state_dict(ours | {name: torch.lerp(ours[name], theirs[name], share) for name in both})


class Exporter:
    """One model's networks, on their way to the folder of engines."""

    def __init__(self, name: str, family: Family, runs: Path, engines: Path) -> None:
        self.name, self.family, self.engines = name, family, engines
        self.checkpoints = {part: runs / name / part / "checkpoint.pt" for part in family.parts}

    def variants(self) -> list[Variant]:
        """Those that are trained, and need no other."""
        ready = {part for part, path in self.checkpoints.items() if path.is_file()}
        found = [v for v in self.family.variants if {v.gray, v.colour, *([v.blend.part] if v.blend else [])} <= ready]
        if not found:
            folder = next(iter(self.checkpoints.values())).parents[1]
            sys.exit(
                f"export: {folder}: no checkpoints of a whole network; run scripts/train.py --model {self.name} first"
            )
        return found

    def network(self, part: str) -> tuple[nn.Module, dict[str, Any]]:
        """The network of a part, and the record of its training."""
        return trained(self.family.parts[part], self.checkpoints[part])

    def publish(self, variant: Variant, folder: Path) -> dict[str, Any]:
        """Write a variant's graphs; the result is its entry of the manifest."""
        made = {part: self.network(part) for part in {variant.gray, variant.colour}}
        if variant.blend:
            other, _ = self.network(variant.blend.part)
            for network, training in made.values():
                blend(network, other, variant.blend.share)
                training["blended"] = asdict(variant.blend)
        parts = {"gray": made[variant.gray], "colour": made[variant.colour]}
        name = self.name if len(self.family.variants) == 1 else f"{self.name}-{variant.label}"
        graphs = publish({kind: network for kind, (network, _) in parts.items()}, name, folder, self.family.extra)
        return {
            "qualities": variant.qualities,
            "training": {kind: training for kind, (_, training) in parts.items() if kind in graphs},
            "graphs": graphs,
        }

    def texture(self) -> dict[str, Any] | None:
        """Write the weights that `--texture` blends in, by their names in the graphs."""
        part = self.family.texture
        if part is None or not self.checkpoints[part].is_file():
            return None
        with tempfile.TemporaryDirectory() as folder:
            (variant,) = self.family.variants
            textured = Variant(variant.qualities, part, part)
            published = self.publish(textured, Path(folder))
            graphs = published["graphs"]
            changed: dict[str, np.ndarray] = {}
            for kind in ("gray", "colour"):
                plain = initializers(self.engines / graphs[kind]["file"])
                rich = initializers(Path(folder) / graphs[kind]["file"])
                if plain.keys() != rich.keys():
                    odd = sorted(plain.keys() ^ rich.keys())[0]
                    sys.exit(f"export: {self.name}: weight {odd} is in one of the two graphs only; train them further")
                changed |= {name: rich[name] for name in plain if not np.array_equal(plain[name], rich[name])}
        path = self.engines / f"{self.name}.texture.npz"
        np.savez_compressed(path, **changed)
        return {"file": path.name, "sha256": checksum(path), "training": published["training"]["colour"]}


def entry(name: str, options: argparse.Namespace, shipped: list[dict[str, Any]]) -> dict[str, Any]:
    """Write a model's files; the result is its entry of the manifest, without what was measured.

    Args:
        name: the model's.
        options: of the command.
        shipped: the model's variants in the manifest as it is.
    """
    if name == "decode":
        network, extra, texture, projected = Decode(), None, None, False
        graphs = publish({"gray": network, "colour": network}, name, options.engines)
        variants = [{"qualities": None, "training": {}, "graphs": graphs}]
        summary = DECODE
    else:
        family = FAMILIES[name]
        exporter = Exporter(name, family, options.runs, options.engines)
        ready = exporter.variants()
        known = {tuple(v["qualities"] or ()): v for v in shipped}
        known |= {v.qualities or (): exporter.publish(v, options.engines) for v in ready}
        variants = [known[v.qualities or ()] for v in family.variants if (v.qualities or ()) in known]
        network, _ = exporter.network(ready[0].colour)
        extra, texture, projected = family.extra, exporter.texture(), family.projected
        summary = family.summary
    return {
        "summary": summary,
        **figures(network, extra=extra),
        "projected": projected,
        "alike": alike(network),
        "extra": extra,
        "texture": texture,
        "variants": variants,
    }


def still_true(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """What was measured, at those qualities whose network is still the same."""

    def graphs(entry: dict[str, Any], quality: str) -> dict[str, Any]:
        found = [
            catalogue.Variant(v["qualities"] and tuple(v["qualities"]), {}, v["graphs"], Path())
            for v in entry["variants"]
        ]
        return min(found, key=lambda variant: variant.misfit(int(quality))).graphs

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
    order = {name: number for number, name in enumerate(["decode", *FAMILIES])}
    names = sorted(models, key=lambda name: order.get(name, len(order)))
    path.write_text(json.dumps({"models": {name: models[name] for name in names}}, indent=2) + "\n")


def export_model(options: argparse.Namespace) -> list[str]:
    """Write a model's graphs and its entry; the result says what was written.

    Raises:
        ModelCorrupt: the manifest or a checkpoint cannot be read.
    """
    path = options.engines / "manifest.json"
    models = read(path)
    before = models.get(options.model, {})
    after = entry(options.model, options, before.get("variants", []))
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
    family, folder = FAMILIES[options.model], options.engines / "ablations"
    shipped = {part for variant in family.variants for part in (variant.gray, variant.colour)}
    if options.model in read(options.engines / "manifest.json") and (whole := sorted(shipped & {*options.part})):
        raise ModelError(f"{options.model} is made of part {whole[0]!r}: leave out --part")
    exporter = Exporter(options.model, family, options.runs, folder)
    models = read(folder / "manifest.json")
    for part in options.part:
        network, training = exporter.network(part)
        name = f"{options.model}-{part}"
        qualities = family.parts[part].degradation.qualities
        graphs = publish({"gray": network}, name, folder, family.extra)
        models[name] = {
            "summary": f"{options.model}, part {part}",
            **figures(network, colour=alike(network), extra=family.extra),
            "projected": family.projected,
            "alike": alike(network),
            "extra": family.extra,
            "variants": [{"qualities": qualities, "training": {"gray": training}, "graphs": graphs}],
            "quality": {},
        }
    write(folder / "manifest.json", models)
    return [f"{options.model}, part {part}: {folder / f'{options.model}-{part}.gray.onnx'}" for part in options.part]


def main() -> int:
    options = arguments()
    try:
        print("\n".join(export_parts(options) if options.part else export_model(options)))
    except (MjpegRestoreError, OSError) as error:
        sys.exit(f"export: {error}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
