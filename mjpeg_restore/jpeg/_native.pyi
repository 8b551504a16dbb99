from typing import Final

import numpy as np
from numpy.typing import NDArray
from typing_extensions import Buffer

VERSION: Final[str]
ARITHMETIC: Final[bool]

def read(
    data: Buffer, blocks: NDArray[np.uintp], /
) -> tuple[
    tuple[tuple[bytearray, bytes | None, int, int, bool], ...],
    tuple[tuple[str, int, str], ...],
]: ...
