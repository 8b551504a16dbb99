"""A second reader, for tests alone: Huffman-coded JPEG to quantised coefficients, written straight from ITU-T T.81.

It shares no code with the package, follows the standard's flow charts, and expects a sound picture. Restart markers are
counted: behind the n-th marker of a scan, MCU number n times the interval begins, whatever the marker's own number.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Codes = dict[tuple[int, int], int]
"""(length, code) to symbol."""


@dataclass
class Component:
    """One component of the frame header (B.2.2), and its coefficients."""

    h: int
    v: int
    high: int = 0
    """Rows of blocks, without padding to whole MCUs (A.2)."""
    wide: int = 0
    blocks: dict[tuple[int, int], list[int]] = field(default_factory=dict)
    """(row, column) to 64 coefficients in zigzag order; padding included."""
    dc: Codes = field(default_factory=dict)
    ac: Codes = field(default_factory=dict)
    prediction: int = 0


class Bits:
    """The bits of one restart interval, stuffed zeros removed (F.1.2.3)."""

    def __init__(self, data: bytes, start: int, stop: int) -> None:
        self._offsets = [at for at in range(start, stop) if data[at - 1 : at + 1] != b"\xff\0"]
        self._bits = "".join(f"{data[at]:08b}" for at in self._offsets)
        self._position = 0
        self._offsets.append(stop)

    def untouched(self) -> int:
        """Offset of the first byte without a consumed bit."""
        return self._offsets[_divided(self._position, 8)]

    def take(self, count: int) -> int:
        """The next bits as a number."""
        assert self._position + count <= len(self._bits)
        value = int(self._bits[self._position : self._position + count] or "0", 2)
        self._position += count
        return value

    def decode(self, codes: Codes) -> int:
        """The next symbol (F.2.2.3)."""
        code = 0
        for length in range(1, 17):
            code = code << 1 | self.take(1)
            if (length, code) in codes:
                return codes[length, code]
        raise AssertionError("no such code")

    def receive(self, size: int) -> int:
        """A signed value of so many bits: RECEIVE and EXTEND (F.2.2.1)."""
        value = self.take(size)
        return value if size == 0 or value >> (size - 1) else value - (1 << size) + 1


def read(data: bytes) -> list[NDArray[np.int16]]:
    """The coefficients of each component: int16 `[blocks_high, blocks_wide, 64]`, natural order."""
    return Reader(data).read()


class Reader:
    """One picture, from its first marker to its last."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.position = 2
        self.components: dict[int, Component] = {}
        self.huffman: dict[int, Codes] = {}
        self.progressive = False
        self.interval = 0
        self.size = (0, 0)
        self.starts: list[int] = []
        """For each MCU of the last scan: offset of the first byte that holds no bit of an earlier MCU."""

    def read(self) -> list[NDArray[np.int16]]:
        """Walk through all segments (B.2)."""
        while (marker := self._marker()) != 0xD9:
            length = int.from_bytes(self.data[self.position : self.position + 2], "big")
            body = self.data[self.position + 2 : self.position + length]
            self.position += length
            if marker in (0xC0, 0xC1, 0xC2):
                self._take_frame(body, progressive=marker == 0xC2)
            elif marker == 0xC4:
                self._take_huffman(body)
            elif marker == 0xDD:
                self.interval = int.from_bytes(body, "big")
            elif marker == 0xDA:
                self._take_scan(body)
        return [_in_natural_order(component) for component in self.components.values()]

    def _marker(self) -> int:
        assert self.data[self.position] == 0xFF
        while self.data[self.position] == 0xFF:  # fill bytes (B.1.1.2)
            self.position += 1
        self.position += 1
        return self.data[self.position - 1]

    def _take_frame(self, body: bytes, *, progressive: bool) -> None:
        height, width = int.from_bytes(body[1:3], "big"), int.from_bytes(body[3:5], "big")
        self.progressive = progressive
        for k in range(6, len(body), 3):
            self.components[body[k]] = Component(body[k + 1] >> 4, body[k + 1] & 15)
        h_max = max(component.h for component in self.components.values())
        v_max = max(component.v for component in self.components.values())
        for part in self.components.values():
            part.wide = _divided(_divided(width * part.h, h_max), 8)
            part.high = _divided(_divided(height * part.v, v_max), 8)
        self.size = (_divided(height, 8 * v_max), _divided(width, 8 * h_max))

    def _take_huffman(self, body: bytes) -> None:
        """Annex C: codes of each length in rising order."""
        while body:
            name, counts, values = body[0], body[1:17], body[17 : 17 + sum(body[1:17])]
            codes: Codes = {}
            code = used = 0
            for length, count in enumerate(counts, 1):
                for _ in range(count):
                    codes[length, code] = values[used]
                    code, used = code + 1, used + 1
                code <<= 1
            self.huffman[name] = codes
            body = body[17 + used :]

    def _take_scan(self, body: bytes) -> None:
        parts: list[Component] = []
        for k in range(1, 1 + 2 * body[0], 2):
            part = self.components[body[k]]
            part.dc = self.huffman.get(body[k + 1] >> 4, {})
            part.ac = self.huffman.get(16 | body[k + 1] & 15, {})
            parts.append(part)
        first, last, approximation = body[1 + 2 * body[0] :]
        decoder = _Progressive(first, last, approximation >> 4, approximation & 15) if self.progressive else None
        pieces = iter(list(self._intervals()))
        bits = Bits(b"", 0, 0)
        self.starts = []
        for number, mcu in enumerate(self._mcus(parts)):
            if number == 0 or (self.interval and number % self.interval == 0):
                bits = Bits(self.data, *next(pieces))
                for part in parts:
                    part.prediction = 0
                if decoder:
                    decoder.end_of_band = 0
            self.starts.append(bits.untouched())
            for part, place in mcu:
                block = part.blocks.setdefault(place, [0] * 64)
                if decoder:
                    decoder.decode(bits, part, block)
                else:
                    _decode_sequential(bits, part, block)
        assert next(pieces, None) is None

    def _intervals(self) -> Iterator[tuple[int, int]]:
        """Where the entropy-coded data between markers lie, up to one that is no restart marker."""
        start = self.position
        while True:
            at = self.data.index(b"\xff", self.position)
            following = self.data[at + 1]
            self.position = at + 2 if following == 0 else at
            if following == 0:
                continue
            yield start, at
            if self._marker() not in range(0xD0, 0xD8):
                self.position = at
                return
            start = self.position

    def _mcus(self, parts: list[Component]) -> Iterator[list[tuple[Component, tuple[int, int]]]]:
        """A.2: the blocks of each MCU."""
        if len(parts) == 1:
            for row in range(parts[0].high):
                for column in range(parts[0].wide):
                    yield [(parts[0], (row, column))]
            return
        for row in range(self.size[0]):
            for column in range(self.size[1]):
                yield [
                    (part, (row * part.v + y, column * part.h + x))
                    for part in parts
                    for y in range(part.v)
                    for x in range(part.h)
                ]


def _decode_sequential(bits: Bits, part: Component, block: list[int]) -> None:
    """F.2.2."""
    part.prediction += bits.receive(bits.decode(part.dc))
    block[0] = part.prediction
    k = 1
    while k < 64:
        symbol = bits.decode(part.ac)
        run, size = symbol >> 4, symbol & 15
        if size == 0 and run < 15:
            return
        k += run
        if size:
            block[k] = bits.receive(size)
        k += 1


@dataclass
class _Progressive:
    """G.1.2 and G.2: one scan of a progressive picture."""

    first: int
    last: int
    high: int
    low: int
    end_of_band: int = 0

    def decode(self, bits: Bits, part: Component, block: list[int]) -> None:
        if self.first == 0 and self.high == 0:
            part.prediction += bits.receive(bits.decode(part.dc))
            block[0] = part.prediction * (1 << self.low)
        elif self.first == 0:
            block[0] |= bits.take(1) << self.low
        elif self.high == 0:
            self._first_pass(bits, part, block)
        else:
            self._refine(bits, part, block)

    def _first_pass(self, bits: Bits, part: Component, block: list[int]) -> None:
        if self.end_of_band:
            self.end_of_band -= 1
            return
        k = self.first
        while k <= self.last:
            symbol = bits.decode(part.ac)
            run, size = symbol >> 4, symbol & 15
            if size == 0 and run < 15:
                self.end_of_band = (1 << run) + bits.take(run) - 1
                return
            k += run
            if size:
                block[k] = bits.receive(size) * (1 << self.low)
            k += 1

    def _refine(self, bits: Bits, part: Component, block: list[int]) -> None:
        """G.1.2.3: new coefficients of one bit, and one more bit for the coefficients that are not zero."""
        k = self.first
        while k <= self.last and not self.end_of_band:
            symbol = bits.decode(part.ac)
            run, size = symbol >> 4, symbol & 15
            new = 0
            if size:
                new = 1 if bits.take(1) else -1
            elif run < 15:
                self.end_of_band = (1 << run) + bits.take(run)
                break
            while k <= self.last:
                if block[k]:
                    self._correct(bits, block, k)
                elif run == 0:
                    block[k] = new * (1 << self.low)
                    k += 1
                    break
                else:
                    run -= 1
                k += 1
        if self.end_of_band:
            self.end_of_band -= 1
            for rest in range(k, self.last + 1):
                if block[rest]:
                    self._correct(bits, block, rest)

    def _correct(self, bits: Bits, block: list[int], k: int) -> None:
        if bits.take(1):
            block[k] += (1 << self.low) if block[k] > 0 else -(1 << self.low)


def _in_natural_order(part: Component) -> NDArray[np.int16]:
    """Zigzag to rows (figure A.6), padding left out."""
    order = sorted(range(64), key=lambda k: (k // 8 + k % 8, k // 8 if (k // 8 + k % 8) % 2 else k % 8))
    plane = np.zeros((part.high, part.wide, 64), np.int16)
    for (row, column), block in part.blocks.items():
        if row < part.high and column < part.wide:
            plane[row, column, order] = block
    return plane


def _divided(number: int, by: int) -> int:
    return -(-number // by)
