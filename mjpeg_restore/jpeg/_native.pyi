from typing import Final

from typing_extensions import Buffer

VERSION: Final[str]
ARITHMETIC: Final[bool]

def read(
    data: Buffer, /
) -> tuple[
    int,
    int,
    tuple[tuple[bytearray, bytes | None, int, int, int, int, bool], ...],
    int,
    tuple[tuple[str, int, int, str], ...],
]: ...
