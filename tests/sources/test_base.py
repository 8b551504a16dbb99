"""A source of one's own: a subclass of `BaseSource` with `info` and `__iter__`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction

from mjpeg_restore.frames import Packet
from mjpeg_restore.inspection import survey
from mjpeg_restore.sources import BaseSource, Source, SourceInfo


class Snapshots(BaseSource):
    """The example in the docstring of `BaseSource`."""

    def __init__(self, jpegs: Sequence[bytes]) -> None:
        self._jpegs = jpegs
        self.info = SourceInfo("snapshots", "list", "assumed", time_base=Fraction(1, 25))

    def __iter__(self) -> Iterator[Packet]:
        for index, data in enumerate(self._jpegs):
            yield Packet(data, index, pts=index, time_base=self.info.time_base)


def test_a_source_needs_only_info_and_packets(jpegs: list[bytes]) -> None:
    source: Source = Snapshots(jpegs)
    with source as same:
        assert same is source
        found = survey(source)
    assert (found.pictures, found.truncated, found.remarks, found.audio) == (10, None, (), False)
    assert source.paths == ()
    source.close()


def test_stop_sets_a_flag_for_the_source(jpegs: list[bytes]) -> None:
    source = Snapshots(jpegs)
    assert not source.stopped
    source.stop()
    assert source.stopped
    assert not Snapshots(jpegs).stopped
