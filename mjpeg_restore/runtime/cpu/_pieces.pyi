import numpy as np
from numpy.typing import NDArray

def cover(
    cells: NDArray[np.bool_], down: NDArray[np.float64], across: NDArray[np.float64], start: float, /
) -> list[tuple[int, int, int, int]]: ...
def pack(pieces: NDArray[np.int32], places: NDArray[np.int32], high: int, wide: int, /) -> bool: ...
