"""Draw a box around whatever moves, with OpenCV; watch it, or write it to a file.

pip install 'mjpeg-restore[show]'
python examples/opencv.py cam.avi                   # a window; q or Esc shuts it
python examples/opencv.py cam.avi marked.avi
"""

from __future__ import annotations

import sys
from typing import Any

import mjpeg_restore

try:
    import cv2  # pyright: ignore[reportMissingImports]
except ImportError:
    sys.exit("opencv: this example needs OpenCV: pip install 'mjpeg-restore[show]'")

LEAST_AREA = 64
"""Pixels of the smallest thing that gets a box."""
GREEN = (0, 255, 0)


def mark(image: Any, foreground: Any) -> None:
    """Draw a box around each patch of the foreground."""
    patches, _ = cv2.findContours(foreground, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    for left, top, width, height in map(cv2.boundingRect, patches):
        if width * height >= LEAST_AREA:
            cv2.rectangle(image, (left, top), (left + width, top + height), GREEN)


def draw(path: str, target: str | None) -> None:
    """Show or write one recording; pictures of another size are scaled to the first one's."""
    subtractor = cv2.createBackgroundSubtractorMOG2(detectShadows=False)
    size = writer = None
    with mjpeg_restore.open(path, "stream-lite") as pictures:
        for picture in pictures:
            size = size or (picture.width, picture.height)
            image = cv2.resize(picture.to_ndarray("bgr"), size)  # uint8 [height, width, 3], as OpenCV has it
            mark(image, subtractor.apply(image))
            if target is None:
                cv2.imshow(path, image)
                if cv2.waitKey(1) & 0xFF in (ord("q"), 27):
                    break
                continue
            if writer is None:
                fps = float(pictures.source.info.fps or 25)
                writer = cv2.VideoWriter(target, cv2.VideoWriter.fourcc(*"MJPG"), fps, size)
                if not writer.isOpened():
                    sys.exit(f"opencv: cannot write {target}")
            writer.write(image)
    if writer is not None:
        writer.release()


if __name__ == "__main__":
    if not 2 <= len(sys.argv) <= 3:
        sys.exit("usage: opencv.py RECORDING [OUTPUT.avi]")
    try:
        draw(sys.argv[1], sys.argv[2] if len(sys.argv) == 3 else None)
    except (mjpeg_restore.MjpegRestoreError, cv2.error) as error:
        sys.exit(f"opencv: {error}")
