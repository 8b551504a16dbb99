"""The sizes of pictures that an engine takes, as numbers of blocks."""

from __future__ import annotations

from dataclasses import dataclass

from mjpeg_restore.catalogue import Port

Grid = tuple[int, int]
"""Blocks of a component, high and wide."""

Range = tuple[Grid, Grid, Grid]
"""The fewest blocks, those that the engine is tuned for, and the most."""


@dataclass(frozen=True, slots=True)
class Profile:
    """Ranges of the grids of blocks. An engine is tuned for one size and takes all between the others."""

    luma: Range
    chroma: Range
    """Of both chroma components; without effect on a grey graph."""

    @classmethod
    def up_to(cls, largest: Grid, tuned: Grid) -> Profile:
        """All sizes and samplings up to a number of luma blocks; tuned for one of them at 4:2:0."""
        high, wide = tuned
        return cls(((1, 1), tuned, largest), ((1, 1), (-(-high // 2), -(-wide // 2)), largest))

    @classmethod
    def static(cls, luma: Grid, chroma: Grid) -> Profile:
        """One size and sampling."""
        return cls((luma, luma, luma), (chroma, chroma, chroma))

    @property
    def largest(self) -> Grid:
        """Most blocks of luma, high and wide."""
        return self.luma[2]

    @property
    def label(self) -> str:
        """In names of files: the largest size, "272x512"; of one size, with chroma's, "136x240+68x120"."""
        high, wide = self.largest
        static = self == self.static(self.luma[2], self.chroma[2])
        return f"{high}x{wide}" + ("+{}x{}".format(*self.chroma[2]) if static else "")

    def __str__(self) -> str:
        ranges = (" ".join(f"{high}x{wide}" for high, wide in grids) for grids in (self.luma, self.chroma))
        return " / ".join(ranges)

    def shapes(self, port: Port) -> Range | None:
        """The first two sizes of an input at the range's ends and where it is tuned; None if they do not vary."""
        if port.per_block is None:
            return None
        fewest, tuned, most = self.chroma if port.component else self.luma
        return _times(port.per_block, fewest), _times(port.per_block, tuned), _times(port.per_block, most)


def _times(factor: int, grid: Grid) -> Grid:
    return factor * grid[0], factor * grid[1]


DYNAMIC = Profile.up_to((272, 512), tuned=(136, 240))
"""All sizes up to 4096x2176, which holds 4K of television and of cinemas; tuned for 1920x1080."""
