"""The networks that are measured: those that are shipped, and what would make the others."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mjpeg_restore.errors import MissingExtra
from mjpeg_restore.models import catalogue
from mjpeg_restore.models.catalogue import Model, Variant
from mjpeg_restore.restore import Restorer

if TYPE_CHECKING:
    from torch import nn

    from mjpeg_restore.training.recipe import Family

DATA = "--data DATA/train --validation DATA/eval/cid22-validation"


class Networks:
    """Restorers, each made once."""

    def __init__(self, device: str) -> None:
        self.device = device
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

    def of(self, model: Model) -> Restorer:
        """A network that is described as the catalogue does."""
        key = (model.name, model.folder)
        self._asked[key] = None
        restorer = self._made[key] = self._made.get(key) or Restorer(model, self.device)
        return restorer

    def begin(self) -> None:
        """Forget which ones were asked for."""
        self._asked.clear()

    def used(self) -> list[Model]:
        """Those that were asked for since `begin` and are there, the plain decode left out."""
        found = [restorer.model for key in self._asked if (restorer := self._made[key])]
        return [model for model in found if model.parameters]


def command(model: str, part: str | None = None) -> str:
    """What would train a network and ship it, or one part of its recipe and those that it starts from."""
    chosen = f" --part {' '.join(_chain(model, part))}" if part else ""
    train = f"python scripts/train.py --model {model}{chosen} --short {DATA}"
    return f"`{train}`, then `python scripts/export.py --model {model}`"


def _chain(model: str, part: str) -> list[str]:
    """A part with --short, after those of the same model that it starts from."""
    before = _family(model).short[part].after
    return [*(_chain(*before.split("/")) if before else []), part]


def _family(model: str) -> Family:
    """How a model is trained.

    Raises:
        MissingExtra: PyTorch is not installed.
    """
    try:
        from mjpeg_restore.training.recipes import FAMILIES
    except ImportError as error:
        raise MissingExtra("PyTorch", "train", "Looking into a network") from error
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

    variant = model.variant(quality)
    load_weights(network, variant.file(variant.kind(colour=True)))
    return network


def from_checkpoint(model: str, part: str, runs: Path, folder: Path) -> Model | None:
    """A part of a recipe that is trained but not shipped, for grey pictures; None where it is not there.

    Args:
        model: of the recipes.
        part: of it, a network that restores luma alone, or luma too.
        runs: where `scripts/train.py` keeps checkpoints.
        folder: where the graph goes.

    Raises:
        MissingExtra: PyTorch is not installed.
        ModelCorrupt: the checkpoint is another network's.
    """
    checkpoint = runs / model / part / "checkpoint.pt"
    if not checkpoint.is_file():
        return None
    family = _family(model)
    from mjpeg_restore.models import graph
    from mjpeg_restore.models.cost import figures
    from mjpeg_restore.training.checkpoints import trained

    recipe, extra = family.parts[part], family.extra
    network, training = trained(recipe, checkpoint)
    name = f"{model}-{part}"
    graphs = graph.publish({"gray": network}, name, folder, extra)
    return Model(
        name=name,
        summary=f"{model}, part {part}",
        extra=extra,
        quality={},
        variants=(Variant(recipe.degradation.qualities, {"gray": training}, graphs, folder),),
        **figures(network, colour=False, extra=extra),
    )
