"""Iterate over a recording in an asyncio program: the loop goes on meanwhile, and cancelling ends the reading.

python examples/async_frames.py cam.mjpeg 10        # at most ten seconds of it
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator
from contextlib import aclosing

import mjpeg_restore


async def frames(path: str) -> AsyncGenerator[mjpeg_restore.Picture]:
    """Yield the restored pictures of a recording; all waiting is done in threads."""
    stream = await asyncio.to_thread(mjpeg_restore.open, path, "stream-lite")
    try:
        pictures = iter(stream)
        while (picture := await asyncio.to_thread(next, pictures, None)) is not None:
            yield picture
    finally:
        # After a cancellation the thread above may still wait for a silent camera; closing the stream ends the wait.
        await asyncio.to_thread(stream.close)


async def heartbeat() -> None:
    """Something else that the program does all the time."""
    while True:
        await asyncio.sleep(0.01)


async def main(path: str, seconds: float | None) -> None:
    """Count the pictures that come in so many seconds."""
    beating = asyncio.create_task(heartbeat())
    count = 0
    try:
        async with asyncio.timeout(seconds), aclosing(frames(path)) as pictures:
            async for _ in pictures:
                count += 1
        print(f"{count} pictures, then the end")
    except TimeoutError:
        print(f"{count} pictures, then the time was over")
    beating.cancel()


if __name__ == "__main__":
    if not 2 <= len(sys.argv) <= 3:
        sys.exit("usage: async_frames.py RECORDING [SECONDS]")
    try:
        asyncio.run(main(sys.argv[1], float(sys.argv[2]) if len(sys.argv) == 3 else None))
    except (mjpeg_restore.MjpegRestoreError, ValueError) as error:
        sys.exit(f"async_frames: {error}")
