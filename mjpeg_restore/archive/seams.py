"""Schedules the parts of one recording, and checks that each continues from the state in which the one before ended."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mjpeg_restore.archive.jobs import Cut, PartResult


class Seams:
    """Results of a recording's parts.

    A part fits if its state at the beginning (`before`) equals the state in which the previous part ended (`after`). If
    not, it is restored once more, with all packets of the previous part, and that part's preroll, as its own preroll.
    So the parts equal those of one run; few recordings need a second attempt.

    Attributes:
        cut: the recording.
    """

    def __init__(self, cut: Cut) -> None:
        """Start with the parts that an earlier run has restored."""
        self.cut = cut
        self._results = {part.number: part for part in cut.restored}
        self._handed_out: set[tuple[int, int]] = set()
        self._counted: set[int] = set()
        self._fitting = 0
        """All parts with a lower number fit."""

    @property
    def parts(self) -> Sequence[PartResult]:
        """The results, in order."""
        return [self._results[number] for number in sorted(self._results)]

    def add(self, part: PartResult) -> None:
        """Take the result of a part."""
        self._results[part.number] = part

    def next(self) -> Iterator[tuple[int, int]]:
        """Yield the parts to restore now that were not yielded before: (number, first part to read)."""
        for number in range(len(self.cut.packets)):
            if number not in self._results:
                yield from self._once(number, number)
        while (part := self._results.get(self._fitting)) is not None:
            before = self._results.get(self._fitting - 1)
            # With the same preroll as the previous part, it starts in the state in which that one ended.
            if before is not None and before.after != part.before and part.since > before.since:
                yield from self._once(part.number, before.since)
                return
            self._fitting += 1

    def _once(self, number: int, since: int) -> Iterator[tuple[int, int]]:
        if (number, since) not in self._handed_out:
            self._handed_out.add((number, since))
            yield number, since

    @property
    def complete(self) -> bool:
        """Whether all parts are restored and fit."""
        return self._fitting == len(self.cut.packets)

    def is_first(self, part: PartResult) -> bool:
        """Whether this is the first call for a part: a second attempt is not counted again."""
        new = part.number not in self._counted
        self._counted.add(part.number)
        return new

    def share(self, part: PartResult) -> float:
        """The part's share of the recording, 0..1."""
        return self.cut.packets[part.number] / sum(self.cut.packets)

    @property
    def restored(self) -> float:
        """Share of the recording that is restored, 0..1."""
        return sum(self.cut.packets[number] for number in self._counted) / sum(self.cut.packets)
