"""The units of work: what a worker does, in whichever process and on whichever machine it runs.

    begin --> Done                          a short recording, restored
          --> Same                          its content has not changed
          --> Cut --> restore_part, each    a long one
                  --> join --> Done
          --> Failure

Each is a function of values, and leaves behind nothing but files that appear when they are whole: it may be done again,
and by two workers at the same time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from mjpeg_restore.archive.beginning import begin_recording
from mjpeg_restore.archive.destination import full_folder
from mjpeg_restore.archive.jobs import Blame, Cut, Done, Failure, Job, PartResult, Same
from mjpeg_restore.archive.joining import join_parts
from mjpeg_restore.archive.listing import Recording
from mjpeg_restore.archive.opening import open_store
from mjpeg_restore.archive.restoring import restore_range
from mjpeg_restore.archive.store import named
from mjpeg_restore.errors import MjpegRestoreError, ModelError, RuntimeUnavailable, SinkError, SourceError, reason_of

Result = TypeVar("Result")


def begin(job: Job) -> Done | Same | Cut | Failure:
    """Restore a recording or, if it is long, cut it into parts."""
    return _caught(job, lambda: begin_recording(job))


def restore_part(job: Job, folder: str, number: int, since: int) -> PartResult | Failure:
    """Restore one part of a recording that was cut.

    Args:
        job: the recording.
        folder: see `Cut`.
        number: of the part, from 0.
        since: the first part whose packets are read.
    """
    return _caught(job, lambda: restore_range(job, folder, number, since))


def join(job: Job, folder: str, parts: Sequence[PartResult]) -> Done | Failure:
    """Join the parts of a recording, publish the file, and remove what lies in the folder."""
    return _caught(job, lambda: join_parts(job, folder, parts))


def _caught(job: Job, work: Callable[[], Result]) -> Result | Failure:
    """The result, or why there is none. Even after a bug's exception the other recordings go on."""
    try:
        return work()
    except Exception as error:
        hint = error.hint if isinstance(error, MjpegRestoreError) else None
        told = MjpegRestoreError(" ".join(_message_of(job, error).split()), hint)
        return Failure(_blame_of(job, error), told, full_folder(job.destination.location, error))


def _message_of(job: Job, error: Exception) -> str:
    match error:
        case MjpegRestoreError():
            return error.message
        case OSError():
            where = error.filename or job.recording.location
            return f"cannot use {named(str(where))} ({reason_of(error)}): mend that, and call this again"
        case _:
            return f"{type(error).__name__}: {reason_of(error)}"


def _blame_of(job: Job, error: Exception) -> Blame:
    match error:
        case SourceError():
            return "input" if _is_as_listed(job.recording) and not _is_due_to_settings(job, error) else "output"
        case SinkError() | OSError():
            return "output"
        case RuntimeUnavailable() | ModelError():
            return "network"
        case _:
            return "program"


def _is_due_to_settings(job: Job, error: SourceError) -> bool:
    """Whether it helps to leave out a setting that was given: nothing is wrong with the recording then."""
    return bool(error.hint and error.hint.settings.keys() & job.settings.described().keys())


def _is_as_listed(recording: Recording) -> bool:
    """Whether a recording is what it was. Not where a network drive has gone: it is tried again."""
    try:
        found = open_store(recording.location).stat(recording.location)
    except OSError:
        return False
    return found is not None and (found.size, found.modified) == (recording.size, recording.modified)
