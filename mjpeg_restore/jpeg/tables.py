"""The tables of the JPEG standard's Annex K (T.81), and the IJG's quality scale of its quantisation tables."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray


def _frozen(rows: str) -> NDArray[np.uint16]:
    table = np.array(rows.split(), dtype=np.uint16)
    table.flags.writeable = False
    return table


LUMA: Final = _frozen("""
    16 11 10 16  24  40  51  61    12 12 14 19  26  58  60  55
    14 13 16 24  40  57  69  56    14 17 22 29  51  87  80  62
    18 22 37 56  68 109 103  77    24 35 55 64  81 104 113  92
    49 64 78 87 103 121 120 101    72 92 95 98 112 100 103  99
""")
"""uint16 `[64]`, natural order: Annex K's luminance table, the IJG's quality 50."""

CHROMA: Final = _frozen("""
    17 18 24 47 99 99 99 99    18 21 26 66 99 99 99 99
    24 26 56 99 99 99 99 99    47 66 99 99 99 99 99 99
    99 99 99 99 99 99 99 99    99 99 99 99 99 99 99 99
    99 99 99 99 99 99 99 99    99 99 99 99 99 99 99 99
""")
"""uint16 `[64]`, natural order: Annex K's chrominance table, the IJG's quality 50."""

# Annex K.3: codes per length, 1 to 16 bits; luma, then chroma.
_DC_BITS: Final = ("00010501010101010100000000000000", "00030101010101010101010000000000")
_AC_BITS: Final = ("0002010303020403050504040000017d", "00020102040403040705040400010277")
_AC_FIRST: Final = (  # the values in front of the regular part, most frequent first
    "01020300041105122131410613516107227114328191a1082342b1c11552d1f02433627282090a161718191a",
    "000102031104052131061241510761711322328108144291a1b1c109233352f0156272d10a162434e125f1",
)


def _ac_values(first: str) -> bytes:
    """`first`, then all other codes of run 0..15 and size 1..10, in rising order."""
    head = bytes.fromhex(first)
    codes = (run << 4 | size for run in range(16) for size in range(1, 11))
    return head + bytes(code for code in codes if code not in head)


def _standard_dht() -> bytes:
    content = b""
    for table, (dc, ac, first) in enumerate(zip(_DC_BITS, _AC_BITS, _AC_FIRST, strict=True)):
        content += bytes([table]) + bytes.fromhex(dc) + bytes(range(12))
        content += bytes([0x10 | table]) + bytes.fromhex(ac) + _ac_values(first)
    return content


STANDARD_DHT: Final = b"\xff\xc4" + (418).to_bytes(2, "big") + _standard_dht()
"""DHT segment, marker included, of Annex K's four Huffman tables: 420 bytes (H1)."""


def _scale(standard: NDArray[np.uint16], quality: int) -> NDArray[np.uint16]:
    quality = min(max(quality, 1), 100)
    scale = 5000 // quality if quality < 50 else 200 - 2 * quality
    return np.clip((standard.astype(np.int64) * scale + 50) // 100, 1, 255).astype(np.uint16)


def scaled_tables(quality: int) -> tuple[NDArray[np.uint16], NDArray[np.uint16]]:
    """The quantisation tables of the IJG's encoder (`jpeg_set_quality`) at a quality.

    Args:
        quality: 1 to 100; other values are clamped, as by the IJG.

    Returns:
        Luma and chroma, each uint16 `[64]`, natural order, 1 to 255.
    """
    return _scale(LUMA, quality), _scale(CHROMA, quality)


@lru_cache(maxsize=4)
def _ladder(standard: bytes) -> NDArray[np.float64]:
    """float64 `[100, 64]`: log2 of `standard` at every quality from 1 to 100."""
    table = np.frombuffer(standard, np.uint16)
    return np.log2(np.stack([_scale(table, quality) for quality in range(1, 101)]))


@lru_cache(maxsize=1024)
def _nearest_quality(table: bytes, standard: bytes) -> int:
    steps = np.log2(np.maximum(np.frombuffer(table, np.uint16), 1))
    return 1 + int(np.abs(_ladder(standard) - steps).sum(axis=1).argmin())


def estimate_quality(table: NDArray[np.uint16], standard: NDArray[np.uint16] = LUMA) -> int:
    """The IJG quality whose table is nearest, by the sum of absolute log2 ratios of the steps.

    Args:
        table: uint16 `[64]`, natural order.
        standard: the table that the encoder scales, `LUMA` or `CHROMA`.

    Returns:
        1 to 100; exact for tables of the IJG, except for chroma at qualities 1 to 3, where all steps are 255. Results
        are cached by table, because streams repeat theirs (Q1).
    """
    return _nearest_quality(table.astype(np.uint16).tobytes(), standard.astype(np.uint16).tobytes())
