"""JPEGs as RTP packets (RFC 2435). They are baseline, 4:2:2 or 4:2:0, with the Huffman tables of the standard."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from mjpeg_restore.jpeg.segments import DQT, DRI, SOF, SOS, segments, tables_in

PAYLOAD_TYPE = 26
"""Of JPEG, in RFC 3551."""
_MTU = 1400
"""Bytes of a picture in one packet, its tables included."""


class Packetiser:
    """Makes the RTP packets of one stream.

    Q from 1 to 99 stands for the standard's tables scaled by this quality; from 128 on, the packets contain the tables:
    with 255 in each picture, with 128 to 254 only where they differ from those before.
    """

    def __init__(self, q: int, restart_type: bool = True) -> None:
        """Begin a stream.

        Args:
            q: the Q of the header.
            restart_type: False: types from 64 on are not used, so that the pictures must not have restart markers.
        """
        self._q = q
        self._restart_type = restart_type
        self._sequence = 0
        self._tables = b""

    def packets(self, jpeg: bytes, timestamp: int) -> Iterator[bytes]:
        """The packets of a picture; `timestamp` counts 90000 a second."""
        found = {segment.marker: segment for segment in segments(jpeg, 0)}
        frame = next(segment for marker, segment in found.items() if marker in SOF)
        height, width = struct.unpack_from(">HH", jpeg, frame.body + 1)
        kind = {0x21: 0, 0x22: 1}[jpeg[frame.body + 7]]
        front = b""
        if DRI in found and self._restart_type:
            kind |= 64
            front = jpeg[found[DRI].body : found[DRI].end] + b"\xff\xff"
        # The sizes count in blocks, in 8 bits: 2048 pixels become 0 (R3).
        header = bytes([kind, self._q, -(-width // 8) & 255, -(-height // 8) & 255]) + front
        tables = self._table_header(_tables(jpeg))
        scan = jpeg[found[SOS].end : -2]
        offset = 0
        while offset < len(scan):
            extra = tables if offset == 0 else b""
            piece = scan[offset : offset + _MTU - len(extra)]
            last = offset + len(piece) == len(scan)
            self._sequence = self._sequence + 1 & 0xFFFF
            rtp = struct.pack(">BBHII", 0x80, PAYLOAD_TYPE | last << 7, self._sequence, timestamp & 0xFFFFFFFF, 0x4D4A)
            yield rtp + struct.pack(">I", offset) + header + extra + piece
            offset += len(piece)

    def _table_header(self, tables: bytes) -> bytes:
        if self._q < 128:
            return b""
        known = self._q < 255 and tables == self._tables
        self._tables = tables
        return struct.pack(">BBH", 0, 0, 0) if known else struct.pack(">BBH", 0, 0, len(tables)) + tables


def _tables(jpeg: bytes) -> bytes:
    """The quantisation tables in zigzag order, 64 bytes each."""
    tables: dict[int, bytes] = {}
    for segment in segments(jpeg, 0):
        if segment.marker == DQT:
            tables |= {table.name: table.body[1:] for table in tables_in(DQT, jpeg[segment.body : segment.end])}
    return b"".join(tables[name] for name in sorted(tables))
