"""Archives of recordings, restored by the processes of one machine or by the machines of a cluster.

    if __name__ == "__main__":  # as always where processes are begun: they import this file
        recordings = list_recordings(["recordings"], "restored", ".mkv")
        archive = Archive(recordings, Destination("restored"), ArchiveSettings())
        with closing(ProcessWorkers(8)) as workers:
            archive.run(workers)

Sources become `Recording`s (`listing`); the `manifest` tells which of them are done. `Archive` hands `tasks`
to `Workers`; what tasks leave for each other lies in the destination's work folder.
"""

from mjpeg_restore.archive.archive import Archive
from mjpeg_restore.archive.destination import Destination
from mjpeg_restore.archive.listing import Recording, list_recordings
from mjpeg_restore.archive.report import ArchiveReport
from mjpeg_restore.archive.settings import ArchiveSettings
from mjpeg_restore.archive.workers import ProcessWorkers, Workers

__all__ = [
    "Archive",
    "ArchiveReport",
    "ArchiveSettings",
    "Destination",
    "ProcessWorkers",
    "Recording",
    "Workers",
    "list_recordings",
]
