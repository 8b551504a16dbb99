"""Restore several recordings at the same time, with one network that is loaded once.

python examples/many_recordings.py restored/ cam1.avi cam2.avi cam3.mjpeg
"""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from mjpeg_restore import MjpegRestoreError, Restorer, open_sink, open_source, run

TOGETHER = 2
"""Number of recordings in parallel, and of pictures that the network restores in parallel."""


def restored(path: str, folder: Path, restorer: Restorer) -> str:
    """Restore one recording with its sound; return one line about the result, as an error must not end the others."""
    target = folder / f"{Path(path).stem}.mp4"
    try:
        with open_source(path) as source:
            sink = open_sink(str(target), sound=source.sound, inputs=source.paths)
            report = run(source, restorer, sink)
    except MjpegRestoreError as error:
        return f"{error}"  # it names the file
    return f"{target}: {report.frames} pictures, {report.damaged} of them damaged"


def main(folder: Path, paths: list[str]) -> None:
    """Restore all of them."""
    folder.mkdir(parents=True, exist_ok=True)
    restorer = Restorer("stream-lite", streams=TOGETHER)  # safe from several threads
    with ThreadPoolExecutor(TOGETHER) as pool:
        for line in pool.map(lambda path: restored(path, folder, restorer), paths):
            print(line, flush=True)


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit("usage: many_recordings.py FOLDER RECORDING...")
    try:
        main(Path(sys.argv[1]), sys.argv[2:])
    except OSError as error:
        sys.exit(f"many_recordings: {error.filename}: {error.strerror}")
