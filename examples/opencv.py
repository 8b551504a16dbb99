"""A program for OpenCV that reads restored pictures: it draws a box around whatever moves.

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
    capture = mjpeg_restore.VideoCapture(path, model="stream-lite")  # in place of cv2.VideoCapture(path)
    if not capture.isOpened():
        sys.exit(f"opencv: {capture.error}")
    size = int(capture.get(cv2.CAP_PROP_FRAME_WIDTH)), int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
    writer = None
    if target is not None:
        writer = cv2.VideoWriter(target, cv2.VideoWriter.fourcc(*"MJPG"), capture.get(cv2.CAP_PROP_FPS) or 25, size)
        if not writer.isOpened():
            sys.exit(f"opencv: cannot write {target}")
    while True:
        found, image = capture.read()
        if not found:
            break
        image = cv2.resize(image, size)
        mark(image, subtractor.apply(image))
        if writer is not None:
            writer.write(image)
            continue
        cv2.imshow(path, image)
        if cv2.waitKey(1) & 0xFF in (ord("q"), 27):
            break
    capture.release()
    if writer is not None:
        writer.release()


if __name__ == "__main__":
    if not 2 <= len(sys.argv) <= 3:
        sys.exit("usage: opencv.py RECORDING [OUTPUT.avi]")
    try:
        draw(sys.argv[1], sys.argv[2] if len(sys.argv) == 3 else None)
    except cv2.error as error:
        sys.exit(f"opencv: {error}")
