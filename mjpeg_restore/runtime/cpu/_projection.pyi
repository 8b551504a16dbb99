import numpy as np
from numpy.typing import NDArray

def project(
    phases: NDArray[np.float16] | None,
    coefficients: NDArray[np.int16],
    table: NDArray[np.float32],
    plane: NDArray[np.uint8],
    high: int,
    wide: int,
    scale: float,
    cell: float,
    lanes: int,
    /,
) -> None: ...
def decode(
    coefficients: NDArray[np.int16],
    table: NDArray[np.float32],
    samples: NDArray[np.float32],
    high: int,
    wide: int,
    scale: float,
    lanes: int,
    /,
) -> None: ...
