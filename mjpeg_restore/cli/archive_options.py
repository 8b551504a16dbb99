"""The options of `mjpeg-restore archive`."""

from __future__ import annotations

import argparse
from typing import get_args

from mjpeg_restore import catalogue
from mjpeg_restore.archive.settings import DEFAULT_PART
from mjpeg_restore.cli import values
from mjpeg_restore.cli.restore_options import ENGINE_CACHE
from mjpeg_restore.damage import OnCorrupt
from mjpeg_restore.runtime.devices import known_devices

ARCHIVING = """\
Restore many recordings under the same relative names, on all cores of this machine or on a Ray cluster. A manifest in
the destination says what became of each; a second call does only what is missing or has changed.

  mjpeg-restore archive recordings -o restored
  mjpeg-restore archive 'recordings/2004-*/**/*.avi' @more.txt -o restored
  mjpeg-restore archive s3://bucket/recordings -o s3://bucket/restored --ray auto
"""


def add_archive_options(parser: argparse.ArgumentParser) -> None:
    """Add them."""
    add = parser.add_argument
    add(
        "sources",
        nargs="+",
        metavar="SOURCE",
        help="a folder, a pattern (** includes subfolders), a recording, or @FILE, a list of recordings, one a line; "
        "also URLs such as s3://, gs://, sftp:// (the extra remote)",
    )
    add("-o", "--output", required=True, metavar="DESTINATION", help="a folder or a URL; made if it is not there")
    add(
        "--ray",
        default="auto",
        metavar="off|local|auto|ADDRESS",
        help="who restores: processes of this machine (off), Ray on this machine, a Ray cluster if one is found, "
        "else processes (auto, the default), or the cluster at an address",
    )
    add("--workers", type=values.threads, metavar="N", help="recordings or parts at the same time (one a core)")
    add("--dry-run", action="store_true", help="say what would be done, how many frames, and about how long it takes")
    add("-m", "--model", default=catalogue.DEFAULT, help="the network (%(default)s); see 'mjpeg-restore models'")
    add("--device", default="auto", help=f"{known_devices()} (%(default)s)")
    add("--engine-cache", type=values.folder, metavar="DIR", help=ENGINE_CACHE)
    add(
        "--part",
        type=values.part,
        default=DEFAULT_PART,
        metavar="N",
        help="cut long recordings into parts of N packets, 0 for not at all (%(default)s)",
    )
    add("--fps", type=values.rate, help="frame rate of streams without time stamps (25)")
    add("--on-corrupt", choices=get_args(OnCorrupt), help="damaged pictures (repair)")

    output = parser.add_argument_group("output")
    output.add_argument(
        "--format",
        choices=("mkv", "mp4", "mov", "webm", "avi", "ts"),
        default="mkv",
        help="container of the restored files (%(default)s); single JPEGs become .png",
    )
    output.add_argument("-c", "--codec", help="h264, hevc, av1, vp9, ffv1, mjpeg, or an encoder by FFmpeg's name")
    output.add_argument("--crf", type=float, help="the encoder's constant quality; lower is better (20 for H.264)")
    output.add_argument("--preset", help="the encoder's preset; a slower one makes smaller files (superfast)")
    output.add_argument("--range", choices=("full", "limited"), default="full", help="of the samples (%(default)s)")
    output.add_argument(
        "-e",
        "--encoder-option",
        type=values.pair,
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="passed to FFmpeg",
    )
    output.add_argument("--audio-track", type=values.sound, metavar="N|all", help="which sound of several (1)")
    output.add_argument("--no-audio", action="store_true", help="leave the sound out")
    output.add_argument(
        "--on-resize",
        choices=("scale", "letterbox"),
        default="scale",
        help="pictures of another size than the first (%(default)s)",
    )
    add("--log-format", choices=("text", "json"), default="text", help="of messages (%(default)s)")
    add("-q", "--quiet", action="store_true", help="errors only")
    add("--json", action="store_true", help="print a report as JSON at the end, or what would be done")
