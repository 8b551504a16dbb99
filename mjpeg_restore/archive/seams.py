"""The parts of one recording: which are to be restored, and whether each fits to the one before it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mjpeg_restore.archive.jobs import Cut, PartResult


class Seams:
    """Keeps the results of a recording's parts.

    A part fits if it began with what the part before it ended with. One that does not is restored once more, with all
    packets of the part before it as its preroll, and with the preroll of that one: then it begins as that one ended. So
    the parts are what one run would have made, and nearly always at no cost.

    Attributes:
        cut: the recording.
    """

    def __init__(self, cut: Cut) -> None:
        """Begin with the parts that are there already."""
        self.cut = cut
        self._results = {part.number: part for part in cut.restored}
        self._handed_out: set[tuple[int, int]] = set()
        self._counted: set[int] = set()
        self._fitting = 0
        """The parts before this one fit."""

    @property
    def parts(self) -> Sequence[PartResult]:
        """The results, in order."""
        return [self._results[number] for number in sorted(self._results)]

    def add(self, part: PartResult) -> None:
        """Take the result of a part."""
        self._results[part.number] = part

    def next(self) -> Iterator[tuple[int, int]]:
        """The parts that can be restored now, and were not handed out before: (number, first part to read)."""
        for number in range(len(self.cut.packets)):
            if number not in self._results:
                yield from self._once(number, number)
        while (part := self._results.get(self._fitting)) is not None:
            before = self._results.get(self._fitting - 1)
            # One that has read as much as the part before it has begun as that one ended.
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
        """Whether all parts are there and fit."""
        return self._fitting == len(self.cut.packets)

    def is_first(self, part: PartResult) -> bool:
        """Whether this is asked for the first time for a part: one that is restored again is not counted again."""
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
