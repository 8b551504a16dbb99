"""CodedPicture -> Picture: the one place where a network meets a picture."""

from __future__ import annotations

import threading
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from mjpeg_restore.frames import CodedPicture, Picture, Sampling
from mjpeg_restore.jpeg.tables import LUMA, estimate_quality
from mjpeg_restore.models import catalogue
from mjpeg_restore.models.catalogue import Model
from mjpeg_restore.runtime import Runtime, open_runtime


class Restorer:
    """A network, loaded, and what it takes to apply it to pictures of any size and sampling.

    May be called from several threads at once. The grey and the colour graph are loaded when the first grey or
    colour picture comes.
    """

    def __init__(
        self,
        model: str | Model = catalogue.DEFAULT,
        device: str = "auto",
        *,
        threads: int | None = None,
        streams: int = 1,
    ) -> None:
        """Choose a network.

        Args:
            model: a name from the catalogue (`mjpeg-restore models`), or a network described as the catalogue does.
            device: "auto", "onnxruntime" or "openvino"; see `runtime.open_runtime`.
            threads: CPU threads in all; every core by default.
            streams: how many pictures will be restored at the same time.

        Raises:
            UnknownModel: no such model.
        """
        self.model = catalogue.find(model) if isinstance(model, str) else model
        # Without a network there is nothing that bf16 could speed up, and ONNX Runtime starts at once.
        self._device = "onnxruntime" if device == "auto" and not self.model.parameters else device
        self._threads = threads
        self.streams = streams
        self._runtimes: dict[bool, Runtime] = {}
        self._loading = threading.Lock()

    def runtime(self, *, colour: bool) -> Runtime:
        """The graph for grey or colour pictures, loaded.

        Raises:
            RuntimeUnavailable: the device is not there.
            ModelCorrupt: an engine file is missing or altered.
        """
        with self._loading:
            if colour not in self._runtimes:
                graph = self.model.graph(colour=colour)
                self._runtimes[colour] = open_runtime(graph, self._device, self._threads, self.streams)
            return self._runtimes[colour]

    @property
    def runtime_name(self) -> str:
        """What runs the network, for people; empty before the first picture."""
        return next((runtime.name for runtime in self._runtimes.values()), "")

    def restore(
        self, coded: CodedPicture, *, index: int = 0, pts: int = 0, time_base: Fraction = Fraction(1, 25)
    ) -> Picture:
        """Restore one picture.

        Args:
            coded: what `jpeg.read` made of a packet.
            index, pts, time_base: handed on to the picture.

        Returns:
            Planes at the coded picture's own sampling, cropped to its size, top row first.
        """
        runtime = self.runtime(colour=coded.sampling is not Sampling.GRAY)
        planes = runtime.run(self.inputs(coded))
        return Picture(
            planes=_crop(planes, coded),
            sampling=coded.sampling,
            full_range=coded.colour.full_range,
            index=index,
            pts=pts,
            time_base=time_base,
            quality=estimate_quality(coded.tables[0], LUMA),
        )

    @staticmethod
    def inputs(coded: CodedPicture) -> list[NDArray[np.int16] | NDArray[np.uint16]]:
        """What a graph takes: coefficients and table of Y, Cb, Cr in turn (C4), luma's grid a multiple of
        chroma's (C2).
        """
        components = list(zip(coded.coefficients, coded.tables, strict=True))
        if coded.sampling is Sampling.GRAY:
            return [*components[0]]
        across, down = coded.sampling.value
        (luma, table), *chroma = components
        if coded.colour.swapped_chroma:
            chroma.reverse()
        high, wide = chroma[0][0].shape[:2]
        return [pad_blocks(luma, high * down, wide * across), table, *chroma[0], *chroma[1]]


def pad_blocks(blocks: NDArray[np.int16], high: int, wide: int) -> NDArray[np.int16]:
    """Continue a grid of blocks to the right and below with flat blocks of its edge's level.

    Args:
        blocks: int16 `[blocks_high, blocks_wide, 64]`.
        high, wide: block rows and columns wanted, not less than there are.
    """
    missing = (high - blocks.shape[0], wide - blocks.shape[1])
    if missing == (0, 0):
        return blocks
    padded = np.zeros((high, wide, 64), np.int16)
    padded[..., 0] = np.pad(blocks[..., 0], ((0, missing[0]), (0, missing[1])), mode="edge")
    padded[: blocks.shape[0], : blocks.shape[1]] = blocks
    return padded


def _crop(planes: tuple[NDArray[np.uint8], ...], coded: CodedPicture) -> tuple[NDArray[np.uint8], ...]:
    across, down = coded.sampling.value or (1, 1)
    sizes = [(coded.height, coded.width)] + 2 * [(-(-coded.height // down), -(-coded.width // across))]
    cropped = tuple(plane[:high, :wide] for plane, (high, wide) in zip(planes, sizes, strict=False))
    return tuple(plane[::-1] for plane in cropped) if coded.colour.bottom_up else cropped
