"""Reproduce a paper's main results with the shipped networks, next to the published ones.

    python scripts/reproduce.py qgac --data DATA/eval --output docs/papers
    python scripts/reproduce.py all --data DATA/eval --output docs/papers --pictures 4     # a quick trial

PAPER is l4-l8, hr-cnn, qgcn, qgac, one-to-many, or all. DATA/eval holds the folders live1 and bsds500-test with
original pictures. The script writes PAPER.md, PAPER.json and the figures. All of our numbers are measured by the run;
published numbers are the paper's. For a network that is not shipped, the page has the command that would train it.
"""

from __future__ import annotations

import argparse
import sys
from importlib import import_module
from pathlib import Path

from installed import needed

from mjpeg_restore.cli.wording import worded
from mjpeg_restore.errors import MjpegRestoreError

PAPERS = ("l4-l8", "hr-cnn", "qgcn", "qgac", "one-to-many")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paper", metavar="PAPER", help=f"{', '.join(PAPERS)}, or all")
    parser.add_argument("--data", required=True, type=Path, help="folder with a subfolder of pictures per set")
    parser.add_argument("--output", type=Path, default=Path("docs/papers"), help="where the pages go (docs/papers)")
    parser.add_argument("--pictures", type=int, metavar="N", help="only the first N pictures of each set")
    parser.add_argument("--device", default="onnxruntime", help="the runtime (onnxruntime)")
    kept = "JSON file that keeps scores from run to run; delete it if the code that restores or measures has changed"
    parser.add_argument("--scores", type=Path, metavar="FILE", help=kept)
    ablations = "folder of the networks that no shipped model is made of"
    parser.add_argument("--ablations", type=Path, default=Path("engines/ablations"), help=ablations)
    parser.add_argument("--peers", type=Path, metavar="DIR", help="weights of AR-CNN and DnCNN-3: measure them too")
    options = parser.parse_args()
    if options.pictures is not None and options.pictures < 1:
        parser.error("--pictures: at least 1")
    return options


def reproduce(names: tuple[str, ...], options: argparse.Namespace) -> None:
    """Write the pages of the given papers."""
    from measuring.machine import machine
    from reproducing.measurement import Bench, log
    from reproducing.networks import Networks
    from reproducing.page import Page

    here = machine()
    networks = Networks(options.device, options.ablations, options.peers)
    bench = Bench(options.data, options.pictures, networks, options.scores)
    papers = {name: import_module(f"reproducing.{name.replace('-', '_')}") for name in names}
    for paper in papers.values():
        for folder in paper.SETS:
            bench.pictures(folder)
    options.output.mkdir(parents=True, exist_ok=True)
    for name, paper in papers.items():
        page = Page(name, paper.TITLE, options.output)
        page.text(
            f"Written by `python scripts/reproduce.py {name}`, which measured"
            f" {' and '.join(map(bench.described, paper.SETS))}. Columns called *published* hold figures from the"
            " paper; all other figures were measured by this command, with the shipped weights."
        )
        if not all(map(bench.whole, paper.SETS)):
            page.text("A set that was measured in part has no differences: the published figures are of the whole set.")
        networks.begin()
        paper.reproduce(bench, page)
        page.networks(networks.used())
        page.left_out()
        page.heading("The machine")
        page.text(f"{here.cpu}, {here.cores} cores; runtime {options.device}.")
        log(f"wrote {page.write()}")


def main() -> int:
    options = arguments()
    if options.paper not in (*PAPERS, "all"):
        sys.exit(f"reproduce: no paper {options.paper!r}; there are {', '.join(PAPERS)}, and all")
    names = PAPERS if options.paper == "all" else (options.paper,)
    try:
        with needed("Reproducing a paper"):
            reproduce(names, options)
    except (MjpegRestoreError, OSError) as error:
        sys.exit(f"reproduce: {worded(error)}")
    except KeyboardInterrupt:
        print("reproduce: stopped", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
