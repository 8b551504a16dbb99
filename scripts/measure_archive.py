"""How an archive scales: frames a second with 1, 2 and 4 simulated Ray nodes of one core each.

    python scripts/measure_archive.py                         # the plain decode, on recordings that it draws
    python scripts/measure_archive.py --model stream --json

Nodes are processes of this machine: more of them than it has cores gain nothing, and should lose nothing. Each figure
is the best of some runs, because other programs may run beside.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

from installed import needed

from mjpeg_restore.archive import Archive, ArchiveSettings, Destination, list_recordings
from mjpeg_restore.archive.on_ray import RayWorkers
from mjpeg_restore.errors import MissingExtra
from mjpeg_restore.testing import jpegs

NODES = (1, 2, 4)


def draw(folder: Path, recordings: int, frames: int) -> None:
    """Make recordings of 640x480."""
    pictures = jpegs(50, (640, 480))
    for number in range(recordings):
        (folder / f"{number}.mjpeg").write_bytes(b"".join(pictures * (frames // len(pictures))))


def measure(folder: Path, nodes: int, model: str, runs: int) -> float:
    """Frames a second of a cluster of that many nodes, the best of the runs."""
    from ray.cluster_utils import Cluster as Nodes  # needs an extra

    from mjpeg_restore.cluster import Cluster

    cluster = Nodes(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    try:
        for _ in range(nodes):
            cluster.add_node(num_cpus=1)
        with Cluster(str(cluster.address)) as connection:
            workers = RayWorkers(connection)
            rates = [_run(folder, workers, model) for _ in range(runs + 1)]
        return max(rates[1:])  # the first one starts the workers
    finally:
        cluster.shutdown()


def _run(folder: Path, workers: RayWorkers, model: str) -> float:
    settings = ArchiveSettings(model=model, part=250)
    with tempfile.TemporaryDirectory() as out:
        recordings = list_recordings([str(folder)], out, settings.extension)
        report = Archive(recordings, Destination(out), settings).run(workers)
    assert report.done == report.recordings, report.failures
    return report.fps


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="decode")
    parser.add_argument("--recordings", type=int, default=4)
    parser.add_argument("--frames", type=int, default=1000, help="of each recording (%(default)s)")
    parser.add_argument("--runs", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    try:
        with needed("Simulating nodes"):
            import ray.cluster_utils  # noqa: F401
    except MissingExtra as error:
        sys.exit(f"measure_archive: {error}")
    with tempfile.TemporaryDirectory() as folder:
        draw(Path(folder), options.recordings, options.frames)
        rates = {nodes: measure(Path(folder), nodes, options.model, options.runs) for nodes in NODES}
    if options.json:
        print(json.dumps(rates))
        return
    for nodes, rate in rates.items():
        print(f"{nodes} nodes: {rate:.1f} frames/s, {rate / rates[NODES[0]]:.2f}x")


if __name__ == "__main__":
    main()
