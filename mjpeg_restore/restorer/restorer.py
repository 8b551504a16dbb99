"""Restores pictures one by one, and begins streams of them."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor

from mjpeg_restore.frames import CodedPicture, Picture
from mjpeg_restore.futures import INLINE
from mjpeg_restore.restorer.arrays import picture
from mjpeg_restore.restorer.loaded import LoadedModel
from mjpeg_restore.restorer.sessions import Sessions
from mjpeg_restore.restorer.stream import RestorerStream
from mjpeg_restore.runtime import Inputs, Planes


class Restorer(LoadedModel):
    """A loaded model that restores pictures of any size and sampling.

    Safe from several threads. Each graph is loaded with the first picture that needs it. A forked process loads its
    graphs again: the threads of a runtime do not survive a fork. OpenVINO may hang in the child nevertheless, on a lock
    of its scheduler, above all if several threads restored in the parent: fork before the first picture, start the
    process anew ("spawn"), or take the device "onnxruntime".
    """

    def restore(self, coded: CodedPicture) -> Picture:
        """Restore one picture.

        Args:
            coded: the coefficients and tables that `jpeg.read` gives.

        Returns:
            Planes at the coded picture's own sampling, or at 4:4:4 where the model's chroma is `full_chroma`, cropped
            to its size, top row first; without a time.
        """
        return picture(self.planes(coded), coded)

    def stream(self, pool: Executor = INLINE, halt: Callable[[], None] | None = None) -> RestorerStream:
        """Begin to restore the pictures of one camera; all streams share this network, which is loaded once.

        Args:
            pool: its threads compute the pictures, or wait for the device that does. By default the thread that asks
                for a picture computes it.
            halt: called several times a second while a network is made ready; its exception ends that, and is raised by
                what asked for the picture.
        """
        return RestorerStream(self, pool, Sessions(), halt)

    def planes(self, coded: CodedPicture) -> Planes:
        """The restored planes of all components, uint8 `[8 blocks_high, 8 blocks_wide]` each, not cropped.

        Cb and Cr of a model that is `full_chroma` have luma's size.
        """
        return self._alone().planes(coded).result()

    def inputs(self, coded: CodedPicture) -> Inputs:
        """The inputs of the graph that restores a picture; of a model that is `per_component`, of the first in turn."""
        variant, kind = self.choose(coded)
        return self._alone().inputs(coded, variant.graphs[kind].inputs)

    def _alone(self) -> RestorerStream:
        """A stream for one picture, computed by this thread; all of them share their sessions."""
        return RestorerStream(self, INLINE, self.sessions, None)
