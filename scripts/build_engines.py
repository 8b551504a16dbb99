"""Build TensorRT's engines for the graphs of a folder, such as those that scripts/export.py has just written.

python scripts/build_engines.py --compute-capability 8.9                  # all models of engines/
python scripts/build_engines.py stream --engines /tmp/new --precision fp32
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import get_args

from mjpeg_restore import catalogue
from mjpeg_restore.cli.arguments import add_build_options
from mjpeg_restore.cli.build import build_models
from mjpeg_restore.cli.wording import worded
from mjpeg_restore.errors import MjpegRestoreError, UnknownModel
from mjpeg_restore.runtime import Precision


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_build_options(parser)
    parser.add_argument("--engines", type=Path, default=Path("engines"), help="folder of graphs and manifest")
    parser.add_argument(
        "--precision", choices=get_args(Precision), default="fp16", help="of the networks (%(default)s)"
    )
    return parser.parse_args()


def main() -> int:
    options = arguments()
    try:
        models = catalogue.read_manifest(options.engines)
        unknown = [name for name in options.models if name not in models]
        if unknown:
            raise UnknownModel(f"no model {unknown[0]!r} in {options.engines}; there are {', '.join(models)}")
        chosen = [models[name] for name in options.models or models]
        return build_models(chosen, options, options.precision)
    except MjpegRestoreError as error:
        sys.exit(worded(error))


if __name__ == "__main__":
    sys.exit(main())
