"""A picture that loses its contrast: it goes out of focus, or something plain slides over it bit by bit.

Its details fade within the cells of a coarse quantiser: frames then say 0 where the means, and what is kept of them,
still have something, and each block by itself agrees. All blocks together tell. While a scene stands still, or moves,
frames show on average as much as their means of what is clear in these: to a hundredth, for a picture of any size.
Where they show less, the past counts for less, and all of the picture is computed.
"""

from __future__ import annotations

_STEADY = 0.03
"""Share of the contrast that may seem to be lost: as much as noise and slow motion take from it."""
_FADING = 0.3
"""The same where light changes: what fades then is brought into the frame's light, but for what its details lose."""
_LIT = 8
"""Frames after a change of light for which it counts as one."""
_ERRORS = 3.0
"""Standard errors, as well."""
_WEIGHT = 10.0
"""What of the past holds no longer, for the share of the contrast that is lost."""


class Contrast:
    """Of one camera's luma, frame by frame.

    Attributes:
        trust: the share of the past's evidence that holds in the last frame, 0..1.
    """

    def __init__(self) -> None:
        """Begin with a picture of which nothing is known."""
        self.trust = 1.0
        self._lit = 0
        """Frames for which light still counts as changing."""

    def follow(self, shown: float, clear: float, *, lit: bool) -> bool:
        """Whether a frame has less contrast than the means before it.

        Args:
            shown: of what is clear in the means, so much is in the frame: the sum of products, in squared steps.
            clear: so much there is: the sum of squares. A coefficient that is clear is now in one cell and now in the
                next, which makes a variance of a quarter at most: of the sum, a quarter of this.
            lit: whether the light has changed.
        """
        self._lit = _LIT if lit else max(0, self._lit - 1)
        lost = 0.0
        if clear > 0:
            usual = _FADING if self._lit else _STEADY
            lost = 1 - shown / clear - usual - _ERRORS * 0.5 / clear**0.5
        self.trust = min(1.0, max(0.0, 1 - _WEIGHT * lost))
        return lost > 0
