"""Rows from run to run, in a JSON file."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from measuring import text_file

from measuring_video.rows import Row
from mjpeg_restore.errors import SourceError, reason_of


@dataclass(slots=True)
class Results:
    """What has been measured of a model."""

    about: dict[str, Any]
    """What the rows depend on: `model`, `over`, checksums of their graphs, `device`, `frames`."""
    rows: list[Row] = field(default_factory=list)

    @property
    def model(self) -> str:
        """Name of the model for video."""
        return self.about["model"]

    @property
    def over(self) -> str:
        """Name of the model that gains are over."""
        return self.about["over"]

    @property
    def qualities(self) -> list[int]:
        """Those that clips were compressed at."""
        return sorted({row.quality for row in self.rows})

    def groups(self) -> list[list[Row]]:
        """Rows of clips in which the same happens, at the same quality; qualities of a kind one after the other."""
        kinds = dict.fromkeys(row.kind for row in self.rows)
        return [
            rows
            for kind in kinds
            for quality in self.qualities
            if (rows := [row for row in self.rows if (row.kind, row.quality) == (kind, quality)])
        ]

    def clips(self) -> list[list[Row]]:
        """Rows of each clip."""
        names = dict.fromkeys(row.clip for row in self.rows)
        return [[row for row in self.rows if row.clip == name] for name in names]

    def has(self, clip: str, quality: int, *, speed: bool, storage: bool) -> bool:
        """Whether a clip has been measured at a quality, in all that is wanted."""
        found = [row for row in self.rows if (row.clip, row.quality) == (clip, quality)]
        return any((row.speed or not speed) and (row.encoded or not storage) for row in found)

    def add(self, row: Row) -> None:
        """Add a row in the place of one of the same clip and quality, whose speed and bytes it keeps if it has none."""
        for place, one in enumerate(self.rows):
            if (one.clip, one.quality) == (row.clip, row.quality):
                self.rows[place] = replace(row, speed=row.speed or one.speed, encoded=row.encoded or one.encoded)
                return
        self.rows.append(row)

    def write(self, path: Path) -> None:
        """Write the file, all or nothing.

        Raises:
            SinkError: it cannot be written.
        """
        lines = ",\n".join(json.dumps(row.as_dict()) for row in self.rows)
        text_file.write(path, f'{{"about": {json.dumps(self.about)},\n"rows": [\n{lines}\n]}}\n')


def read(path: Path) -> Results | None:
    """Earlier results; None if there is no file.

    Raises:
        SourceError: the file holds something else.
    """
    try:
        found = json.loads(path.read_text())
        about = dict(found["about"])
        if not {"model", "over"} <= about.keys():
            raise ValueError("the two models are not named")
        return Results(about, [Row.parse(row) for row in found["rows"]])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise SourceError(f"{path}: no results of an earlier run ({reason_of(error)}); delete it") from error
