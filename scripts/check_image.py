"""Run the steps of the Dockerfile without Docker: build, install, add up what is in the image, and try it.

    python scripts/check_image.py
    python scripts/check_image.py --keep /tmp/image

Steps that install Debian's packages are left out: gcc and libjpeg-turbo's headers have to be here. Python packages come
from the index that pip is set up for. The exit code is 1 where the image is too large or does not work.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from measuring.image import BASE_MB, LIMIT_MB, Image

ROOT = Path(__file__).parents[1]

_SETTINGS = """
[run]
serve = "0.0.0.0:8080"
[cameras.door]
source = "http://127.0.0.1:9/video"
output = "{camera}.mp4"
"""


def main() -> int:
    """Check; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", type=Path, help="a folder for what is installed; it must not exist")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder: Path = options.keep or Path(scratch, "image")
        try:
            folder.mkdir(parents=True)
        except OSError as error:
            parser.error(f"--keep {folder}: {error.strerror}; name a new folder")
        image = Image.parse(ROOT)
        try:
            image.build(folder)
            size = image.size_mb(folder)
            print(f"installed {size:.0f} MB, and {BASE_MB} MB of {image.base}: {size + BASE_MB:.0f} MB of {LIMIT_MB}")
            _try(image, folder)
        except subprocess.CalledProcessError as error:
            print(f"check_image: {error}", file=sys.stderr)
            return 1
    return int(size + BASE_MB > LIMIT_MB)


def _try(image: Image, folder: Path) -> None:
    """Run what is installed: a picture is restored, settings are checked.

    Raises:
        subprocess.CalledProcessError: it does not work.
    """
    settings = folder / "cameras.toml"
    settings.write_text(_SETTINGS)
    bin = folder / image.installed.relative_to("/") / "bin"
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    for words in (
        [bin / "python", ROOT / "scripts" / "check_wheel.py"],
        [bin / "mjpeg-restore", "run", settings, "--check"],
    ):
        subprocess.run(list(map(str, words)), cwd=folder, env=environment, check=True)


if __name__ == "__main__":
    sys.exit(main())
