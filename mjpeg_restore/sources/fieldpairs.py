"""Joins interlaced fields that a container holds in packets of their own, as capture cards write them (S6)."""

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

_PROBED_PACKETS = 16
"""Packets that are examined to detect fields."""
_PADDING = 16
"""Lines by which the height of two fields may differ from the container's: some recorders pad both to whole blocks."""
_MAX_FIELD_HEIGHT = Fraction(3, 4)
"""Share of the container's height; a higher picture is a whole frame. FFmpeg uses the same limit."""
_MAX_JITTER = Fraction(1, 4)
"""Field periods by which a time stamp may deviate."""
_MIN_STEADY = Fraction(3, 4)
"""Share of the steps that must be steady, so that missing fields are detected by time stamps."""
_PAUSE = 8
"""Missing field periods after which a new frame begins: no clock is precise enough to count more."""


@dataclass(frozen=True, slots=True)
class DemuxedPicture:
    """A coded picture of a container: a frame, one field, or two joined fields."""

    packet: av.Packet[Stream]
    """The container's packet; of two fields the first one's."""
    data: bytes
    """One JPEG, or two for joined fields."""
    duration: int = 0
    """Display duration in ticks, as the packet states; 0 if unknown."""
    tables: bytes = b""
    """Table segments of the dropped packets just before it."""
    unpaired: bool = False
    """True: the other field is missing, and this one is used for both."""


@dataclass(frozen=True, slots=True)
class _Field:
    picture: DemuxedPicture
    time: int | None
    polarity: int | None
    """By AVI1 (H2): 1 for the upper lines, 2 for the lower lines; None if not stated."""
    readable: bool = True


def detect_field_pairs(
    packets: Iterable[av.Packet[Stream]],
    info: SourceInfo,
    stated_size: Callable[[], tuple[int, int] | None],
) -> FieldJoiner | None:
    """Detect whether the packets of a track hold single fields.

    Args:
        packets: the first packets of the track.
        info: the track by FFmpeg, which takes low pictures for fields and then doubles the height.
        stated_size: returns width and height as the container really states them, None if unknown. It is slow, and only
            called if the pictures look like fields.

    Returns:
        What joins the fields; None if the packets hold whole frames.
    """
    joiner = FieldJoiner(info)
    first: list[_Field] = []
    for packet in islice(packets, _PROBED_PACKETS):
        data = bytes(packet)
        found = joiner.parse_field(DemuxedPicture(packet, data, packet.duration or 0), packet.pts)
        if found is not None and found.readable:
            first.append(found)
        elif found is None and not first and not is_fragment(data):
            return None
    if not first:
        return None
    if size := stated_size():
        joiner = FieldJoiner(replace(info, width=size[0], height=size[1]))
        if joiner.parse_field(first[0].picture, None) is None:
            return None
    joiner.learn(first)
    return joiner


@dataclass(slots=True)
class FieldJoiner:
    """Joins each two consecutive fields to a frame; packets that hold more than one field are not changed.

    FFmpeg's decoder does the same. In addition a lost field is detected, by the time stamps or by the polarity in the
    pictures, and the next frame begins with its first field again. A field without its partner is used for both.
    """

    info: SourceInfo
    """The track of fields, as the container states it; `frame_info` describes the frames."""
    _walk: HeaderWalk = field(init=False)
    _period: Fraction | None = None
    """Ticks from one field to the next; None if the time stamps are unsteady."""
    _leading: int | None = None
    """Polarity of the first field of a frame; None if the pictures do not state it."""

    def __post_init__(self) -> None:
        """Prepare to parse headers."""
        self._walk = HeaderWalk(self.info.height, self.info.codec_tag)

    def learn(self, first: Sequence[_Field]) -> None:
        """Determine field period and polarity from the first fields of the track."""
        if {1, 2} <= {found.polarity for found in first}:
            self._leading = first[0].polarity
        times = [found.time for found in first]
        gaps = [after - before for before, after in pairwise(times) if before is not None and after is not None]
        usual = Fraction(sorted(gaps)[(len(gaps) - 1) // 2]) if gaps else Fraction(0)
        if usual > 0 and sum(abs(gap - usual) <= _MAX_JITTER * usual for gap in gaps) >= _MIN_STEADY * len(gaps):
            self._period = usual

    def frame_info(self) -> SourceInfo:
        """Describe the track of joined frames.

        If the container states no field order, the first stored field holds the upper lines; with the tag MJPG of AVI,
        ASF and NUT, which cannot state the order, the lower lines. FFmpeg's decoder assumes the same: NTSC capture
        cards begin with the lower field.
        """
        info = self.info
        lower_first = info.fields is None and info.codec_tag == "MJPG"
        fields = FieldLayout("bottom", "bottom") if lower_first else info.fields
        stated = info.fps
        counted = 1 / (self._period * info.time_base) if self._period else stated
        if stated is None or counted is None or stated < counted * 3 / 4:
            return replace(info, fields=fields)  # the stated rate is that of frames already
        frames = None if info.frames is None else (info.frames + 1) // 2
        return replace(info, fields=fields, fps=stated / 2, frames=frames)

    def parse_field(self, picture: DemuxedPicture, time: int | None) -> _Field | None:
        """Parse a packet as a field, with its time in ticks; None if it holds anything else."""
        try:
            parts = self._walk(picture.data)
        except JpegError:
            return _Field(picture, time, None, readable=False)
        header = parts.pictures[0].header
        width, height = self.info.width, self.info.height
        if len(parts.pictures) > 1 or parts.extra or not width or not height:
            return None
        if abs(header.width - width) >= _PADDING or abs(2 * header.height - height) >= _PADDING:
            return None
        if header.height > _MAX_FIELD_HEIGHT * height:  # a tiny whole frame is within the padding
            return None
        return _Field(picture, time, header.avi1_polarity or None)

    def join(self, timed: Iterable[tuple[DemuxedPicture, int]]) -> Iterator[tuple[DemuxedPicture, int]]:
        """Take (picture, time in ticks), and yield frames with the times of their first fields."""
        first: _Field | None = None  # a first field that waits for its second one
        last: _Field | None = None
        last_is_second = True
        for picture, time in timed:
            found = self.parse_field(picture, time)
            if found is None:
                if first:
                    yield _frame(first, None)
                first, last, last_is_second = None, None, True
                yield picture, time
                continue
            missing = self._missing_fields(last, found)
            last_is_second = self._is_second(found, missing, last_is_second)
            last = found
            if first and last_is_second and not missing:
                yield _frame(first, found)
                first = None
                continue
            if first:
                yield _frame(first, None)
            first = None if last_is_second else found
            if last_is_second:
                yield _frame(found, None)
        if first:
            yield _frame(first, None)

    def _missing_fields(self, last: _Field | None, found: _Field) -> int:
        """The number of fields that are missing between two by their time stamps, limited to `_PAUSE`."""
        if self._period is None or last is None or last.time is None or found.time is None:
            return 0
        periods = (found.time - last.time) / self._period
        steps = round(periods)
        if steps > _PAUSE:
            return _PAUSE
        return steps - 1 if steps > 1 and abs(periods - steps) <= _MAX_JITTER else 0

    def _is_second(self, found: _Field, missing: int, last_is_second: bool) -> bool:
        """Whether a field is the second one of a frame."""
        if self._leading is not None and found.polarity is not None:
            return found.polarity != self._leading
        if missing == _PAUSE:
            return False
        return last_is_second == bool(missing % 2)


def _frame(first: _Field, second: _Field | None) -> tuple[DemuxedPicture, int]:
    """Join two fields; if one of them is missing or unreadable, the other is used twice."""
    fields = [found for found in (first, second) if found is not None]
    durations = [found.picture.duration for found in fields]
    tables = b"".join(found.picture.tables for found in fields)
    readable = [found.picture.data for found in fields if found.readable]
    unpaired = len(readable) < 2
    data = b"".join(2 * readable if unpaired else readable) or first.picture.data
    duration = sum(durations) if all(durations) else durations[0]
    return DemuxedPicture(first.picture.packet, data, duration, tables, unpaired), first.time or 0


def unpaired_remark(count: int, name: str) -> str | None:
    """The remark on fields without a partner; None if there are none."""
    if not count:
        return None
    fields, have, their = ("field", "has", "its") if count == 1 else ("fields", "have", "their")
    return f"{count} {fields} of {name} {have} no second field: {their} lines are used for both"
