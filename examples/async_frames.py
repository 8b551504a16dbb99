"""Watch several recordings or cameras in one asyncio program, for a number of seconds.

python examples/async_frames.py 10 http://cam1/video http://cam2/video hall.mjpeg
"""

from __future__ import annotations

import asyncio
import sys
from concurrent.futures import Executor, ThreadPoolExecutor

from mjpeg_restore import MjpegRestoreError, Restorer, aopen

TOGETHER = 2
"""Number of pictures that the network restores in parallel."""


async def watch(source: str, seconds: float, restorer: Restorer, pool: Executor) -> str:
    """Count the pictures of one source; return one line, as an error must not end the others."""
    count = 0
    try:
        async with asyncio.timeout(seconds), aopen(source, restorer, pool=pool) as pictures:
            async for _ in pictures:
                count += 1
    except MjpegRestoreError as error:
        return f"{error}"  # it names the source
    except TimeoutError:
        return f"{source}: {count} pictures, then the time was over"
    return f"{source}: {count} pictures, then the end"


async def main(seconds: float, sources: list[str]) -> None:
    """Watch all of them; each line is printed when it is there."""
    restorer = Restorer("stream-lite", streams=TOGETHER)  # one network for all
    with ThreadPoolExecutor(TOGETHER) as pool:
        for line in asyncio.as_completed([watch(source, seconds, restorer, pool) for source in sources]):
            print(await line, flush=True)


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit("usage: async_frames.py SECONDS SOURCE...")
    try:
        asyncio.run(main(float(sys.argv[1]), sys.argv[2:]))
    except ValueError as error:
        sys.exit(f"async_frames: {error}")
