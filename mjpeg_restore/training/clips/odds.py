"""How often each thing happens in a clip."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Odds:
    """Probabilities, each of one clip. Its scene is of one kind; all else is drawn independently."""

    fixed: float = 0.45
    """Scene: a still picture, seen by a camera that does not move."""
    objects: float = 0.24
    """Scene: objects that move in front of a still picture."""
    moving: float = 0.16
    """Scene: a still picture, seen by a camera that moves."""
    recorded: float = 0.15
    """Scene: a crop of a recording. Where there are no recordings, the other kinds share it."""
    objects_too: float = 0.3
    """Objects also move in the picture that a moving camera sees."""
    cut: float = 0.08
    """From some frame on, another scene."""
    dropped: float = 0.1
    """Frames are missing at one place."""
    frozen: float = 0.08
    """The camera repeats a frame."""
    drift: float = 0.2
    """The light changes slowly."""
    flicker: float = 0.12
    """Lamps flicker with the mains."""
    exposure: float = 0.08
    """The camera corrects its exposure."""
    noiseless: float = 0.08
    """No noise at all."""
    correlated: float = 1 / 3
    """The noise is that of an image that was demosaiced and denoised."""

    @property
    def kinds(self) -> tuple[float, float, float, float]:
        """Relative probabilities of the kinds of scenes: fixed, objects, moving, recorded."""
        return self.fixed, self.objects, self.moving, self.recorded
