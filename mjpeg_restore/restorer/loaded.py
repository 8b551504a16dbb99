"""A model on a device: its graphs, each loaded with the first picture that needs it."""

from __future__ import annotations

import os
from pathlib import Path
from weakref import WeakSet

import numpy as np
from numpy.typing import NDArray

from mjpeg_restore import catalogue
from mjpeg_restore.catalogue import GraphFile, Model, Variant, verified
from mjpeg_restore.errors import ModelCorrupt, UnknownModel
from mjpeg_restore.frames import CodedPicture, Sampling
from mjpeg_restore.jpeg.tables import LUMA, estimate_quality
from mjpeg_restore.restorer.sessions import Sessions, leak
from mjpeg_restore.runtime import Blend, NativeDecode, Network, Progress, open_network
from mjpeg_restore.runtime.devices import candidates

DEFAULT_MEMORY = 300_000_000
"""Default limit of memory for the restoration of one picture, bytes."""


class LoadedModel:
    """A model on a device, and what one of its pictures may take there. Safe from several threads."""

    def __init__(
        self,
        model: str | Model = catalogue.DEFAULT,
        device: str = "auto",
        *,
        threads: int | None = None,
        streams: int = 1,
        texture: float = 0.0,
        seed: int = 0,
        memory: int = DEFAULT_MEMORY,
        progress: Progress | None = None,
        engine_cache: str | os.PathLike[str] | None = None,
    ) -> None:
        """Choose a model.

        Args:
            model: a name from the catalogue, such as "stream", or "acme-models/soft" of an installed package; or a
                `catalogue.Model`.
            device: one of `runtime.DEVICES`, which ":1" or another detail may follow. "auto" is an NVIDIA GPU where one
                works, else the CPU; but `decode` then takes the native extension where it was built, else ONNX Runtime.
            threads: CPU threads in all; every core by default.
            streams: pictures that callers restore at the same time.
            texture: amount of invented texture, 0..1, for a model with texture weights: their share in the blend (QGAC,
                appendix B.2).
            seed: of the noise, for a model that gives one of many possible pictures; equal seeds give equal pictures.
            memory: approximate limit for the restoration of one picture, bytes; larger pictures are restored in tiles.
                A device with memory of its own has its own limit.
            progress: called while a network is made ready, if that takes long; see `runtime.open_network`.
            engine_cache: folder of the engines that TensorRT builds; None for the user's cache.

        Raises:
            UnknownModel: no such model, or a texture for a model without texture weights.
            ModelCorrupt: the model's package is faulty.
            RuntimeUnavailable: no such device; one that is absent is found out with the first picture.
            ValueError: a texture outside 0..1, a seed below 0, or fewer than one thread or stream.
        """
        if streams < 1 or (threads is not None and threads < 1):
            raise ValueError(f"threads {threads}, streams {streams}: one or more of each")
        if not 0 <= texture <= 1 or seed < 0:
            raise ValueError(f"texture {texture}, seed {seed}: texture is 0..1, and a seed 0 or more")
        self.model = model if isinstance(model, Model) else catalogue.find(model)
        if texture and not self.model.texture:
            able = [name for name, known in catalogue.models().items() if known.texture]
            raise UnknownModel(f"model {self.model.name!r} has no texture to blend in; {', '.join(able) or 'none'} has")
        candidates(device)  # an unknown one is an error
        self._device = device
        self._threads = threads
        self.streams = streams
        self._texture = texture
        self._seed = seed
        self._memory = memory
        self._progress = progress
        self._engine_cache = None if engine_cache is None else Path(engine_cache)
        self._networks: dict[str, Network] = {}
        self.sessions = Sessions()
        """Of pictures that belong to no stream."""
        _loaded.add(self)

    def choose(self, coded: CodedPicture) -> tuple[Variant, str]:
        """The variant that suits a picture best, and the key of the graph that restores it: "grey" or "colour".

        Raises:
            UnknownModel: the model has no graph for pictures in colour.
        """
        variant = self.model.variant(estimate_quality(coded.tables[0], LUMA))
        kind = "grey" if coded.sampling is Sampling.GRAY or self.model.per_component else "colour"
        if kind not in variant.graphs:
            raise UnknownModel(f"model {self.model.name!r} restores grey pictures alone")
        return variant, kind

    def network(self, graph: GraphFile, progress: Progress | None = None) -> Network:
        """One of the model's graphs, loaded.

        Args:
            graph: of one of the model's variants.
            progress: called if it is loaded now, and that takes long; None: the model's own.

        Raises:
            RuntimeUnavailable: the device is not available.
            ModelCorrupt: an engine file is missing or altered.
        """
        network = self._networks.get(graph.file)
        if network is None or network.broken:
            network = self._networks[graph.file] = self._load(graph, progress)
        return network

    def _load(self, graph: GraphFile, progress: Progress | None) -> Network:
        device = self._device
        if device == "auto" and self.model.name == catalogue.DECODE:
            if NativeDecode.available:
                return NativeDecode()
            device = "onnxruntime"  # it starts faster, and bf16 has nothing to speed up
        blend = texture_of(self.model, self._texture) if self._texture else None
        return open_network(
            graph,
            device,
            self._threads,
            self.streams,
            blend,
            progress or self.report,
            engine_cache=self._engine_cache,
        )

    @property
    def runtime_name(self) -> str:
        """Library, device and precision that run the network, in words; empty before the first picture."""
        return next((network.name for file, network in [*self._networks.items()] if ".context." not in file), "")

    def report(self, what: str, share: float) -> None:
        """Tell whoever watches of a network that is being made ready; see `Progress`."""
        if self._progress:
            self._progress(what, share)

    def noise(self, high: int, wide: int) -> NDArray[np.float32]:
        """The noise for a picture of that many blocks of luma, standard normal, float32 `[4 high, 4 wide]`."""
        return np.random.default_rng(self._seed).standard_normal((4 * high, 4 * wide), np.float32)

    def memory(self, network: Network) -> int:
        """Bytes that one picture may take."""
        return self._memory if network.memory is None else network.memory

    def blocks(self, network: Network) -> int:
        """Blocks of luma that fit into the memory which one picture may take."""
        return int(self.memory(network) / (64 * self.model.bytes_per_pixel))

    def forget_networks(self) -> None:
        """Drop the loaded networks in a forked process; each is loaded again when it is needed."""
        leak(self._networks)
        self._networks = {}


def texture_of(model: Model, share: float) -> Blend:
    """The weights that were trained for texture, for a blend with a model's own (QGAC, appendix B.2, equation 1).

    Args:
        model: a model with texture weights.
        share: alpha, 0 for the regression, 1 for texture.

    Raises:
        UnknownModel: the model has none.
        ModelCorrupt: the weights are missing or altered.
    """
    if model.texture is None:
        raise UnknownModel(f"model {model.name!r} has no texture to blend in")
    path = verified(model.folder, model.texture["file"], model.texture["sha256"], model.package)
    try:
        with path.open("rb") as file, np.load(file) as weights:
            return Blend(dict(weights), share)
    except Exception as error:  # it may be anything, and NumPy's exceptions are of many types
        raise ModelCorrupt(f"{path}: no weights in NumPy's .npz format") from error


_loaded: WeakSet[LoadedModel] = WeakSet()


def _forget_all() -> None:
    for model in _loaded:
        model.forget_networks()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)
