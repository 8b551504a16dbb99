"""Files of records, each a JSON object and bytes: what tasks leave for each other in the work folder.

Times are JSON's integers and fractions are strings, "1/25", so that nothing is rounded.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

from mjpeg_restore.errors import SinkError, reason_of
from mjpeg_restore.frames import Packet, SoundPacket
from mjpeg_restore.sinks.joining import CodedVideo

_HEAD = struct.Struct("<II")
"""Bytes of the JSON object, bytes of what follows it."""


def write_record(file: BinaryIO, fields: dict[str, Any], data: bytes = b"") -> None:
    """Append a record."""
    line = json.dumps(fields).encode()
    file.write(_HEAD.pack(len(line), len(data)))
    file.write(line)
    file.write(data)


def read_records(path: Path) -> Iterator[tuple[dict[str, Any], bytes]]:
    """The records of a file.

    Raises:
        SinkError: the file cannot be read, or is not whole.
    """
    try:
        with path.open("rb") as file:
            while head := file.read(_HEAD.size):
                line, size = _HEAD.unpack(head)
                fields, data = json.loads(file.read(line)), file.read(size)
                if len(data) < size:
                    raise ValueError("it ends in the middle of a record")
                yield fields, data
    except OSError as error:
        raise SinkError(f"cannot read {path} ({reason_of(error)}): call this again to make it anew") from error
    except (ValueError, struct.error) as error:
        raise SinkError(f"{path}: {reason_of(error)}: remove it, and begin anew") from error


def write_packet(file: BinaryIO, packet: Packet) -> None:
    """Append a coded picture of the source; its sound is left out."""
    fields = {name: getattr(packet, name) for name in _PACKET}
    write_record(file, {**fields, "data": len(packet.data)}, packet.data + packet.tables)


_PACKET = ("index", "pts", "offset", "name", "discontinuity", "fault", "duration", "preroll")


def read_packets(path: Path, time_base: Fraction) -> Iterator[Packet]:
    """The coded pictures of a file."""
    for fields, data in read_records(path):
        size = fields.pop("data")
        yield Packet(data[:size], time_base=time_base, tables=data[size:], **fields)


def write_sound(file: BinaryIO, packet: SoundPacket) -> None:
    """Append a packet of sound."""
    fields = {name: getattr(packet, name) for name in ("track", "pts", "dts", "duration")}
    write_record(file, {**fields, "time_base": str(packet.time_base)}, packet.data)


def read_sound(path: Path) -> Iterator[SoundPacket]:
    """The packets of sound of a file."""
    for fields, data in read_records(path):
        fields["time_base"] = Fraction(fields["time_base"])
        yield SoundPacket(data=data, **fields)


def write_coded(file: BinaryIO, packets: Iterable[CodedVideo]) -> None:
    """Append coded pictures of the output."""
    for packet in packets:
        fields = {name: getattr(packet, name) for name in ("pts", "dts", "duration", "is_key")}
        write_record(file, fields, packet.data)


def read_coded(path: Path) -> list[CodedVideo]:
    """The coded pictures of a file."""
    return [CodedVideo(data, **fields) for fields, data in read_records(path)]
