"""The networks that are measured, and the commands that make those that are missing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from installed import needed

from mjpeg_restore import catalogue
from mjpeg_restore.catalogue import Model
from mjpeg_restore.errors import MissingExtra
from mjpeg_restore.restorer import Restorer

if TYPE_CHECKING:
    from torch import nn

    from mjpeg_restore.training.recipe import ModelRecipe

DATA = "--data DATA/train --validation DATA/eval/cid22-validation"


class Networks:
    """A cache of restorers: each is made once."""

    def __init__(self, device: str, ablations: Path, peers: Path | None = None) -> None:
        """Prepare the cache.

        Args:
            device: the runtime.
            ablations: folder of the networks that no shipped model is made of.
            peers: folder of the weights of AR-CNN and DnCNN-3; None if they are not at hand.
        """
        self.device, self.ablations = device, ablations
        self._peers = peers
        self._made: dict[tuple[Any, ...], Restorer | None] = {}
        self._asked: dict[tuple[Any, ...], None] = {}

    def plain(self) -> Restorer:
        """The plain decode, the row "JPEG" of the tables."""
        found = self.shipped("decode")
        assert found is not None
        return found

    def shipped(
        self, name: str, qualities: tuple[int, int] | None = None, *, texture: float = 0.0, seed: int = 0
    ) -> Restorer | None:
        """A network of the catalogue, or None if it is not shipped.

        Args:
            name: in the catalogue.
            qualities: of the one variant to be used for pictures of every quality; None to choose the variant by
                quality.
            texture: share of the weights that were trained for texture, 0..1.
            seed: of the noise.
        """
        key = (name, qualities, texture, seed)
        self._asked[key] = None
        if key not in self._made:
            model = catalogue.shipped().get(name)
            if model and qualities:
                chosen = tuple(variant for variant in model.variants if variant.qualities == qualities)
                model = replace(model, variants=chosen) if chosen else None
            if model and texture and not model.texture:
                model = None
            self._made[key] = Restorer(model, self.device, texture=texture, seed=seed) if model else None
        return self._made[key]

    def own(self, name: str, quality: int) -> Restorer | None:
        """The variant that was trained for this quality only."""
        return self.shipped(name, (quality, quality))

    def ablation(self, model: str, stage: str) -> Restorer | None:
        """The network of a stage that no shipped graph is made of, or None if it was not exported."""
        key = (model, stage)
        self._asked[key] = None
        if key not in self._made:
            there = (self.ablations / "manifest.json").is_file()
            found = catalogue.read_manifest(self.ablations).get(f"{model}-{stage}") if there else None
            self._made[key] = Restorer(found, self.device) if found else None
        return self._made[key]

    def other(self, key: tuple[Any, ...], make: Callable[[], Restorer]) -> Restorer:
        """A restorer that is no network of the catalogue as it is.

        Args:
            key: names what `make` makes.
            make: called the first time.
        """
        found = self._made.get(key)
        if found is None:
            found = self._made[key] = make()
        return found

    def peer(self, name: str, quality: int) -> Restorer | None:
        """AR-CNN for a quality, or DnCNN-3, with its authors' weights; None if they are not at hand.

        Raises:
            MissingExtra: a package that reads the weights is not installed.
        """
        folder = self._peers
        if folder is None:
            return None

        def make() -> Restorer:
            from measuring.peers import load_ar_cnn, load_dn_cnn, publish

            network = load_ar_cnn(folder, quality) if name == "AR-CNN" else load_dn_cnn(folder)
            with TemporaryDirectory() as graphs:
                restorer = Restorer(publish(name, network, Path(graphs)), self.device)
                for graph in restorer.model.variants[0].graphs.values():
                    restorer.network(graph)  # is loaded while there is the file
            return restorer

        return self.other((name, quality), make)

    def identity(self, restorer: Restorer, quality: int) -> str:
        """What a restorer computes at a JPEG quality: how it was asked for, and the checksums of its files."""
        asked = next(key for key, made in self._made.items() if made is restorer)
        model = restorer.model
        sums = sorted(graph.sha256 for graph in model.variant(quality).graphs.values())
        texture = model.texture["sha256"] if model.texture else ""
        return f"{'/'.join(map(str, asked))} {self.device} {sha256(''.join([*sums, texture]).encode()).hexdigest()}"

    def begin(self) -> None:
        """Start a new list of requested networks; see `used`."""
        self._asked.clear()

    def used(self) -> list[Model]:
        """The networks requested since `begin`, without missing ones and the plain decode."""
        found = [restorer.model for key in self._asked if (restorer := self._made[key])]
        return [model for model in found if model.parameters]


def command(model: str, stage: str | None = None, *, ablation: bool = False) -> str:
    """The commands that train and export a network.

    Args:
        model: its name.
        stage: train only this stage and those that its weights are initialised from; None for all.
        ablation: whether no shipped graph is made of the stage.
    """
    chosen = f" --stage {' '.join(_chain(model, stage))}" if stage else ""
    alone = f" --stage {stage}" if ablation else ""
    train = f"python scripts/train.py --model {model}{chosen} --short {DATA}"
    return f"`{train}`, then `python scripts/export.py --model {model}{alone}`"


def _chain(model: str, stage: str) -> list[str]:
    """A stage preceded by the stages that its weights are initialised from; without PyTorch the stage alone."""
    try:
        before = _recipe(model).short[stage].init_from
    except MissingExtra:
        return [stage]
    return [*(_chain(*before.split("/")) if before else []), stage]


def _recipe(model: str) -> ModelRecipe:
    """The recipe of a model.

    Raises:
        MissingExtra: PyTorch is not installed.
    """
    with needed("Looking into a network"):
        from mjpeg_restore.training.recipes import MODELS
    return MODELS[model]


def architecture(model: str, stage: str) -> nn.Module:
    """An untrained network, as the recipe of a stage builds it.

    Raises:
        MissingExtra: PyTorch is not installed.
    """
    return _recipe(model).stages[stage].build().eval()


def size(model: str, stage: str) -> tuple[int, float]:
    """Parameters, and multiply-accumulates per luma pixel at 4:2:0, of the network that a stage of a recipe builds.

    Raises:
        MissingExtra: PyTorch is not installed.
    """
    network = architecture(model, stage)
    from mjpeg_restore.models.cost import macs_per_pixel

    return sum(p.numel() for p in network.parameters()), macs_per_pixel(network)


def with_weights(model: Model, stage: str, quality: int) -> nn.Module:
    """A shipped network in PyTorch, for its inner activations.

    Args:
        model: of the catalogue.
        stage: of its recipe that builds the network.
        quality: selects the variant.

    Raises:
        MissingExtra: PyTorch is not installed.
        ModelCorrupt: the graph belongs to another network.
    """
    network = architecture(model.name, stage)
    from mjpeg_restore.models.graph import load_weights

    load_weights(network, model.variant(quality).graphs["grey" if model.per_component else "colour"].path())
    return network
