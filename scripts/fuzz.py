"""Fuzz the readers of hostile input: `python scripts/fuzz.py pictures --runs 1000000`.

    headers     the header walk and the splitter
    pictures    the reader of coefficients, with diagnosis and repair
    native      the native reader, without the header walk in front
    walk        the native walk through entropy-coded data
    project     the native projection and decode
    state       a camera's native state
    pieces      the native search for the pieces of a picture that moved
    sparse      the native convolutions of a network where they are wanted
    containers  the parsers of MOV, AVI and HTTP dumps
    multipart   what a camera sends over HTTP
    recordings  the whole pipeline, without a network

Where Atheris is installed (`pip install 'mjpeg-restore[fuzz]'`, CPython 3.11 to 3.14 on Linux), it guides the mutations
by coverage and keeps inputs that reach new code in the corpus. Elsewhere, or with --plain, inputs are mutations of the
seeds alone. The mutations know the structure of JPEG. An input that fails is stored in the corpus's folder, and ends
the run.

--sanitize builds the native extensions with AddressSanitizer and UndefinedBehaviorSanitizer; every finding is fatal. It
needs Clang for Atheris, or GCC for --plain. To include libjpeg-turbo, build it likewise and name it:

    CC=clang CFLAGS=-fsanitize=address,fuzzer-no-link python scripts/build_libjpeg.py /tmp/libjpeg
    LIBJPEG_TURBO=/tmp/libjpeg python scripts/fuzz.py native --sanitize
"""

from __future__ import annotations

import argparse
import faulthandler
import importlib
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from random import Random
from typing import Any

from fuzzing import sanitizers

SECONDS = 5
"""An input that takes longer is a finding; pictures are small here."""
MEGABYTES = 2500
"""Memory of the process that is a finding."""
NAMES = (
    *("headers", "pictures", "native", "walk", "project", "state", "pieces", "sparse"),
    *("containers", "multipart", "recordings"),
)

Target = Callable[[bytes], None]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", choices=NAMES)
    parser.add_argument("--runs", type=int, default=100_000, help="executions")
    parser.add_argument("--seed", type=int, default=1, help="a plain run with the same seed tries the same inputs")
    parser.add_argument("--seeds", type=Path, metavar="FOLDER", help="further files to begin with")
    parser.add_argument("--corpus", type=Path, metavar="FOLDER", default=Path("runs/fuzz"), help="inputs kept")
    parser.add_argument("--max-bytes", type=int, default=1 << 13, help="longest input")
    parser.add_argument("--plain", action="store_true", help="without Atheris")
    parser.add_argument("--sanitize", action="store_true", help="with AddressSanitizer and UndefinedBehaviorSanitizer")
    return parser.parse_args()


def main() -> None:
    options = arguments()
    atheris = None if options.plain or not find_spec("atheris") else importlib.import_module("atheris")
    corpus = options.corpus / options.target
    corpus.mkdir(parents=True, exist_ok=True)
    if options.sanitize:
        runtime = Path(atheris.path(), "asan_with_fuzzer.so") if atheris else None
        sanitizers.restart(options.corpus / ("clang" if atheris else "cc"), runtime)
    if atheris:
        with atheris.instrument_imports(include=["mjpeg_restore.jpeg", "mjpeg_restore.sources"]):
            targets = importlib.import_module("fuzzing.targets")
    else:
        targets = importlib.import_module("fuzzing.targets")
    try:
        with importlib.import_module("installed").needed("Fuzzing"):
            seeds = importlib.import_module("fuzzing.seeds").seeds(options.seeds, options.max_bytes)
    except targets.MjpegRestoreError as error:
        sys.exit(f"fuzz: {error}")
    warnings.simplefilter("error")  # of NumPy, where numbers overflow
    target = targets.TARGETS[options.target]
    if atheris:
        guided(target, seeds, corpus, options, atheris)
    else:
        plain(target, seeds, corpus, options)


def plain(target: Target, seeds: Sequence[bytes], corpus: Path, options: argparse.Namespace) -> None:
    """Try mutations of the seeds, the same for the same seed."""
    mutations = importlib.import_module("fuzzing.mutations")
    rng, began = Random(options.seed), time.monotonic()
    try:
        with (corpus / "last").open("wb") as last:  # where the process dies, the input is here
            for count in range(options.runs):
                data = mutations.mutate(rng.choice(seeds), rng, seeds, options.max_bytes)
                last.seek(0)
                last.write(data)
                last.truncate()
                last.flush()
                if count % 100 == 0:
                    faulthandler.dump_traceback_later(60 * SECONDS, exit=True, file=2)
                try:
                    _execute(target, data)
                except Exception:
                    found = corpus / f"failed-{options.seed}-{count}"
                    found.write_bytes(data)
                    print(f"fuzz: {options.target} fails for {found}", file=sys.stderr)
                    raise
    finally:
        faulthandler.cancel_dump_traceback_later()
    print(f"{options.target}: {options.runs} executions, {options.runs / (time.monotonic() - began):.0f} per second")


def _execute(target: Target, data: bytes) -> None:
    begun = time.monotonic()
    target(data)
    spent = time.monotonic() - begun
    assert spent < SECONDS, f"an input took {spent:.1f} seconds"


def guided(target: Target, seeds: Sequence[bytes], corpus: Path, options: argparse.Namespace, atheris: Any) -> None:
    """Let Atheris choose the inputs: half of the mutations are libFuzzer's, half our own. It ends the process."""
    mutations = importlib.import_module("fuzzing.mutations")
    for index, data in enumerate(seeds):
        (corpus / f"seed-{index}").write_bytes(data)

    def mutate(data: bytes, max_size: int, seed: int) -> bytes:
        rng = Random(seed)
        if rng.randrange(2):
            return atheris.Mutate(data, max_size)
        return mutations.mutate(data, rng, seeds, max_size)

    flags = {
        "runs": options.runs,
        "seed": options.seed,
        "max_len": options.max_bytes,
        "timeout": SECONDS,
        "rss_limit_mb": MEGABYTES,
        "artifact_prefix": f"{corpus}/failed-",
        "print_final_stats": 1,
    }
    words = [sys.argv[0], *(f"-{name}={value}" for name, value in flags.items()), str(corpus)]
    atheris.Setup(words, target, custom_mutator=mutate)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
