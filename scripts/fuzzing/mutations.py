"""Mutations that know the structure of JPEG: random bytes alone are refused by the first check of the header walk."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from random import Random
from typing import Final

from mjpeg_restore.jpeg.segments import COM, DHT, DQT, DRI, SOF, SOS, segments
from mjpeg_restore.jpeg.tables import STANDARD_DHT

Pieces = list[bytes]
"""SOI, marker segments with the entropy-coded data behind them, and foreign bytes behind EOI: the input in order."""

_BYTES: Final = (0, 1, 2, 3, 4, 7, 8, 15, 16, 63, 64, 127, 128, 254, 255)
_SIDES: Final = (0, 1, 7, 8, 9, 15, 16, 17, 31, 33, 64, 255, 256, 4096, 65500, 65535)
_FRAMES: Final = (0xC0, 0xC1, 0xC2, 0xC9, 0xCA)
"""Baseline, extended, progressive, arithmetic, progressive arithmetic."""
_FACTORS: Final = (0x11, 0x11, 0x21, 0x12, 0x22, 0x41, 0x14, 0x31, 0x44, 0x00, 0xFF)
_SPECTRAL: Final = (
    b"\0\x3f\0",
    b"\0\0\0",
    b"\0\0\1",
    b"\0\0\x10",
    b"\1\5\0",
    b"\1\x3f\0",
    b"\1\x3f\x21",
    b"\6\x3f\xff",
)
"""Ends of scan headers: sequential, then DC, AC and refinements of progressive coding, then impossible ones."""
_FOREIGN: Final = (
    bytes(16),
    bytes(64),
    b"\r\n--boundary\r\nContent-Type: image/jpeg\r\n\r\n",
    b"\xff\xd8\xff",
    b"\xff\xd9",
    b"\xff\xff\xff",
    b"\xff\0",
    b"\xff",
    b"\x28\xa2\x8a" * 8,
)


def mutate(data: bytes, rng: Random, others: Sequence[bytes], max_size: int) -> bytes:
    """Apply one to four mutations.

    Args:
        data: the input, a JPEG or anything else.
        rng: source of all choices.
        others: inputs from which parts are taken; at least one.
        max_size: bytes of the result, at most.
    """
    for _ in range(rng.randint(1, 4)):
        pieces = split_pieces(data)
        if len(pieces) < 3 or rng.random() < 0.2:
            data = rng.choice(_ANYWHERE)(data, rng, others)
        else:
            rng.choice(_STRUCTURED)(pieces, rng, others)
            data = b"".join(pieces)
    return data[:max_size]


def split_pieces(data: bytes) -> Pieces:
    """Split the picture at the first byte into its segments; any input can be split, and joined again."""
    cuts = [0, *sorted({min(found.offset, len(data)) for found in segments(data, 0)} - {0}), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(cuts)]


def segment(marker: int, body: bytes) -> bytes:
    """A marker segment with its length."""
    return bytes([0xFF, marker]) + (len(body) + 2).to_bytes(2, "big") + body


# ---- mutations of any bytes ----


def _flip(data: bytes, rng: Random, others: Sequence[bytes]) -> bytes:
    changed = bytearray(data or b"\0")
    for _ in range(rng.choice((1, 1, 2, 8))):
        at = rng.randrange(len(changed))
        changed[at] = rng.choice((changed[at] ^ 1 << rng.randrange(8), rng.choice(_BYTES)))
    return bytes(changed)


def _delete(data: bytes, rng: Random, others: Sequence[bytes]) -> bytes:
    start, end = _span(data, rng)
    return data[:start] + data[end:]


def _repeat(data: bytes, rng: Random, others: Sequence[bytes]) -> bytes:
    start, end = _span(data, rng)
    return data[:end] + data[start:end] * rng.choice((1, 1, 2, 20)) + data[end:]


def _truncate(data: bytes, rng: Random, others: Sequence[bytes]) -> bytes:
    return data[: rng.randint(0, len(data))] + rng.choice((b"", b"", b"\xff\xd9", b"\xff"))


def _insert(data: bytes, rng: Random, others: Sequence[bytes]) -> bytes:
    at = rng.randint(0, len(data))
    foreign = rng.choice((*_FOREIGN, bytes([0xFF, rng.randrange(256)]), bytes([0xFF, 0xD0 | rng.randrange(8)])))
    return data[:at] + foreign + data[at:]


def _splice(data: bytes, rng: Random, others: Sequence[bytes]) -> bytes:
    other = rng.choice(others)
    start, end = _span(other, rng)
    at = rng.randint(0, len(data))
    return data[:at] + other[start:end] + data[at + rng.choice((0, end - start)) :]


def _append(data: bytes, rng: Random, others: Sequence[bytes]) -> bytes:
    other = rng.choice((data, rng.choice(others)))
    return data + rng.choice((b"", *_FOREIGN)) + other


def _span(data: bytes, rng: Random) -> tuple[int, int]:
    start = rng.randint(0, len(data))
    return start, min(len(data), start + rng.choice((1, 2, 4, 16, 64, 256, 4096)))


# ---- mutations of the list of segments, in place ----


def _drop(pieces: Pieces, rng: Random, others: Sequence[bytes]) -> None:
    del pieces[rng.randrange(1, len(pieces))]


def _duplicate(pieces: Pieces, rng: Random, others: Sequence[bytes]) -> None:
    times = rng.choice((1, 1, 1, 3, 70))
    pieces[rng.randint(1, len(pieces)) : 0] = [rng.choice(pieces)] * times


def _swap(pieces: Pieces, rng: Random, others: Sequence[bytes]) -> None:
    one, other = rng.randrange(1, len(pieces)), rng.randrange(1, len(pieces))
    pieces[one], pieces[other] = pieces[other], pieces[one]


def _borrow(pieces: Pieces, rng: Random, others: Sequence[bytes]) -> None:
    pieces.insert(rng.randint(1, len(pieces)), rng.choice(split_pieces(rng.choice(others)) or [b""]))


def _change_length(pieces: Pieces, rng: Random, others: Sequence[bytes]) -> None:
    at = rng.randrange(1, len(pieces))
    length = int.from_bytes(pieces[at][2:4], "big")
    wrong = rng.choice((0, 1, 2, 3, length - 1, length + 1, length + 64, 65535)) & 0xFFFF
    pieces[at] = pieces[at][:2] + wrong.to_bytes(2, "big") + pieces[at][4:]


def _change_body(pieces: Pieces, rng: Random, others: Sequence[bytes]) -> None:
    at = rng.randrange(1, len(pieces))
    piece = bytearray(pieces[at])
    if len(piece) > 4:
        piece[rng.randrange(4, min(len(piece), 40))] = rng.choice((*_BYTES, rng.randrange(256)))
    pieces[at] = bytes(piece)


def _change_frame(pieces: Pieces, rng: Random, others: Sequence[bytes]) -> None:
    """Another process, size, precision, number of components, sampling or table."""
    at = _find(pieces, rng, *SOF)
    frame = bytearray(pieces[at])
    if len(frame) < 13:
        return
    field = rng.randrange(6)
    if field == 0:
        frame[1] = rng.choice(_FRAMES)
    elif field == 1:
        start = rng.choice((5, 7))
        frame[start : start + 2] = rng.choice(_SIDES).to_bytes(2, "big")
    elif field == 2:
        frame[rng.choice((4, 9))] = rng.choice((1, 2, 3, 4, 8, 12, 255))
    else:
        start = rng.randrange(10, len(frame), 3)
        frame[min(start + field - 3, len(frame) - 1)] = rng.choice(_FACTORS if field == 4 else (0, 1, 2, 3, 4, 255))
    pieces[at] = bytes(frame)


def _change_huffman(pieces: Pieces, rng: Random, others: Sequence[bytes]) -> None:
    """Other counts or values of codes, or the name of another table."""
    at = _find(pieces, rng, DHT)
    table = bytearray(pieces[at])
    for _ in range(rng.choice((1, 2, 16))):
        if len(table) > 21:
            last = rng.choice((5, 21, len(table)))
            table[rng.randrange(4, last)] = rng.choice((0, 1, 2, 0x10, 0x11, 0xF0, 0xFF, rng.randrange(256)))
    pieces[at] = bytes(table)


def _add_huffman(pieces: Pieces, rng: Random, others: Sequence[bytes]) -> None:
    """A table of codes that are short, so that a byte holds many blocks, or the standard tables."""
    symbol = bytes([rng.choice((0, 0, 0, 1, 0xF0, 0xFF))])
    name = bytes([rng.choice((0, 1, 2, 3, 0x10, 0x11, 0x12, 0x13, 0x1F))])
    count = rng.choice((1, 1, 2, 255))
    short = segment(DHT, name + bytes([count]) + bytes(15) + symbol * count)
    pieces.insert(rng.randint(1, len(pieces)), rng.choice((short, STANDARD_DHT)))


def _add_quantisation(pieces: Pieces, rng: Random, others: Sequence[bytes]) -> None:
    """A table of 8 or 16 bits, with zeros or the largest steps."""
    wide = rng.randrange(2)
    step = rng.choice((b"\0", b"\1", b"\x10", b"\xff")) * (1 + wide)
    body = bytes([wide << 4 | rng.choice((0, 0, 1, 2, 3, 15))]) + step * 64
    pieces.insert(rng.randint(1, len(pieces)), segment(DQT, body[: rng.choice((len(body), len(body), 30))]))


def _add_restarts(pieces: Pieces, rng: Random, others: Sequence[bytes]) -> None:
    """A DRI, and restart markers in the last piece, as many as there is room for or one."""
    interval = rng.choice((0, 1, 1, 2, 4, 7, 255, 65535))
    pieces.insert(rng.randint(1, len(pieces)), segment(DRI, interval.to_bytes(2, "big")))
    at = _find(pieces, rng, SOS)
    head, data = pieces[at][:14], pieces[at][14:]
    step = rng.choice((1, 8, 64, max(1, len(data))))
    parts = [data[k : k + step] for k in range(0, min(len(data), 400 * step), step)]
    shift = rng.choice((1, 1, 0, 2))
    pieces[at] = head + b"".join(part + bytes([0xFF, 0xD0 | k * shift % 8]) for k, part in enumerate(parts))


def _change_scan(pieces: Pieces, rng: Random, others: Sequence[bytes]) -> None:
    """Another spectral selection, number of components, or table."""
    at = _find(pieces, rng, SOS)
    scan = bytearray(pieces[at])
    if len(scan) < 10:
        return
    end = min(len(scan), 2 + int.from_bytes(scan[2:4], "big"))
    if rng.randrange(2) and end >= 7:
        scan[end - 3 : end] = rng.choice(_SPECTRAL)
    else:
        scan[rng.randrange(4, max(end, 5))] = rng.choice((0, 1, 2, 3, 4, 0x10, 0x11, 0x22, 0x33, 0xFF))
    pieces[at] = bytes(scan)


def _add_scan(pieces: Pieces, rng: Random, others: Sequence[bytes]) -> None:
    """Scans of one component, with or without data."""
    names = pieces[_find(pieces, rng, *SOF)][10::3] or b"\1"
    header = segment(SOS, bytes([1, rng.choice(names), rng.choice((0, 0x11))]) + rng.choice(_SPECTRAL))
    pieces[rng.randint(1, len(pieces)) : 0] = [header + rng.randbytes(rng.choice((0, 3, 40)))] * rng.choice((1, 2, 66))


def _change_data(pieces: Pieces, rng: Random, others: Sequence[bytes]) -> None:
    """Damage of entropy-coded data: any mutation of bytes behind the scan header."""
    at = _find(pieces, rng, SOS)
    end = 2 + int.from_bytes(pieces[at][2:4], "big")
    pieces[at] = pieces[at][:end] + rng.choice(_ANYWHERE)(pieces[at][end:], rng, others)


def _nest(pieces: Pieces, rng: Random, others: Sequence[bytes]) -> None:
    """A picture, EXIF, or text, in a segment that is stepped over."""
    marker, body = rng.choice(
        (
            (0xE1, b"Exif\0\0" + rng.choice((b"II*\0", b"MM\0*")) + rng.randbytes(40)),
            (0xE1, b"Exif\0\0" + rng.choice(others)[:60000]),
            (0xE0, b"JFIF\0\1\1"),
            (0xE0, b"AVI1" + rng.randbytes(rng.randrange(4))),
            (0xEE, b"Adobe\0d\0\0\0\0" + bytes([rng.randrange(4)])),
            (
                COM,
                rng.choice((b"CS=ITU601", b"MTSJ", b"AVID" + rng.randbytes(20), b"Intel(R) JPEG Library, version 1")),
            ),
        )
    )
    pieces.insert(rng.randint(1, len(pieces)), segment(marker, body))


def _find(pieces: Pieces, rng: Random, *markers: int) -> int:
    """The place of a segment with one of these markers; any other place where there is none."""
    found = [at for at, piece in enumerate(pieces) if piece[:1] == b"\xff" and piece[1:2] and piece[1] in markers]
    return rng.choice(found) if found else rng.randrange(len(pieces))


_ANYWHERE: Final[tuple[Callable[[bytes, Random, Sequence[bytes]], bytes], ...]] = (
    _flip,
    _delete,
    _repeat,
    _truncate,
    _insert,
    _splice,
    _append,
)
_STRUCTURED: Final[tuple[Callable[[Pieces, Random, Sequence[bytes]], None], ...]] = (
    _drop,
    _duplicate,
    _swap,
    _borrow,
    _change_length,
    _change_body,
    _change_frame,
    _change_frame,
    _change_huffman,
    _add_huffman,
    _add_quantisation,
    _add_restarts,
    _change_scan,
    _add_scan,
    _change_data,
    _change_data,
    _change_data,
    _nest,
)
