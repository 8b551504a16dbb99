from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

lanes: int
fours: bool
pairs: bool
intel: bool
tiles: bool

Layer = tuple[
    NDArray[np.uint8] | NDArray[np.float32],
    NDArray[Any],
    NDArray[np.float32] | None,
    NDArray[np.float32],
    NDArray[np.float32] | None,
    NDArray[np.float32] | None,
    NDArray[np.float32] | None,
    NDArray[np.uint8] | None,
    NDArray[np.float16] | None,
    NDArray[np.uint8],
    tuple[int, ...],
    tuple[int, ...],
    float,
    float,
    int,
]

class Work: ...  # a capsule

def ask_for_tiles() -> bool: ...
def convolve(layers: Sequence[Layer], /) -> None: ...
def share(layers: Sequence[Layer], threads: int, /) -> Work: ...
def join(work: Work, /) -> None: ...
def fill(buffer: NDArray[Any], byte: int, size: int, cells: NDArray[np.uint8], region: tuple[int, ...], /) -> None: ...
