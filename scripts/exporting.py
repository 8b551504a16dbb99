"""From the checkpoints of a model's training runs to its graphs and its entry of the manifest."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mjpeg_restore.errors import ModelError
from mjpeg_restore.models.decode import Decode
from mjpeg_restore.models.entries import model_entry, variant_entry
from mjpeg_restore.models.graph import checksum, export_variant, initializers, per_component
from mjpeg_restore.training.checkpoints import trained
from mjpeg_restore.training.recipe import ModelRecipe, Variant
from mjpeg_restore.training.recipes import MODELS

Trained = dict[str, tuple[nn.Module, dict[str, Any]]]
"""Networks and their training records, by stage."""

DECODE = "the plain JPEG decode, no network: what the others are compared with"


def blend(network: nn.Module, other: nn.Module, weight: float) -> None:
    """Interpolate a network's weights and normalisation statistics towards another's, in place.

    Args:
        network: changed. Weights that `other` lacks stay.
        other: the second network.
        weight: of the second network, 0..1.
    """
    ours, theirs = network.state_dict(), other.state_dict()
    found = {name: torch.lerp(ours[name], theirs[name], weight) for name in _shared(ours, theirs)}
    network.load_state_dict(ours | found)


def add_gain(network: nn.Module, before: nn.Module, after: nn.Module, weight: float) -> None:
    """Add to a network's weights what another has gained, in place.

    Args:
        network: changed. Weights that the other lacks stay.
        before: the other network before it was trained further.
        after: and after that.
        weight: of the difference.
    """
    ours, old, new = network.state_dict(), before.state_dict(), after.state_dict()
    found = {name: ours[name] + weight * (new[name] - old[name]) for name in _shared(ours, new)}
    network.load_state_dict(ours | found)


def _shared(ours: Mapping[str, Tensor], theirs: Mapping[str, Tensor]) -> list[str]:
    """The names of our weights and statistics that another network has, too."""
    return [name for name, value in ours.items() if name in theirs and value.is_floating_point()]


class Exporter:
    """Exports the networks of one model to the folder of engines."""

    def __init__(self, name: str, recipe: ModelRecipe, runs: Path, engines: Path) -> None:
        self.name, self.recipe, self.runs, self.engines = name, recipe, runs, engines
        self.checkpoints = {stage: self.checkpoint(name, stage) for stage in recipe.stages}

    def checkpoint(self, model: str, stage: str) -> Path:
        """Where the weights of a stage are."""
        return self.runs / model / stage / "checkpoint.pt"

    def variants(self) -> list[Variant]:
        """The variants all of whose stages have a checkpoint.

        Raises:
            ModelError: there is none.
        """
        found = [variant for variant in self.recipe.variants if all(path.is_file() for path in self.needed(variant))]
        if not found:
            folder = next(iter(self.checkpoints.values())).parents[1]
            hint = f"run scripts/train.py --model {self.name} first"
            raise ModelError(f"{folder}: no checkpoints of a whole network; {hint}")
        return found

    def needed(self, variant: Variant) -> set[Path]:
        """The checkpoints of which a variant is made."""
        stages = {(self.name, stage) for stage in (variant.grey, variant.colour)}
        if variant.blend:
            stages.add((self.name, variant.blend.stage))
        if gained := variant.gained:
            stages |= {(gained.model, gained.before), (gained.model, gained.after)}
        return {self.checkpoint(*stage) for stage in stages}

    def network(self, stage: str) -> tuple[nn.Module, dict[str, Any]]:
        """A stage's trained network and its training record."""
        return trained(self.recipe.stages[stage], self.checkpoints[stage])

    def networks(self, variant: Variant) -> Trained:
        """The networks of a variant's stages, blended and added to as it wants, with their training records."""
        made = {stage: self.network(stage) for stage in {variant.grey, variant.colour}}
        if variant.blend:
            other, _ = self.network(variant.blend.stage)
            for network, training in made.values():
                blend(network, other, variant.blend.weight)
                training["blended"] = asdict(variant.blend)
        if gained := variant.gained:
            stages = MODELS[gained.model].stages
            before, after = (
                trained(stages[stage], self.checkpoint(gained.model, stage))[0]
                for stage in (gained.before, gained.after)
            )
            for network, training in made.values():
                add_gain(network, before, after, gained.weight)
                training["gained"] = asdict(gained)
        return made

    def export(self, variant: Variant, made: Trained, folder: Path) -> dict[str, Any]:
        """Write the graphs of a variant and its networks; returns its entry of the manifest."""
        kinds = {"grey": made[variant.grey], "colour": made[variant.colour]}
        name = self.name if len(self.recipe.variants) == 1 else f"{self.name}-{variant.label}"
        graphs = export_variant(
            {kind: network for kind, (network, _) in kinds.items()}, name, folder, self.recipe.extra
        )
        training = {kind: training for kind, (_, training) in kinds.items() if kind in graphs}
        return variant_entry(graphs, variant.qualities, training)

    def texture(self) -> dict[str, Any] | None:
        """Write the weights that `--texture` blends in, under their names in the graphs; returns their entry.

        Returns None if the model has no texture stage, or that stage has no checkpoint.

        Raises:
            ModelError: a weight is an initialiser in only one of the plain and the textured graph.
        """
        stage = self.recipe.texture
        if stage is None or not self.checkpoints[stage].is_file():
            return None
        with tempfile.TemporaryDirectory() as folder:
            (shipped,) = self.recipe.variants
            variant = Variant(shipped.qualities, stage, stage)
            published = self.export(variant, self.networks(variant), Path(folder))
            files = [published["graphs"][kind]["file"] for kind in ("grey", "colour")]
            changed: dict[str, np.ndarray] = {}
            for file in files:
                changed |= self.changed(initializers(self.engines / file), initializers(Path(folder) / file))
        path = self.engines / f"{self.name}.texture.npz"
        np.savez_compressed(path, **changed)  # pyright: ignore[reportArgumentType]  (no weight is called allow_pickle)
        return {"file": path.name, "sha256": checksum(path), "training": published["training"]["colour"]}

    def changed(self, plain: dict[str, np.ndarray], textured: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The weights of a textured graph that differ from those of the plain graph, by name."""
        if plain.keys() != textured.keys():
            odd = min(plain.keys() ^ textured.keys())
            raise ModelError(f"{self.name}: weight {odd} is in one of the two graphs only; train them further")
        return {name: textured[name] for name in plain if not np.array_equal(plain[name], textured[name])}


def entry(name: str, runs: Path, engines: Path, shipped: list[dict[str, Any]]) -> dict[str, Any]:
    """Write a model's files; returns its entry of the manifest, without measured quality.

    Args:
        name: of the model.
        runs: folder of the checkpoints.
        engines: folder of the graphs.
        shipped: the model's variants in the present manifest. Variants without checkpoints stay.

    Raises:
        ModelError: no variant's checkpoints are complete.
    """
    if name == "decode":
        network = Decode()
        graphs = export_variant({"grey": network, "colour": network}, name, engines)
        return model_entry(network, DECODE, [variant_entry(graphs)])
    recipe = MODELS[name]
    exporter = Exporter(name, recipe, runs, engines)
    ready = exporter.variants()
    known = {tuple(v["qualities"] or ()): v for v in shipped}
    loaded = [exporter.networks(v) for v in ready]  # exporting takes long: a damaged checkpoint shows before
    known |= {v.qualities or (): exporter.export(v, made, engines) for v, made in zip(ready, loaded, strict=True)}
    variants = [known[v.qualities or ()] for v in recipe.variants if (v.qualities or ()) in known]
    network, _ = exporter.network(ready[0].colour)
    found = model_entry(network, recipe.summary, variants, projected=recipe.projected, extra=recipe.extra)
    return found | {"texture": exporter.texture()}


def stage_entry(model: str, stage: str, runs: Path, engines: Path) -> dict[str, Any]:
    """Write the grey graph of a stage that no shipped graph is made of; returns its entry of the manifest."""
    recipe = MODELS[model]
    network, training = Exporter(model, recipe, runs, engines).network(stage)
    graphs = export_variant({"grey": network}, f"{model}-{stage}", engines, recipe.extra)
    found = model_entry(
        network,
        f"{model}, stage {stage}",
        [variant_entry(graphs, recipe.stages[stage].degradation.qualities, {"grey": training})],
        colour=per_component(network),
        projected=recipe.projected,
        extra=recipe.extra,
    )
    return found | {"quality": {}}
