"""The options of `mjpeg-restore INPUT` itself, which restores one input."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import get_args

from mjpeg_restore import catalogue
from mjpeg_restore.cli import values
from mjpeg_restore.cli.serving import add_serving_options
from mjpeg_restore.cli.streams import write
from mjpeg_restore.cli.versions import versions
from mjpeg_restore.compare import Comparison
from mjpeg_restore.damage import OnCorrupt
from mjpeg_restore.pipeline import Drop, OnStall
from mjpeg_restore.runtime.devices import known_devices
from mjpeg_restore.sinks import PixelFormat
from mjpeg_restore.sinks.window import KEYS
from mjpeg_restore.sources import RtspTransport

DESCRIPTION = """\
Restore Motion-JPEG from its DCT coefficients.

  mjpeg-restore cam.mjpeg -o out.mp4
  mjpeg-restore cam.avi --show --compare split
  mjpeg-restore http://cam/video -o out.mp4
  mjpeg-restore http://cam/video --serve 8080

commands:
  mjpeg-restore run FILE       run many cameras, by a settings file such as cameras.toml
  mjpeg-restore fleet FILE     run them on the machines of a Ray cluster
  mjpeg-restore archive SOURCE... -o DESTINATION
                               restore folders of recordings, on all cores or on a cluster
  mjpeg-restore inspect INPUT  say what is in a recording, or what a camera sends
  mjpeg-restore models         list the networks
  mjpeg-restore doctor         say what is here, what each network runs on, and what to install
  mjpeg-restore build          build TensorRT's engines for NVIDIA GPUs, ahead of their first use

Beside -o, --show or --verify these words name files: run, fleet, inspect, models, doctor, build. Beside --serve, run
and fleet stay commands. archive always is one.
"""

OF_THE_OUTPUT: dict[str, object] = {
    "codec": None,
    "crf": None,
    "preset": None,
    "range": "full",
    "encoder_option": [],
    "image_format": "png",
    "pixel_format": "yuv420p",
    "audio_track": None,
    "segment": None,
    "on_resize": "scale",
}
"""Options that concern the outputs of -o alone, with their defaults."""

OF_SERVERS = {"stall_timeout", "insecure"}
"""Options for cameras that recordings over HTTP take as well."""
OF_DEVICES = {"size", "rtsp_transport"}
"""Those that HTTP cameras do not take."""
OF_PACE = {"drop", "max_latency"}
"""Those that recordings take that are played at their pace, for --serve."""
OF_CONNECTIONS = {"stall_timeout", "give_up", "on_stall", *OF_DEVICES}
"""Those that a container in a pipe does not take: it has its own time stamps, and nobody to connect to again."""
OF_CAMERAS = {"live", "insecure", *OF_PACE, *OF_CONNECTIONS}
"""All that concern live sources alone; each is None or False unless it is given."""

ENGINE_CACHE = "where TensorRT's engines are kept (the user's cache)"

_KEY_LINES = "\n".join(f"  {key:8}{effect}" for key, effect in KEYS)

EPILOG = f"""\
in the window:
{_KEY_LINES}

exit codes: 0 done, 2 wrong arguments, 3 the input, an option that does not fit it, or a camera that is given
up, 4 the network, its runtime, or a package that is missing, 5 the output, 130 stopped by Ctrl-C (the file
is finished properly)
"""


class _Version(argparse.Action):
    """An action that looks up the versions when they are asked for: that takes time."""

    def __init__(self, option_strings: Sequence[str], dest: str) -> None:
        super().__init__(option_strings, argparse.SUPPRESS, nargs=0, help="show the versions and exit")

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        write("\n".join(versions()), sys.stdout)
        parser.exit()


def add_restore_options(parser: argparse.ArgumentParser) -> None:
    """Add them."""
    add = parser.add_argument
    add(
        "-o",
        "--output",
        action="append",
        default=[],
        metavar="OUTPUT",
        help="a video, .m3u8, .y4m, .png or .jpg, a folder, out/%%06d.png; - for y4m, raw:- or ts:-, or a pipe in "
        "place of -; rtsp://, tcp://HOST:PORT, udp://HOST:PORT; v4l2:/dev/video10; may be given several times",
    )
    add("--show", action="store_true", help="watch it in a window; its keys are listed below")
    add("--verify", action="store_true", help="count the coefficients of the restored pictures that are the stream's")
    add(
        "input",
        metavar="INPUT",
        help="a recording, JPEG, folder or pattern of JPEGs, - for standard input, or a camera: "
        "http://, https://, rtsp://, /dev/video0",
    )
    add("-m", "--model", default=catalogue.DEFAULT, help="the network (%(default)s); see 'mjpeg-restore models'")
    add("--device", default="auto", help=f"{known_devices()} (%(default)s)")
    add("--engine-cache", type=values.folder, metavar="DIR", help=ENGINE_CACHE)
    add("--threads", type=values.threads, metavar="N", help="CPU threads of the network (all cores)")
    add("--texture", type=values.share, metavar="0..1", help="how much texture to invent (0); for qgac")
    add("--seed", type=values.seed, metavar="S", help="which of many possible pictures (0); for one-to-many")
    add(
        "--candidates",
        type=values.positive,
        metavar="N",
        help="N of them, from seed S up: OUT-1.png, OUT-2.png and so on",
    )
    add("--track", type=values.positive, metavar="N", help="which Motion-JPEG track of several, from 1; see 'inspect'")
    add("--compare", choices=get_args(Comparison), help="before and after in one picture; in the window to begin with")

    add_serving_options(parser.add_argument_group("browsers and other programs").add_argument)

    live = parser.add_argument_group("cameras")
    _add_live_options(live.add_argument)

    time = parser.add_argument_group("time")
    time.add_argument(
        "--fps",
        type=values.rate,
        help="frame rate of streams without time stamps: 15, 29.97, 30000/1001 (25); of snapshots (1); asked of a V4L2 "
        "device",
    )
    time.add_argument("--start", type=values.time, metavar="TIME", help="start there: seconds or [h:]m:s")
    time.add_argument(
        "--duration",
        type=values.length,
        metavar="TIME",
        help="restore that much: seconds or [h:]m:s; a camera's count from its first picture; --give-up limits the "
        "wait for that; with --loop it is the length of each round",
    )
    time.add_argument("--frames", type=values.positive, metavar="N", help="stop after that many packets")

    output = parser.add_argument_group("output")
    output.add_argument("-c", "--codec", help="h264, hevc, av1, vp9, ffv1, mjpeg, or an encoder by FFmpeg's name")
    output.add_argument("--crf", type=float, help="the encoder's constant quality; lower is better (20 for H.264)")
    output.add_argument("--preset", help="the encoder's preset; a slower one makes smaller files (superfast)")
    output.add_argument(
        "--range", choices=("full", "limited"), default=OF_THE_OUTPUT["range"], help="of the samples (%(default)s)"
    )
    output.add_argument(
        "-e",
        "--encoder-option",
        type=values.pair,
        action="append",
        default=OF_THE_OUTPUT["encoder_option"],
        metavar="KEY=VALUE",
        help="passed to FFmpeg",
    )
    output.add_argument(
        "--image-format",
        choices=("png", "jpeg"),
        default=OF_THE_OUTPUT["image_format"],
        help="of a folder (%(default)s)",
    )
    output.add_argument(
        "--pixel-format",
        choices=get_args(PixelFormat),
        default=OF_THE_OUTPUT["pixel_format"],
        help="of raw: (%(default)s)",
    )
    output.add_argument("--audio-track", type=values.sound, metavar="N|all", help="which sound of several (1)")
    output.add_argument("--no-audio", action="store_true", help="leave the sound out")
    output.add_argument(
        "--segment", type=values.segment, metavar="TIME|SIZE", help="a new file each 10m, 1h, ... or 500MB, 1GB, ..."
    )
    output.add_argument(
        "--on-resize",
        choices=("scale", "letterbox", "new-file"),
        default=OF_THE_OUTPUT["on_resize"],
        help="pictures of another size than the first (%(default)s)",
    )
    output.add_argument("-y", "--overwrite", action="store_true", help="replace an output that exists")

    run_group = parser.add_argument_group("run")
    run_group.add_argument(
        "--on-corrupt", choices=get_args(OnCorrupt), help="damaged pictures (repair; of files of their own: pass)"
    )
    run_group.add_argument("--log-format", choices=("text", "json"), default="text", help="of messages (%(default)s)")
    run_group.add_argument("-q", "--quiet", action="store_true", help="errors only")
    run_group.add_argument(
        "--json",
        action="store_true",
        help="print a report as JSON at the end; of --candidates one for each, a line each",
    )
    add("--version", action=_Version)


def _add_live_options(add: Callable[..., object]) -> None:
    add(
        "--live",
        action="store_true",
        help="standard input or a named pipe is a camera: drop what is late; JPEGs without time stamps are stamped as "
        "they arrive",
    )
    add("--drop", choices=get_args(Drop), help="which of the pictures that wait for the network are dropped (oldest)")
    add(
        "--max-latency", type=values.period, metavar="TIME", help="a waiting picture older than that is dropped (200ms)"
    )
    add(
        "--stall-timeout",
        type=values.period,
        metavar="TIME",
        help="connect again after that long without a picture (10s)",
    )
    add(
        "--give-up",
        type=values.period,
        metavar="TIME",
        help="end after that long without a picture, exit code 3 (never)",
    )
    add("--on-stall", choices=get_args(OnStall), help="what is written while no picture comes (gap)")
    add("--size", type=values.size, metavar="WxH", help="ask a V4L2 device for it; the true size of an RTSP camera")
    add("--rtsp-transport", choices=get_args(RtspTransport), help="of RTSP cameras (tcp)")
    add("--insecure", action="store_true", help="do not verify the certificate of an https camera")
