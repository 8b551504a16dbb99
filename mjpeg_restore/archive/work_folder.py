"""The folder in which the parts of one recording lie, until they are joined.

plan.json                how it was cut; written last
sound                    its packets of sound
packets-00000, ...       coded pictures of each part, with its preroll
coded-00000, ...         the restored part, encoded
result-00000.json, ...   what is known of it; written after it
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from mjpeg_restore.archive.destination import Destination
from mjpeg_restore.archive.jobs import Cut, Job, PartResult
from mjpeg_restore.archive.parts import Plan
from mjpeg_restore.archive.records import read_coded
from mjpeg_restore.archive.store import named
from mjpeg_restore.errors import SinkError
from mjpeg_restore.sinks.joining import CodedVideo

_UNREADABLE = (ValueError, KeyError, TypeError, RecursionError)
"""What a file leads to that a disk has spoilt, or that another version of this package has written."""


@dataclass(frozen=True, slots=True)
class WorkFolder:
    """The folder of one recording."""

    destination: Destination
    name: str

    @classmethod
    def of(cls, job: Job, input_checksum: str) -> WorkFolder:
        """The folder of a recording: with another input or other settings it is another one."""
        words = [input_checksum, job.settings.key, job.recording.output]
        key = hashlib.sha256(json.dumps(words).encode()).hexdigest()[:32]
        return cls(job.destination, job.destination.parts_folder(key))

    def packets(self, number: int) -> str:
        """Name of the file of a part's coded pictures."""
        return f"{self.name}/packets-{number:05}"

    def coded(self, number: int) -> str:
        """Name of the file of a restored part."""
        return f"{self.name}/coded-{number:05}"

    @property
    def sound(self) -> str:
        """Name of the file of sound."""
        return f"{self.name}/sound"

    @property
    def _plan(self) -> str:
        return f"{self.name}/plan.json"

    def _result(self, number: int) -> str:
        return f"{self.name}/result-{number:05}.json"

    def write_plan(self, plan: Plan) -> None:
        """Write the plan, once all else is there."""
        self.destination.write_text(self._plan, plan.as_json())

    def plan(self) -> Plan:
        """The plan.

        Raises:
            SinkError: there is none.
        """
        text = self.destination.read_text(self._plan)
        if text is None:
            raise SinkError(f"{named(self.destination.path(self.name))} has gone while the archive was restored")
        return Plan.from_json(text)

    def write_result(self, result: PartResult) -> None:
        """Write what is known of a part, once it is there."""
        self.destination.write_text(self._result(result.number), json.dumps(asdict(result)))

    def left_by_earlier_run(self, known: dict[str, Any]) -> Cut | None:
        """The recording as an earlier run has cut it, with the parts that it restored; None if none has.

        Args:
            known: see `Plan.result`; the date may be another one by now.
        """
        text = self.destination.read_text(self._plan)
        if text is None:
            return None
        try:
            plan = Plan.from_json(text)
        except _UNREADABLE:
            return None
        numbers = range(len(plan.packets))
        if not all(self.destination.stat(self.packets(number)) for number in numbers):
            return None  # somebody has tidied up
        if plan.result != known:
            self.write_plan(replace(plan, result=known))
        done = [number for number in numbers if self.destination.stat(self.coded(number))]
        results = [self.destination.read_text(self._result(number)) for number in done]
        return Cut(self.name, plan.packets, tuple(part for text in results if text and (part := _part_result(text))))

    def coded_parts(self, count: int) -> Iterator[Sequence[CodedVideo]]:
        """The coded pictures of each part, one part after the other."""
        for number in range(count):
            with self.destination.reading(self.coded(number)) as path:
                yield read_coded(path)

    def remove(self) -> None:
        """Remove the folder."""
        self.destination.remove(self.name)


def _part_result(text: str) -> PartResult | None:
    try:
        fields: dict[str, Any] = json.loads(text)
        fields["remarks"] = tuple(fields["remarks"])
        return PartResult(**fields)
    except _UNREADABLE:
        return None
