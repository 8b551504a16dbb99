"""The file or folder at an output's name, and whether it may be replaced."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from mjpeg_restore.errors import SinkError


def kind_of(target: Path) -> Literal["nothing", "file", "folder"]:
    """What there is at a path.

    Raises:
        SinkError: the path cannot be looked up, or is no valid name.
    """
    try:
        mode = target.stat().st_mode  # is_dir() and exists() say differently in each version of Python
    except (FileNotFoundError, NotADirectoryError):
        return "nothing"
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        reason = getattr(error, "strerror", None) or str(error)
        raise SinkError(f"cannot write to {target} ({reason}): choose another name") from error
    return "folder" if stat.S_ISDIR(mode) else "file"


def part_name(target: Path) -> Path:
    """The name under which a file grows until it is whole: `.NAME.part.EXTENSION` in the same folder."""
    return target.with_name(f".{target.stem}.part{target.suffix}")


def refuse_inputs(target: Path, inputs: Iterable[Path]) -> None:
    """Refuse to write to a file that is one of the inputs.

    Raises:
        SinkError: it is one of `inputs`.
    """
    if kind_of(target) == "nothing":
        return
    there = target.stat()
    for path in inputs:
        with contextlib.suppress(OSError):  # an input that has gone cannot be overwritten
            if os.path.samestat(path.stat(), there):
                raise SinkError(f"{target}: is the input itself; give another name")


def names_in(folder: Path, inputs: Iterable[Path]) -> list[str]:
    """The names of those `inputs` that lie in a folder."""
    if kind_of(folder) != "folder":
        return []
    there = folder.stat()
    names: list[str] = []
    parents: dict[Path, bool] = {}
    for path in inputs:
        with contextlib.suppress(OSError):
            real = path.resolve() if path.is_symlink() else path
            if real.parent not in parents:
                parents[real.parent] = os.path.samestat(real.parent.stat(), there)
            if parents[real.parent]:
                names.append(real.name)
    return names
