from typing import Any

from numpy.typing import NDArray

def project(
    phases: NDArray[Any],
    coefficients: NDArray[Any],
    table: NDArray[Any],
    plane: NDArray[Any],
    high: int,
    wide: int,
    scale: float,
    cell: float,
    /,
) -> None: ...
