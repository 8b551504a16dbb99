"""The damage policy: which damaged pictures are repaired, shown as they are, or replaced by the picture before."""

from __future__ import annotations

import hashlib
from collections.abc import Generator
from dataclasses import replace
from typing import Literal

from mjpeg_restore.frames import CodedPicture
from mjpeg_restore.jpeg import find_dc_jump, repair
from mjpeg_restore.report import Report
from mjpeg_restore.stages import Job

OnCorrupt = Literal["repair", "hold", "drop", "pass"]
"""What becomes of a damaged picture; see `PipelineSettings.on_corrupt`."""

START_UP_LOSSES = 5
"""S8: a camera's first pictures may be damaged. After this many losses in a run, one without a predecessor is shown."""


class DamagePolicy:
    """Counts damage, repairs it where that is possible, and empties the jobs whose pictures are not to be shown.

    Attributes:
        on_corrupt: the choice in force.
        holds: whether the picture before is shown again in place of one that cannot be shown.
    """

    def __init__(self, on_corrupt: OnCorrupt | None, report: Report, *, independent: bool) -> None:
        """Choose.

        Args:
            on_corrupt: the user's choice; None: "pass" where pictures are independent, else "repair".
            report: counts what happens.
            independent: the pictures are unrelated: none is repaired from another one and, unless the user asks for it,
                none replaces another one.
        """
        self.on_corrupt: OnCorrupt = on_corrupt or ("pass" if independent else "repair")
        self.holds = self.on_corrupt in ("repair", "hold") or (self.on_corrupt == "pass" and not independent)
        self._counts = self._report = report
        self._independent = independent
        self._previous: tuple[CodedPicture, ...] = ()
        self._lost = 0

    def __call__(self, jobs: Generator[Job]) -> Generator[Job]:
        """Apply the policy to the jobs of a source, in order."""
        try:
            for job in jobs:
                yield self.apply(job)
        finally:
            jobs.close()

    def apply(self, job: Job) -> Job:
        """Apply the policy to the next job."""
        if job.packet.silent:
            return job
        self._report = Report() if job.packet.preroll else self._counts
        if job.packet.discontinuity:  # a camera that is connected anew starts up anew (S8)
            self._previous, self._lost = (), 0
        self._report.packets += 1
        self._count(job)
        if not self._independent and len(self._previous) == len(job.coded):
            job = replace(job, coded=tuple(map(_with_dc_jump, job.coded, self._previous)))
        job = self._decide(job)
        self._previous = job.coded or self._previous
        return job

    @property
    def memory(self) -> str:
        """Checksum of what is remembered of earlier pictures: where it is equal, all that follows is decided alike."""
        digest = hashlib.sha256(str(self._lost).encode())
        for picture in self._previous:
            digest.update(f"{picture!r} {picture.colour}".encode())
            for array in (*picture.coefficients, *picture.tables):
                digest.update(array.tobytes())
        return digest.hexdigest()

    def _count(self, job: Job) -> None:
        if job.trouble:
            self._report.unreadable += not job.fragment
            self._report.note_trouble(job.packet, str(job.error or job.trouble))
        self._report.extra += job.parts.extra if job.parts else 0
        for picture in job.coded:
            self._report.note_warnings(picture.warnings)

    def _decide(self, job: Job) -> Job:
        """The job with its damage repaired, without its picture, or as it was."""
        damage = next((picture.damage for picture in job.coded if picture.damage), None)
        if not damage:
            return job
        self._report.damaged += 1
        self._report.note_trouble(job.packet, damage.reason)
        job = replace(job, damage=damage.reason)
        if self.on_corrupt == "repair":
            job = self._repaired(job)
        if not _is_damaged(job.coded) or self.on_corrupt == "pass":
            return job
        # S8: a damaged picture without a predecessor is dropped, at most `START_UP_LOSSES` times; then it is shown.
        # After a damaged picture that was shown, another one is shown too.
        starting = not self._previous and self._lost < START_UP_LOSSES
        follows_sound = self._previous and not _is_damaged(self._previous)
        if starting or follows_sound or self.on_corrupt == "drop":
            self._lost += 1
            return replace(job, coded=())
        return job

    def _repaired(self, job: Job) -> Job:
        """The job with its missing rows taken from the picture before (S2), or as it was where that is impossible."""
        if len(self._previous) != len(job.coded):
            return job
        fixed = [repair(picture, old) for picture, old in zip(job.coded, self._previous, strict=True)]
        if None in fixed:
            return job
        self._report.repaired += 1
        return replace(job, coded=tuple(picture for picture in fixed if picture is not None))


def _with_dc_jump(picture: CodedPicture, previous: CodedPicture) -> CodedPicture:
    """The picture, with the damage that only shows beside the picture before (S11)."""
    found = None if picture.damage else find_dc_jump(picture, previous)
    return replace(picture, damage=found) if found else picture


def _is_damaged(coded: tuple[CodedPicture, ...]) -> bool:
    return any(picture.damage for picture in coded)
