"""The previous picture of a stream as a reference for the next one, in repair and in the check of DC levels."""

from __future__ import annotations

from mjpeg_restore.frames import CodedPicture


def is_reference(previous: CodedPicture, picture: CodedPicture) -> bool:
    """Whether `previous` is undamaged and has the size, sampling and colour of `picture`."""
    return previous.damage is None and (picture.width, picture.height, picture.sampling, picture.colour) == (
        previous.width,
        previous.height,
        previous.sampling,
        previous.colour,
    )
