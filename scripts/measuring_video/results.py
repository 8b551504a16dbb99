"""Rows from run to run, in a JSON file."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from measuring_video.rows import Row
from mjpeg_restore.errors import SinkError, SourceError, reason_of


@dataclass(slots=True)
class Results:
    """What has been measured of a model."""

    about: dict[str, Any]
    """What the rows are of: `model`, `over`, checksums of their graphs, `device`, the machine."""
    rows: list[Row] = field(default_factory=list)

    @property
    def model(self) -> str:
        """Name of the model for video."""
        return self.about["model"]

    @property
    def over(self) -> str:
        """Name of the model that gains are over."""
        return self.about["over"]

    def has(self, clip: str, quality: int, *, speed: bool = False, encoded: bool = False) -> bool:
        """Whether a clip has been measured at a quality, in all that is wanted."""
        found = [row for row in self.rows if (row.clip, row.quality) == (clip, quality)]
        return any((row.speed or not speed) and (row.encoded or not encoded) for row in found)

    def add(self, row: Row) -> None:
        """Add a row; it takes the place of one of the same clip and quality."""
        self.rows = [one for one in self.rows if (one.clip, one.quality) != (row.clip, row.quality)] + [row]

    def write(self, path: Path) -> None:
        """Write the file, all or nothing.

        Raises:
            SinkError: it cannot be written.
        """
        lines = ",\n".join(json.dumps(row.as_dict()) for row in self.rows)
        part = path.with_name(f"{path.name}.part")
        try:
            part.write_text(f'{{"about": {json.dumps(self.about)},\n"rows": [\n{lines}\n]}}\n')
            os.replace(part, path)
        except OSError as error:
            raise SinkError(f"cannot write {path} ({reason_of(error)})") from error


def read(path: Path) -> Results | None:
    """Earlier results; None if there is no file.

    Raises:
        SourceError: the file holds something else.
    """
    try:
        found = json.loads(path.read_text())
        return Results(dict(found["about"]), [Row.parse(row) for row in found["rows"]])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise SourceError(f"{path}: no results of an earlier run ({reason_of(error)}); delete it") from error
