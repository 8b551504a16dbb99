"""A settings file: what it makes, and each mistake by its line and key."""

from __future__ import annotations

import re
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from mjpeg_restore import catalogue
from mjpeg_restore.errors import Hint, SettingsError, SinkError
from mjpeg_restore.fleet import CameraSettings, FleetSettings, NetworkChoice, OutputChoice, RunSettings, load_settings
from mjpeg_restore.fleet.keys import worded
from mjpeg_restore.pipeline import PipelineSettings
from mjpeg_restore.runtime.devices import known_devices
from mjpeg_restore.sinks import OutputSettings, SegmentLimit
from mjpeg_restore.sources import LiveSettings

HOURLY = SegmentLimit(seconds=3600)
VIDEO = OutputSettings(segment=HOURLY, threads=1)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The present folder, so that messages name the file alone."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def load(text: str, **environment: str) -> FleetSettings:
    Path("cameras.toml").write_text(text)
    return load_settings("cameras.toml", environment)


def load_one(text: str, **environment: str) -> CameraSettings:
    (camera,) = load(text, **environment).cameras
    return camera


def mistakes(text: str, **environment: str) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load(text, **environment)
    return [*caught.value.mistakes]


def camera(lines: str) -> str:
    return f'[cameras.door]\nsource = "http://cam/video"\n{lines}\n'


def test_the_shortest_file(folder: Path) -> None:
    assert load(camera('output = "door.mp4"')) == FleetSettings(
        (CameraSettings("door", "http://cam/video", (OutputChoice(f"{folder}/door.mp4", VIDEO),)),), RunSettings()
    )


def test_every_key_is_a_setting(folder: Path) -> None:
    text = """
        [run]
        threads = 3
        engine-cache = "engines"
        log-format = "json"
        serve = ":8080"
        token = "${TOKEN}"
        user = "al"
        password = "${file:password}"
        [cameras.door]
        source = "v4l2:/dev/video0"
        model = "decode"
        device = "onnxruntime"
        fps = 29.97
        live = true
        stall-timeout = 5
        give-up = "1h"
        size = "640x480"
        rtsp-transport = "udp"
        insecure = true
        on-corrupt = "hold"
        drop = "never"
        max-latency = 0.5
        on-stall = "black"
        on-resize = "letterbox"
        codec = "ffv1"
        segment = 600
        [[cameras.door.outputs]]
        to = "door.mkv"
        [[cameras.door.outputs]]
        to = "small.mp4"
        codec = "h264"
        crf = 30
        preset = "fast"
        range = "limited"
        segment = "1GB"
        encoder-options = { g = 10 }
        [[cameras.door.outputs]]
        to = "pictures/"
        image-format = "jpeg"
        crf = 3
        overwrite = true
    """
    Path("password").write_text("s3cret\n")
    settings = load(text, TOKEN="t0ken")
    assert settings.run == RunSettings(3, folder / "engines", "json", ("127.0.0.1", 8080), "t0ken", "al", "s3cret")
    small = OutputSettings(
        codec="h264",
        crf=30,
        preset="fast",
        range="limited",
        options={"g": "10"},
        segment=SegmentLimit(size=10**9),
        threads=1,
    )
    assert settings.cameras == (
        CameraSettings(
            "door",
            "v4l2:/dev/video0",
            (
                OutputChoice(
                    f"{folder}/door.mkv",
                    OutputSettings(codec="ffv1", segment=SegmentLimit(seconds=Fraction(600)), threads=1),
                ),
                OutputChoice(f"{folder}/small.mp4", small),
                OutputChoice(
                    f"{folder}/pictures/", OutputSettings(image_format="jpeg", crf=3, overwrite=True, threads=1)
                ),
            ),
            NetworkChoice("decode", "onnxruntime"),
            Fraction(30000, 1001),
            True,
            LiveSettings(5.0, 3600.0, (640, 480), False, "udp"),
            PipelineSettings(on_corrupt="hold", drop="never", max_latency=0.5, on_stall="black", on_resize="letterbox"),
        ),
    )


def test_defaults_hold_for_each_camera_and_give_way_to_its_own_keys(folder: Path) -> None:
    text = """
        [defaults]
        model = "stream-lite"
        crf = 30
        output = "{camera}.mp4"
        [cameras.door]
        source = "http://cam/1"
        [cameras.yard]
        source = "http://cam/2"
        model = "stream"
        crf = 20
        output = { to = "y.mkv", crf = 10 }
        [cameras.shed]
        source = "http://cam/3"
        output = "shed/"
    """
    door, yard, shed = load(text).cameras
    assert (door.network.model, yard.network.model) == ("stream-lite", "stream")
    assert door.outputs == (OutputChoice(f"{folder}/door.mp4", replace(VIDEO, crf=30)),)
    assert yard.outputs == (OutputChoice(f"{folder}/y.mkv", replace(VIDEO, crf=10)),)
    assert shed.outputs == (OutputChoice(f"{folder}/shed/", OutputSettings(threads=1)),)  # which has no crf


def test_a_video_file_that_may_be_replaced_is_one_file(folder: Path) -> None:
    found = load_one(camera('output = "door.mp4"\noverwrite = true'))
    assert found.outputs[0].settings == OutputSettings(overwrite=True, threads=1)


def test_outputs_that_are_no_files(folder: Path) -> None:
    names = ["rtsp://u:p@h/{camera}", "udp://h:1", "raw:pipe", "v4l2:/dev/video9", "www/a.m3u8"]
    found = load_one(camera(f"outputs = {names}\ncrf = 20"))
    assert [output.name for output in found.outputs] == [
        "rtsp://h/door",
        "udp://h:1",
        f"raw:{folder}/pipe",
        "v4l2:/dev/video9",
        f"{folder}/www/a.m3u8",
    ]
    assert [output.parsed.is_stream for output in found.outputs] == [True, True, False, True, False]
    assert [output.settings.crf for output in found.outputs] == [20, 20, None, None, 20]
    assert [output.settings.overwrite for output in found.outputs] == [False] * 4 + [True]


def test_a_new_file_for_a_new_size_concerns_videos(folder: Path) -> None:
    found = load_one(camera('outputs = ["door.mp4", "door.y4m"]\non-resize = "new-file"'))
    assert [output.settings.new_file_on_resize for output in found.outputs] == [True, False]
    assert found.policies.on_resize == "scale"


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("clips/cam.avi", "{folder}/clips/cam.avi"),
        ("/clips/cam.avi", "/clips/cam.avi"),
        ("shots/*.jpg", "{folder}/shots/*.jpg"),
        ("rtsp://cam/1", "rtsp://cam/1"),
        ("V4L2:/dev/video1", "V4L2:/dev/video1"),
        ("/dev/video0", "/dev/video0"),
        ("file:///clips/cam.avi", "file:///clips/cam.avi"),
        ("http://${USER}:${PASSWORD}@cam/", "http://al:s%2Fcret@cam/"),
    ],
)
def test_sources(folder: Path, source: str, found: str) -> None:
    text = f'[cameras.door]\nsource = "{source}"\noutput = "door.mp4"\n'
    assert load_one(text, USER="al", PASSWORD="s/cret").source == found.format(folder=folder)


def test_paths_begin_in_the_folder_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    path = tmp_path / "deep" / "cameras.toml"
    path.write_text('[cameras.door]\nsource = "cam.avi"\noutput = "../door.mp4"\n')
    (found,) = load_settings(path).cameras
    assert found.source == f"{tmp_path}/deep/cam.avi"
    assert found.outputs[0].target == f"{tmp_path}/door.mp4"


def test_braces_in_an_address_may_be_a_passwords(folder: Path) -> None:
    (output,) = load(camera("output = 'rtsp://u:p{word}@nvr/{camera}'")).cameras[0].outputs
    assert output.target == "rtsp://u:p{word}@nvr/door"


def test_a_camera_that_is_not_enabled_is_left_out(folder: Path) -> None:
    text = camera('output = "door.mp4"') + camera('output = "door.mp4"\nenabled = false').replace("door]", "other]")
    assert [one.name for one in load(text).cameras] == ["door"]


def test_a_camera_may_only_be_watched(folder: Path) -> None:
    assert load_one("run.serve = ':8080'\n" + camera("")).outputs == ()


def test_the_address_to_serve_at_may_come_from_elsewhere(folder: Path) -> None:
    Path("cameras.toml").write_text("run.token = 'x'\n" + camera(""))
    assert load_settings("cameras.toml", {}, serve=("::1", 80)).run == RunSettings(serve=("::1", 80), token="x")


def test_secrets_are_not_shown(folder: Path) -> None:
    found = load(
        "run = { serve = ':8080', user = 'al', password = 's3cret', token = 's3cret' }\n"
        "[cameras.door]\nsource = 'http://al:s3cret@cam/'\noutput = 'rtsp://al:s3cret@h/x'\n"
    )
    assert "s3cret" not in repr(found)
    assert "s3cret" not in found.cameras[0].outputs[0].name


MODELS = ", ".join(catalogue.models())
ONE = 'output = "door.mp4"\n'
"""What makes a camera whole."""

CASES = {
    "an empty file": ("", ["1: cameras: there are none: begin with [cameras.NAME]"]),
    "a table that is none": ("cameras = 5\n", ["1: cameras: is not a table"]),
    "tables in a list": ("[[cameras]]\nsource = 'x'\n", ["1: cameras: is not a table"]),
    "a camera that is none": (
        "[cameras]\ndoor = 'http://cam/'\n",
        [
            "2: cameras.door: is not a table",
        ],
    ),
    "an unknown table": ("[camera.door]\n" + camera(ONE), ["1: camera: unknown key; did you mean cameras?"]),
    "an unknown key": (camera(ONE + "codek = 'h264'"), ["4: cameras.door.codek: unknown key; did you mean codec?"]),
    "an underscore": (camera(ONE + "give_up = 5"), ["4: cameras.door.give_up: unknown key; did you mean give-up?"]),
    "a strange key": (
        "run.colour = 1\n" + camera(ONE),
        ["1: run.colour: unknown key; there are threads, engine-cache, log-format, serve, token, user, password"],
    ),
    "a key of cameras in the defaults": (
        "defaults.source = 'x'\n" + camera(ONE).replace("door", "x"),
        ["1: defaults.source: unknown key; docs/cameras.md lists them"],
    ),
    "a name that no URL can hold": (
        "[cameras.'front door']\nsource = 'http://cam/'\n" + ONE,
        ['1: cameras."front door": a camera\'s name has letters, digits, - and _ only'],
    ),
    "no source": ("[cameras.door]\n" + ONE, ["1: cameras.door.source: is missing: where do the pictures come from?"]),
    "nothing to do": (camera(""), ["1: cameras.door: nothing to do: give it an output, or serve in [run]"]),
    "text without quotes": ("[cameras.door]\nsource = 5\n" + ONE, ["2: cameras.door.source: put it in quotes"]),
    "empty text": ("[cameras.door]\nsource = ''\n" + ONE, ["2: cameras.door.source: is empty"]),
    "a number that is none": (camera(ONE + "crf = 'low'"), ["4: cameras.door.crf: 'low' is not a number from 0"]),
    "a number that is none, either": (camera(ONE + "crf = nan"), ["4: cameras.door.crf: nan is not a number from 0"]),
    "a number without end": (
        camera(ONE + f"crf = {10**400}"),
        [f"4: cameras.door.crf: {10**400} is not a number from 0"],
    ),
    "a date": (
        camera(ONE + "fps = 2026-11-27"),
        ["4: cameras.door.fps: '2026-11-27' is not a frame rate such as 25 or 30000/1001"],
    ),
    "a character that no file has in its name": (
        camera("output = 'a\\u0000.mp4'".replace("'", '"')),
        ["3: cameras.door.output: has a character NUL"],
    ),
    "a flag that is none": (camera(ONE + "live = 'yes'"), ["4: cameras.door.live: 'yes' is not true or false"]),
    "a time that is none": (
        camera(ONE + "give-up = [1]"),
        ["4: cameras.door.give-up: '[1]' is not a time such as 200ms, 10s, 5m, 1h or 1d"],
    ),
    "a time that is a truth": (
        camera(ONE + "give-up = true"),
        ["4: cameras.door.give-up: 'true' is not a time such as 200ms, 10s, 5m, 1h or 1d"],
    ),
    "a rate that is none": (
        camera(ONE + "fps = 'often'"),
        ["4: cameras.door.fps: 'often' is not a frame rate such as 25 or 30000/1001"],
    ),
    "a size that is none": (camera(ONE + "size = 640"), ["4: cameras.door.size: '640' is not a size such as 1280x720"]),
    "threads that are none": ("run.threads = 0\n" + camera(ONE), ["1: run.threads: '0' is not between 1 and 1024"]),
    "a word of several": (
        camera(ONE + "on-corrupt = 'repare'"),
        ["4: cameras.door.on-corrupt: 'repare' is not one of repair, hold, drop, pass; did you mean repair?"],
    ),
    "a segment": (
        camera(ONE + "segment = '1 h'"),
        ["4: cameras.door.segment: '1 h' is not a length such as 10m or 1h, or a size such as 500MB or 1GB"],
    ),
    "options that are no table": (
        camera(ONE + "encoder-options = 'tune=film'"),
        ['4: cameras.door.encoder-options: is not a table such as { tune = "film" }'],
    ),
    "an option of no kind": (
        camera(ONE + "encoder-options.g = true"),
        ["4: cameras.door.encoder-options: g is neither text nor a number"],
    ),
    "an unknown model": (
        camera(ONE + "model = 'strem'"),
        [f"4: cameras.door.model: no model 'strem'; there are {MODELS}"],
    ),
    "an unknown device": (
        camera(ONE + "device = 'gpu'"),
        [f"4: cameras.door.device: no device 'gpu'; there are {known_devices()}"],
    ),
    "an unknown codec": (
        camera(ONE + "codec = 'h265x'"),
        [
            "4: cameras.door.codec: no video encoder is called 'h265x': give h264, hevc, av1, vp9, ffv1, mjpeg or "
            "another by FFmpeg's name"
        ],
    ),
    "a quality out of range": (
        camera("output = { to = 'a.mp4', crf = 60 }"),
        ["3: cameras.door.output.crf: libx264 has no quality of 60: crf is 0 (best) to 51"],
    ),
    "a range that the codec does not have": (
        camera("output = { to = 'a.mkv', range = 'limited' }\ncodec = 'mjpeg'"),
        [
            "3: cameras.door.output.range: range has no effect on mjpeg, which is always full range: leave range out, "
            "or choose another codec"
        ],
    ),
    "a container of no such codec": (
        camera("output = 'a.webm'\ncodec = 'h264'"),
        ["4: cameras.door.codec: webm does not hold libx264: use .mkv, or another codec"],
    ),
    "a container of none": (
        camera("output = '/x/a.wmv'"),
        [
            "3: cameras.door.output: /x/a.wmv: no output has that extension; use one of .mp4 .m4v .mov .mkv .webm "
            ".avi .ts .y4m .m3u8 .png .jpg .jpeg"
        ],
    ),
    "a container that a camera needs to be finished": (
        camera("output = '/x/a.avi'"),
        [
            "3: cameras.door.output: /x/a.avi: an AVI that is not finished cannot be played; record live video to "
            ".mkv or .mp4"
        ],
    ),
    "an output without a target": (
        camera("outputs = [{ codec = 'h264' }]"),
        ["3: cameras.door.outputs[0]: has no to: where is it written?"],
    ),
    "outputs that are no list": (
        camera("outputs = 'a.mp4'"),
        ["3: cameras.door.outputs: is not a list; one alone is called output"],
    ),
    "both kinds of outputs": (
        camera(ONE + "outputs = ['a.mp4']"),
        ["4: cameras.door.outputs: stands beside output: list all of them here"],
    ),
    "an output of a wrong type": (camera("outputs = [\n 5,\n]"), ["4: cameras.door.outputs[0]: put it in quotes"]),
    "a list of no outputs": (
        camera("outputs = []"),
        ["1: cameras.door: nothing to do: give it an output, or serve in [run]"],
    ),
    "a target of a wrong type": (camera("output = { to = 5 }"), ["3: cameras.door.output.to: put it in quotes"]),
    "a server without a port": (
        camera("output = 'tcp://u:s3cret@nvr'"),
        ["3: cameras.door.output: the address tcp://nvr names no port that exists: 1 to 65535"],
    ),
    "one stream of two cameras": (
        camera("output = 'rtsp://nvr/x'") + camera("output = 'rtsp://u:s3cret@NVR:554/x'").replace("door", "yard"),
        ["6: cameras.yard.output: cameras.door writes there, too; {camera} in a name stands for the camera's"],
    ),
    "braces that stand for nothing": (
        camera("output = '{camera}/{cam}.mp4'"),
        ["3: cameras.door.output: {cam} stands for nothing; {camera} is the camera's name"],
    ),
    "standard output": (
        camera("output = '-'"),
        ["3: cameras.door.output: standard output is for mjpeg-restore INPUT -o -"],
    ),
    "a key without effect": (
        camera("output = { to = 'a/', crf = 3 }"),
        ["3: cameras.door.output.crf: has no effect on this output"],
    ),
    "a key of the camera's without effect": (
        camera("output = 'a/'\npreset = 'fast'"),
        ["4: cameras.door.preset: has no effect on what this camera writes"],
    ),
    "one output twice": (
        camera("outputs = ['a.mp4', './a.mp4']"),
        ["3: cameras.door.outputs[1]: another output writes there, too; {camera} in a name stands for the camera's"],
    ),
    "a folder and a pattern of its files": (
        camera("outputs = ['p/', 'q/%d.jpg', { to = 'q', image-format = 'jpeg' }]")
        + camera("outputs = ['./p/%06d.png', 'p/%d.jpg', 'q/a%d.jpg']").replace("door", "yard"),
        [
            "3: cameras.door.outputs[2]: another output writes there, too; {camera} in a name stands for the camera's",
            "6: cameras.yard.outputs[0]: cameras.door writes there, too; {camera} in a name stands for the camera's",
        ],
    ),
    "a folder for pictures of two formats": (
        camera("outputs = ['p', { to = 'p/', image-format = 'jpeg' }]"),
        ["3: cameras.door.outputs[1]: another output writes there, too; {camera} in a name stands for the camera's"],
    ),
    "a source that another camera writes pictures to": (
        "[cameras.yard]\nsource = 'shots/'\noutput = 'b.mp4'\n" + camera("output = 'shots'").replace("door", "gate"),
        ["2: cameras.yard.source: cameras.gate writes there"],
    ),
    "names that no pictures can have": (
        camera("outputs = [\n'/x/a-%d.mp4',\n'/x/c-%d-%d.png',\n'/',\n]"),
        [
            "4: cameras.door.outputs[0]: /x/a-%d.mp4: pictures are .png or .jpg, name the pattern so",
            "5: cameras.door.outputs[1]: /x/c-%d-%d.png: a pattern holds one number, as in %06d.png",
            "6: cameras.door.outputs[2]: / is the root of all folders: name a folder in it",
        ],
    ),
    "a single picture of a camera": (
        camera("output = '/x/b.jpg'"),
        [
            "3: cameras.door.output: /x/b.jpg holds one picture, and a camera sends more: name a folder, "
            "/x/b-%06d.jpg, or a video file"
        ],
    ),
    "a source that another camera writes": (
        "[cameras.yard]\nsource = 'x/../a.avi'\noutput = 'b.mp4'\n"
        + camera("output = './a.avi/'").replace("door", "gate"),
        ["2: cameras.yard.source: cameras.gate writes there"],
    ),
    "a stream that another camera publishes": (
        "[cameras.yard]\nsource = 'rtsp://viewer:s3cret@nvr:554/x'\noutput = 'b.mp4'\n"
        + camera("output = 'rtsp://u:s3cret@NVR:554/x'").replace("door", "gate"),
        ["2: cameras.yard.source: cameras.gate writes there"],
    ),
    "a device that another camera writes": (
        "[cameras.yard]\nsource = 'v4l2:/dev/video9'\noutput = 'b.mp4'\n"
        + camera("output = 'v4l2:/dev/video9'").replace("door", "gate"),
        ["2: cameras.yard.source: cameras.gate writes there"],
    ),
    "an output of two cameras": (
        "defaults.output = 'a.mp4'\n" + camera("") + camera("").replace("door", "yard"),
        ["1: defaults.output: cameras.door writes there, too; {camera} in a name stands for the camera's"],
    ),
    "a mistake in the defaults is told once": (
        "defaults = { output = '{camera}.mp4', codec = 'h265x' }\n" + camera("") + camera("").replace("door", "yard"),
        [
            "1: defaults.codec: no video encoder is called 'h265x': give h264, hevc, av1, vp9, ffv1, mjpeg or another "
            "by FFmpeg's name"
        ],
    ),
    "standard input": (
        "[cameras.door]\nsource = '-'\n" + ONE,
        ["2: cameras.door.source: standard input is for mjpeg-restore - -o OUTPUT"],
    ),
    "a scheme that is no camera's": (
        "[cameras.door]\nsource = 'srt://a:b@cam/'\n" + ONE,
        [
            "2: cameras.door.source: srt://cam/ is no camera's address, which begins with http://, https://, rtsp://, "
            "rtsps:// or v4l2:"
        ],
    ),
    "an output whose address is mistyped": (
        camera("outputs = ['rtsp:/u:s3cret@nvr/x', 'raw:']"),
        [
            "3: cameras.door.outputs[0]: nvr/x is no address without rtsp:// in front: a path of that kind "
            "begins with ./",
            "3: cameras.door.outputs[1]: raw: names nothing to write to: write raw:NAME, or ./raw: for a folder",
        ],
    ),
    "an address of no host": (
        "[cameras.door]\nsource = 'http:///video'\n" + ONE,
        ["2: cameras.door.source: the address http:///video names no host"],
    ),
    "a variable that is not set": (
        "[cameras.door]\nsource = 'http://${USER}@cam/'\n" + ONE,
        ["2: cameras.door.source: the environment has no variable USER"],
    ),
    "a file that is not there makes no address malformed": (
        "run.serve = '${file:/x/a/b}'\n[cameras.door]\nsource = 'http://viewer:${file:/x/a/b}@cam/video'\n"
        "[cameras.yard]\nsource = 'http://cam/video'\noutput = 'rtsp://u:${file:/x/a/b}@nvr/x'\ncodec = 'h264'\n",
        [
            "1: run.serve: /x/a/b cannot be read (No such file or directory)",
            "3: cameras.door.source: /x/a/b cannot be read (No such file or directory)",
            "6: cameras.yard.output: /x/a/b cannot be read (No such file or directory)",
        ],
    ),
    "a reference without an end": (
        "[cameras.door]\nsource = 'http://${FOO/v'\n" + ONE,
        [
            "2: cameras.door.source: a reference has no end: write ${NAME} or ${file:PATH}, and $${ for ${ itself",
        ],
    ),
    "a variable that is empty": (
        "run = { serve = ':80', token = '${EMPTY}' }\n[cameras.door]\nsource = '${EMPTY}'\noutput = '${EMPTY}'\n",
        [
            "1: run.token: is empty: is a variable unset?",
            "3: cameras.door.source: is empty: is a variable unset?",
            "4: cameras.door.output: is empty: is a variable unset?",
        ],
    ),
    "a user that is wrong is a user": (
        "run = { serve = ':80', user = 5, password = 'x' }\n" + camera(ONE),
        ["1: run.user: put it in quotes"],
    ),
    "a token for nothing": ("run.token = 'x'\n" + camera(ONE), ["1: run.token: has no effect without serve"]),
    "an address that is none": (
        "run.serve = 'here'\n" + camera(ONE),
        ["1: run.serve: 'here' is no address: give HOST:PORT, such as 127.0.0.1:8080"],
    ),
    "a user with a colon": (
        "run = { serve = ':80', user = 'a:b', password = 'x' }\n" + camera(ONE),
        ["1: run.user: has a colon, which basic authentication cannot send"],
    ),
    "a user without a password": (
        "run = { serve = ':80', user = 'x' }\n" + camera(ONE),
        ["1: run.user: needs password"],
    ),
}


@pytest.mark.parametrize(("text", "found"), CASES.values(), ids=[*CASES])
def test_mistakes_are_told_by_line_and_key(folder: Path, text: str, found: list[str]) -> None:
    assert mistakes(text, EMPTY="") == [f"cameras.toml:{one}" for one in found]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[run]\nthreads = \n", r"cameras\.toml:2: .*, column 11"),
        ("[run]\nthreads = 1\nthreads = 1\n", r"cameras\.toml:3: the key before this .* a value already, column 12"),
        (
            '[cameras."a b"]\n[cameras.c]\n[cameras."a b"]\n',
            r'cameras\.toml:3: cannot declare cameras\."a b" twice, .*',
        ),
        ("a = { b.c = 1 }\n[a.b]\n", r"cameras\.toml:2: cannot declare a\.b twice, .*"),
        ("a.b = 1\n[a]\n[a.b.c]\n", r"cameras\.toml:.*"),
        ("a = { \"b namespace ('c',)\" = 1, \"b namespace ('c',)\" = 2 }\n", r"cameras\.toml:1: .*"),
        ('[run]\nserve = """a\n\n', r"cameras\.toml:4: .*, at the end of the file"),
    ],
)
def test_what_is_no_toml_is_told_by_its_line(folder: Path, text: str, says: str) -> None:
    (found,) = mistakes(text)
    assert re.fullmatch(says, found)


def test_a_variable_that_is_empty_is_a_mistake(folder: Path) -> None:
    text = "run = { serve = ':80', token = '${EMPTY}' }\n" + camera(ONE)
    assert mistakes(text, EMPTY="") == ["cameras.toml:1: run.token: is empty: is a variable unset?"]


def test_what_a_reference_stands_for_is_not_shown(folder: Path) -> None:
    (folder / "secret").write_text("u:hunter2@cam/\nhunter3")
    (folder / "long").write_text("hunter4 " * 100)
    text = "run.serve = '${file:secret}'\n" + camera(
        "outputs = ['${file:secret}', 'y4m:${file:long}', '${LONG}.mkv/%d.tiff', 'http://${USER}:hunter5@cam/']"
    )
    found = mistakes(text, LONG="hunter6 " * 100, USER="hunter7")
    hidden = "cannot be what its reference stands for, which is not shown: it may be a secret"
    assert found[:4] == [
        f"cameras.toml:1: run.serve: {hidden}",
        *(f"cameras.toml:4: cameras.door.outputs[{number}]: {hidden}" for number in range(3)),
    ]
    assert "no output goes to http://" in found[4] and "hunter" not in found[4]
    assert mistakes("run.serve = '$${x}'\n" + camera(ONE)) == [
        "cameras.toml:1: run.serve: '${x}' is no address: give HOST:PORT, such as 127.0.0.1:8080"
    ]


@pytest.mark.parametrize("source", ["bob:hush@cam/video", "rtsp:/bob:hush@cam/video", "${CAM}"])
def test_a_source_whose_scheme_is_missing_shows_no_password(folder: Path, source: str) -> None:
    text = f"[cameras.door]\nsource = '{source}'\n{ONE}"
    found = mistakes(text, CAM="bob:hush@cam/video")
    assert found == ["cameras.toml:2: cameras.door.source: cam/video is no address without http:// or rtsp:// in front"]
    assert "hush" not in str(mistakes(camera(ONE).replace("http://cam/video", "bob:hush@")))


def test_a_file_that_is_named_like_an_address_is_a_source(folder: Path) -> None:
    (folder / "bob:hush@cam.avi").touch()
    (camera,) = load(f"[cameras.door]\nsource = 'bob:hush@cam.avi'\n{ONE}").cameras
    assert camera.source == f"{folder}/bob:hush@cam.avi"


def test_a_mistake_is_one_line_whatever_a_path_holds(folder: Path) -> None:
    (mistake,) = mistakes(camera(f'output = "a\\n{"b" * 300}.png"'))
    assert "\n" not in mistake and "File name too long" in mistake


def test_all_mistakes_are_told_in_the_order_of_the_file(folder: Path) -> None:
    text = "[run]\nthreads = 0\n[defaults]\nfps = 'x'\n" + camera("output = 'a.wmv'\ncodek = 1")
    assert [one.split(": ")[:2] for one in mistakes(text)] == [
        ["cameras.toml:2", "run.threads"],
        ["cameras.toml:4", "defaults.fps"],
        ["cameras.toml:7", "cameras.door.output"],
        ["cameras.toml:8", "cameras.door.codek"],
    ]


def test_a_mark_in_front_of_the_text_is_no_mistake(folder: Path) -> None:
    assert load("\ufeff" + camera(ONE)).cameras


def test_files_that_cannot_be_read(folder: Path) -> None:
    Path("latin1.toml").write_bytes(b"[run]\n# caf\xe9\n")
    Path("large.toml").write_bytes(b"#" * (1 << 20) + b"\n")
    Path("deep.toml").write_text("a = " + "[" * 5000 + "]" * 5000)
    Path("digits.toml").write_text("a = " + "1" * 5000)
    for name, says in {
        "none.toml": "none.toml: No such file or directory",
        ".": ".: Is a directory",
        "latin1.toml": "latin1.toml:2: not UTF-8: save it as such",
        "large.toml": "large.toml: more than 1048576 bytes are no settings file",
        "deep.toml": "deep.toml: its arrays or tables are nested too deeply",
        "digits.toml": "digits.toml: a number in it has thousands of digits",
    }.items():
        with pytest.raises(SettingsError) as caught:
            load_settings(name)
        assert str(caught.value) == says


@pytest.mark.parametrize(
    ("hint", "advice"),
    [
        (Hint("{overwrite} replaces it", overwrite=True), ": overwrite = true replaces it"),
        (Hint("{verify_tls} accepts any", verify_tls=False), ": insecure = true accepts any"),
        (Hint("{crf} is 0 to 51; try {codec}", crf=None, codec="h264"), ': crf is 0 to 51; try codec = "h264"'),
        (Hint("leave {options} out", options=None), ": leave encoder-options out"),
        (Hint("{rtsp_transport} may work", rtsp_transport="tcp"), ': rtsp-transport = "tcp" may work'),
        (Hint("try fewer {threads}", threads=None), ": try fewer threads"),
        (Hint("{track} restores the preview", track=1), ""),
        (None, ""),
    ],
)
def test_advice_names_keys_of_the_file(hint: Hint | None, advice: str) -> None:
    assert worded(SinkError("this cannot be", hint)) == f"this cannot be{advice}"
