"""Reads files with jpeglib in a process of its own, because jpeglib may hang or crash on them.

Each line of standard input is a path. Each answer on standard output is "digest " and the digest of what was read, or
"-" where jpeglib cannot read the file.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

from pictures import oracle


def digest(path: str) -> str:
    """A digest of coefficients and tables, in the order of the components."""
    planes, tables = oracle(Path(path).read_bytes())
    sha = hashlib.sha256()
    for plane, table in zip(planes, tables, strict=True):
        sha.update(repr(plane.shape).encode() + plane.tobytes() + table.clip(1).tobytes())
    return sha.hexdigest()


if __name__ == "__main__":
    for line in sys.stdin:
        try:
            answer = digest(line.strip())
        except Exception:
            answer = "-"
        sys.stdout.write(f"digest {answer}\n")
        sys.stdout.flush()
