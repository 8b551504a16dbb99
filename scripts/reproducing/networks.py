"""The networks that are measured: those that are shipped, and what would make the others."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mjpeg_restore import catalogue
from mjpeg_restore.catalogue import Model
from mjpeg_restore.errors import MissingExtra
from mjpeg_restore.restorer import Restorer

if TYPE_CHECKING:
    from torch import nn

    from mjpeg_restore.training.recipe import Family

DATA = "--data DATA/train --validation DATA/eval/cid22-validation"


class Networks:
    """Restorers, each made once."""

    def __init__(self, device: str, ablations: Path) -> None:
        self.device, self.ablations = device, ablations
        self._made: dict[tuple[Any, ...], Restorer | None] = {}
        self._asked: dict[tuple[Any, ...], None] = {}

    def plain(self) -> Restorer:
        """The plain decode: JPEG, as tables call it."""
        found = self.shipped("decode")
        assert found is not None
        return found

    def shipped(
        self, name: str, qualities: tuple[int, int] | None = None, *, texture: float = 0.0, seed: int = 0
    ) -> Restorer | None:
        """A network of the catalogue, or None where it is not shipped.

        Args:
            name: in the catalogue.
            qualities: of the one variant that is wanted, whatever the quality of the pictures; None for all of them,
                each at its own qualities.
            texture: its share of the weights that were trained for texture.
            seed: of its noise.
        """
        key = (name, qualities, texture, seed)
        self._asked[key] = None
        if key not in self._made:
            model = catalogue.models().get(name)
            if model and qualities:
                chosen = tuple(variant for variant in model.variants if variant.qualities == qualities)
                model = replace(model, variants=chosen) if chosen else None
            if model and texture and not model.texture:
                model = None
            self._made[key] = Restorer(model, self.device, texture=texture, seed=seed) if model else None
        return self._made[key]

    def own(self, name: str, quality: int) -> Restorer | None:
        """The variant that was trained for just this quality."""
        return self.shipped(name, (quality, quality))

    def ablation(self, model: str, part: str) -> Restorer | None:
        """A part of a recipe that is no model of the command's, or None where it is not there."""
        key = (model, part)
        self._asked[key] = None
        if key not in self._made:
            there = (self.ablations / "manifest.json").is_file()
            found = catalogue.models(self.ablations).get(f"{model}-{part}") if there else None
            self._made[key] = Restorer(found, self.device) if found else None
        return self._made[key]

    def begin(self) -> None:
        """Forget which ones were asked for."""
        self._asked.clear()

    def used(self) -> list[Model]:
        """Those that were asked for since `begin` and are there, the plain decode left out."""
        found = [restorer.model for key in self._asked if (restorer := self._made[key])]
        return [model for model in found if model.parameters]


def command(model: str, part: str | None = None, *, ablation: bool = False) -> str:
    """What would train a network and ship it: a model, one part of it and those that it starts from, or an ablation."""
    chosen = f" --part {' '.join(_chain(model, part))}" if part else ""
    alone = f" --part {part}" if ablation else ""
    train = f"python scripts/train.py --model {model}{chosen} --short {DATA}"
    return f"`{train}`, then `python scripts/export.py --model {model}{alone}`"


def _chain(model: str, part: str) -> list[str]:
    """A part with --short, after those of the same model that it starts from; without PyTorch the part alone."""
    try:
        before = _family(model).short[part].after
    except MissingExtra:
        return [part]
    return [*(_chain(*before.split("/")) if before else []), part]


def _family(model: str) -> Family:
    """How a model is trained.

    Raises:
        MissingExtra: PyTorch is not installed.
    """
    try:
        from mjpeg_restore.training.recipes import FAMILIES
    except ImportError as error:
        raise MissingExtra("torch", "train", "Looking into a network") from error
    return FAMILIES[model]


def architecture(model: str, part: str) -> nn.Module:
    """An untrained network, as its recipe builds it.

    Raises:
        MissingExtra: PyTorch is not installed.
    """
    return _family(model).parts[part].build().eval()


def with_weights(model: Model, part: str, quality: int) -> nn.Module:
    """A shipped network in PyTorch, to look into it.

    Args:
        model: of the catalogue.
        part: of its recipe that builds it.
        quality: whose variant is wanted.

    Raises:
        MissingExtra: PyTorch is not installed.
        ModelCorrupt: the graph is another network's.
    """
    network = architecture(model.name, part)
    from mjpeg_restore.models.graph import load_weights

    load_weights(network, model.variant(quality).file("grey" if model.per_component else "colour"))
    return network
