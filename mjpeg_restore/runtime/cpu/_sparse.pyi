from typing import Any

import numpy as np
from numpy.typing import NDArray

lanes: int
pairs: bool
tiles: bool

def convolve(
    input: NDArray[np.uint8] | NDArray[np.float32],
    weights: NDArray[np.int8] | NDArray[np.uint16] | NDArray[np.float32],
    scale: NDArray[np.float32] | None,
    bias: NDArray[np.float32],
    added: NDArray[np.float32] | None,
    also: NDArray[np.float32] | None,
    sums: NDArray[np.float32] | None,
    rounded: NDArray[np.uint8] | None,
    halves: NDArray[np.float16] | None,
    cells: NDArray[np.uint8],
    region: tuple[int, ...],
    shape: tuple[int, ...],
    inverse: float,
    zero: float,
    lanes: int,
    /,
) -> None: ...
def fill(buffer: NDArray[Any], byte: int, size: int, cells: NDArray[np.uint8], region: tuple[int, ...], /) -> None: ...
