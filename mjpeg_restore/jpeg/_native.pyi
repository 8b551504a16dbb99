from typing import Final

from typing_extensions import Buffer

VERSION: Final[str]
ARITHMETIC: Final[bool]

def read(
    data: Buffer, /
) -> tuple[
    tuple[tuple[bytearray, bytes | None, int, int, bool], ...],
    tuple[tuple[str, int, str], ...],
]: ...
