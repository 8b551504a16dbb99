"""From a training run's checkpoints to graphs, and to what the manifest says of them."""

from __future__ import annotations

import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from mjpeg_restore.models.cost import figures
from mjpeg_restore.models.decode import Decode
from mjpeg_restore.models.graph import checksum, initializers, per_component, publish
from mjpeg_restore.training.checkpoints import trained
from mjpeg_restore.training.recipe import Family, Variant
from mjpeg_restore.training.recipes import FAMILIES

DECODE = "the plain JPEG decode, no network: what the others are compared with"


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
        found = [v for v in self.family.variants if {v.grey, v.colour, *([v.blend.part] if v.blend else [])} <= ready]
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
        made = {part: self.network(part) for part in {variant.grey, variant.colour}}
        if variant.blend:
            other, _ = self.network(variant.blend.part)
            for network, training in made.values():
                blend(network, other, variant.blend.share)
                training["blended"] = asdict(variant.blend)
        parts = {"grey": made[variant.grey], "colour": made[variant.colour]}
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
            for kind in ("grey", "colour"):
                plain = initializers(self.engines / graphs[kind]["file"])
                rich = initializers(Path(folder) / graphs[kind]["file"])
                if plain.keys() != rich.keys():
                    odd = sorted(plain.keys() ^ rich.keys())[0]
                    sys.exit(f"export: {self.name}: weight {odd} is in one of the two graphs only; train them further")
                changed |= {name: rich[name] for name in plain if not np.array_equal(plain[name], rich[name])}
        path = self.engines / f"{self.name}.texture.npz"
        np.savez_compressed(path, **changed)
        return {"file": path.name, "sha256": checksum(path), "training": published["training"]["colour"]}


def entry(name: str, runs: Path, engines: Path, shipped: list[dict[str, Any]]) -> dict[str, Any]:
    """Write a model's files; the result is its entry of the manifest, without what was measured.

    Args:
        name: the model's.
        runs: where checkpoints are.
        engines: where graphs go.
        shipped: the model's variants in the manifest as it is.
    """
    if name == "decode":
        network, extra, texture, projected = Decode(), None, None, False
        graphs = publish({"grey": network, "colour": network}, name, engines)
        variants = [{"qualities": None, "training": {}, "graphs": graphs}]
        summary = DECODE
    else:
        family = FAMILIES[name]
        exporter = Exporter(name, family, runs, engines)
        ready = exporter.variants()
        known = {tuple(v["qualities"] or ()): v for v in shipped}
        known |= {v.qualities or (): exporter.publish(v, engines) for v in ready}
        variants = [known[v.qualities or ()] for v in family.variants if (v.qualities or ()) in known]
        network, _ = exporter.network(ready[0].colour)
        extra, texture, projected = family.extra, exporter.texture(), family.projected
        summary = family.summary
    return {
        "summary": summary,
        **figures(network, extra=extra),
        "projected": projected,
        "per_component": per_component(network),
        "extra": extra,
        "texture": texture,
        "variants": variants,
    }


def part_entry(model: str, part: str, runs: Path, engines: Path) -> dict[str, Any]:
    """Write the graph of grey pictures of a part that no model is made of; the result is its entry."""
    family = FAMILIES[model]
    network, training = Exporter(model, family, runs, engines).network(part)
    graphs = publish({"grey": network}, f"{model}-{part}", engines, family.extra)
    return {
        "summary": f"{model}, part {part}",
        **figures(network, colour=per_component(network), extra=family.extra),
        "projected": family.projected,
        "per_component": per_component(network),
        "extra": family.extra,
        "variants": [
            {
                "qualities": family.parts[part].degradation.qualities,
                "training": {"grey": training},
                "graphs": graphs,
            }
        ],
        "quality": {},
    }
