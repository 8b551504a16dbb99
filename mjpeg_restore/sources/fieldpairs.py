"""Fields that a container holds in packets of their own, as capture cards write them: joined to packets of two (S6)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import islice, pairwise

import av
from av.stream import Stream

from mjpeg_restore.errors import JpegError
from mjpeg_restore.frames import FieldLayout
from mjpeg_restore.jpeg import HeaderWalk, is_fragment
from mjpeg_restore.sources.base import SourceInfo

_LOOKED_AT = 16
"""Packets by which a track is judged."""
_PADDING = 16
"""Lines by which two fields may differ from the container's height: both are padded to blocks by some."""
_HIGHEST = Fraction(3, 4)
"""Height of a field as a share of the container's; a higher one is a whole picture. FFmpeg takes it so."""
_UNSTEADY = Fraction(1, 4)
"""Field periods by which a time may be off."""
_STEADY = Fraction(3, 4)
"""Share of the times that are not, where they are to be trusted."""
_PAUSE = 8
"""Field periods without a field after which a new frame begins: so long no clock is steady."""


@dataclass(frozen=True, slots=True)
class Coded:
    """What is to be shown at one time."""

    packet: av.Packet[Stream]
    """As the container has it; of a frame that of its first field."""
    data: bytes
    """The JPEG, or both fields."""
    duration: int = 0
    """Ticks for which it is shown, as the packet states; 0 where it does not."""
    tables: bytes = b""
    """Table segments of the packets just before it that are not to be shown."""
    unpaired: bool = False
    """True: one field, whose lines stand for both."""


@dataclass(frozen=True, slots=True)
class _Field:
    coded: Coded
    time: int | None
    polarity: int | None
    """AVI1's (H2): 1 for the upper lines, 2 for the lower ones; else None."""
    readable: bool = True


def field_pairs(
    packets: Iterable[av.Packet[Stream]],
    info: SourceInfo,
    stated_size: Callable[[], tuple[int, int] | None],
) -> FieldPairs | None:
    """What joins the fields of a track.

    Args:
        packets: the first of the track.
        info: what FFmpeg says of it. Of pictures lower than they should be it makes fields, and gives the size of two.
        stated_size: width and height as the container really states them, None if they cannot be had; takes longer, and
            is called only where it matters.

    Returns:
        None where the packets hold whole pictures.
    """
    pairs = FieldPairs(info)
    first: list[_Field] = []
    for packet in islice(packets, _LOOKED_AT):
        data = bytes(packet)
        found = pairs.field(Coded(packet, data, packet.duration or 0), packet.pts)
        if found is not None and found.readable:
            first.append(found)
        elif found is None and not first and not is_fragment(data):
            return None
    if not first:
        return None
    if size := stated_size():
        pairs = FieldPairs(replace(info, width=size[0], height=size[1]))
        if pairs.field(first[0].coded, None) is None:
            return None
    pairs.learn(first)
    return pairs


@dataclass(slots=True)
class FieldPairs:
    """Joins each two fields that follow each other; a packet that holds more than a field passes as it is.

    FFmpeg's decoder does the same. Beyond that a field that is lost is noticed, by the time stamps or by the polarity
    in the pictures, and the next frame begins with its first field again. A field without its partner stands for it.
    """

    info: SourceInfo
    """As the container says; `frames_info` says it of frames."""
    _walk: HeaderWalk = field(init=False)
    _period: Fraction | None = None
    """Ticks from one field to the next; None where the time stamps do not tell."""
    _leading: int | None = None
    """Polarity of the first field of a frame; None where the pictures do not tell."""

    def __post_init__(self) -> None:
        """Begin a stream."""
        self._walk = HeaderWalk(self.info.height, self.info.codec_tag)

    def learn(self, first: Sequence[_Field]) -> None:
        """Take period and polarity from the first fields."""
        if {1, 2} <= {found.polarity for found in first}:
            self._leading = first[0].polarity
        times = [found.time for found in first]
        gaps = [after - before for before, after in pairwise(times) if before is not None and after is not None]
        usual = Fraction(sorted(gaps)[(len(gaps) - 1) // 2]) if gaps else Fraction(0)
        if usual > 0 and sum(abs(gap - usual) <= _UNSTEADY * usual for gap in gaps) >= _STEADY * len(gaps):
            self._period = usual

    def frames_info(self) -> SourceInfo:
        """What is known of the frames.

        Where the container names no order, the field that is stored first holds the upper lines; with the tag MJPG of
        AVI, ASF and NUT, which have no place for the order, the lower ones. FFmpeg's decoder takes both so: cards for
        NTSC begin with the lower field.
        """
        info = self.info
        lower_first = info.fields is None and info.codec_tag == "MJPG"
        fields = FieldLayout("bottom", "bottom") if lower_first else info.fields
        stated = info.fps
        counted = 1 / (self._period * info.time_base) if self._period else stated
        if stated is None or counted is None or stated < counted * 3 / 4:
            return replace(info, fields=fields)  # the rate is that of frames
        frames = None if info.frames is None else (info.frames + 1) // 2
        return replace(info, fields=fields, fps=stated / 2, frames=frames)

    def field(self, coded: Coded, time: int | None) -> _Field | None:
        """A packet as a field; None if it holds something else."""
        try:
            parts = self._walk(coded.data)
        except JpegError:
            return _Field(coded, time, None, readable=False)
        header = parts.pictures[0].header
        width, height = self.info.width, self.info.height
        if len(parts.pictures) > 1 or parts.extra or not width or not height:
            return None
        if abs(header.width - width) >= _PADDING or abs(2 * header.height - height) >= _PADDING:
            return None
        if header.height > _HIGHEST * height:  # of a tiny picture padding is most of the height
            return None
        return _Field(coded, time, header.avi1_polarity or None)

    def join(self, timed: Iterable[tuple[Coded, int]]) -> Iterator[tuple[Coded, int]]:
        """Yield frames, at their first field's times."""
        first: _Field | None = None
        last: _Field | None = None
        second = True  # of the one before: the next one is a first field
        for coded, time in timed:
            found = self.field(coded, time)
            if found is None:
                if first:
                    yield _frame(first, None)
                first, last, second = None, None, True
                yield coded, time
                continue
            missing = self._missing(last, found)
            second = self._is_second(found, missing, second)
            last = found
            if first and second and not missing:
                yield _frame(first, found)
                first = None
                continue
            if first:
                yield _frame(first, None)
            first = None if second else found
            if second:
                yield _frame(found, None)
        if first:
            yield _frame(first, None)

    def _missing(self, last: _Field | None, found: _Field) -> int:
        """Fields that the time stamps miss between two; `_PAUSE` for that many and more."""
        if self._period is None or last is None or last.time is None or found.time is None:
            return 0
        periods = (found.time - last.time) / self._period
        steps = round(periods)
        if steps > _PAUSE:
            return _PAUSE
        return steps - 1 if steps > 1 and abs(periods - steps) <= _UNSTEADY else 0

    def _is_second(self, found: _Field, missing: int, second: bool) -> bool:
        """Whether it is the second field of a frame; `second` says it of the one before."""
        if self._leading is not None and found.polarity is not None:
            return found.polarity != self._leading
        if missing == _PAUSE:
            return False
        return second == bool(missing % 2)


def _frame(first: _Field, second: _Field | None) -> tuple[Coded, int]:
    """Two fields as one packet; of one that is alone, or of which the other cannot be read, both are made."""
    fields = [found for found in (first, second) if found is not None]
    durations = [found.coded.duration for found in fields]
    tables = b"".join(found.coded.tables for found in fields)
    readable = [found.coded.data for found in fields if found.readable]
    unpaired = len(readable) < 2
    data = b"".join(2 * readable if unpaired else readable) or first.coded.data
    duration = sum(durations) if all(durations) else durations[0]
    return Coded(first.coded.packet, data, duration, tables, unpaired), first.time or 0


def unpaired_remark(count: int, name: str) -> str | None:
    """The remark on a number of fields without their second one; None where there are none."""
    if not count:
        return None
    fields, come = ("field", "comes") if count == 1 else ("fields", "come")
    return f"{count} {fields} of {name} {come} without the second one: its lines stand for both"
