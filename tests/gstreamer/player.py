"""Plays pipelines with the element, in a process of GStreamer's own Python; the tests read what it prints.

python -m tests.gstreamer.player SCENARIO [ARGUMENT ...]
"""

from __future__ import annotations

import gc
import hashlib
import importlib
import json
import re
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import patch

import numpy as np

from mjpeg_restore.gstreamer.bindings import Gst, GstVideo
from mjpeg_restore.gstreamer.element import register

gi: Any = importlib.import_module("gi")
gi.require_version("GstApp", "1.0")
importlib.import_module("gi.repository.GstApp")

CAMERA = "appsrc name=source is-live=true format=time caps=image/jpeg,framerate=25/1"
SAMPLINGS = {"I420": (2, 2), "Y42B": (2, 1), "Y444": (1, 1), "Y41B": (4, 1), "GRAY8": None}


class Player:
    """A pipeline that ends in an appsink."""

    def __init__(self, description: str) -> None:
        self.pipeline = Gst.parse_launch(f"{description} ! appsink name=sink sync=false max-buffers=1")
        self.sink = self.pipeline.get_by_name("sink")
        self.element = self.pipeline.get_by_name("restorer")
        self.source = self.pipeline.get_by_name("source")
        self._messages: list[tuple[str, str]] = []

    def start(self) -> None:
        self.pipeline.set_state(Gst.State.PLAYING)

    def stop(self) -> None:
        self.pipeline.set_state(Gst.State.NULL)

    def push(self, data: bytes, pts: int | None = None, duration: int | None = None) -> str:
        """Push a buffer into the appsrc "source"; times in milliseconds."""
        buffer = Gst.Buffer.new_wrapped(data) if data else Gst.Buffer.new()
        for name, value in (("pts", pts), ("duration", duration)):
            if value is not None:
                setattr(buffer, name, value * Gst.MSECOND)
        return self.source.push_buffer(buffer).value_nick

    def frames(self, count: int | None = None) -> Iterator[dict[str, Any]]:
        """That many pictures; all that come, until the end or an error, if None."""
        number = 0
        while number != count and not self._has_ended():
            if sample := self.sink.try_pull_sample(Gst.SECOND // 10):
                yield described(sample)
                number += 1

    def _has_ended(self) -> bool:
        self.messages()
        return self.sink.is_eos() or any(kind == "error" for kind, _ in self._messages)

    def messages(self) -> list[tuple[str, str]]:
        """Kind and text of the messages so far."""
        kinds = Gst.MessageType.ERROR | Gst.MessageType.WARNING | Gst.MessageType.INFO
        while message := self.pipeline.get_bus().pop_filtered(kinds):
            kind = message.type.first_value_nick
            self._messages.append((kind, getattr(message, f"parse_{kind}")()[0].message))
        return self._messages


def described(sample: Any) -> dict[str, Any]:
    """A picture in JSON's types: its times in nanoseconds, its caps, and the digest of its planes without padding."""
    buffer, caps = sample.get_buffer(), sample.get_caps()
    info = GstVideo.VideoInfo.new_from_caps(caps)
    layout = GstVideo.buffer_get_video_meta(buffer) or info
    across, down = SAMPLINGS[info.finfo.name] or (1, 1)
    sizes = [(info.height, info.width), *2 * [(-(-info.height // down), -(-info.width // across))]]
    samples = np.frombuffer(buffer.extract_dup(0, buffer.get_size()), np.uint8)
    digest = hashlib.sha1()
    for number in range(info.finfo.n_planes):
        rows, columns = sizes[number]
        stride, offset = layout.stride[number], layout.offset[number]
        digest.update(np.ndarray((rows, columns), np.uint8, samples, offset, (stride, 1)).tobytes())
    return {
        "pts": None if buffer.pts == Gst.CLOCK_TIME_NONE else buffer.pts,
        "duration": None if buffer.duration == Gst.CLOCK_TIME_NONE else buffer.duration,
        "digest": digest.hexdigest(),
        "top_first": bool(buffer.get_flags() & GstVideo.VideoBufferFlags.TFF),
        **dict(re.findall(r"([\w-]+)=\(\w+\)([^,;]+)", caps.to_string())),
    }


# ---- scenarios ----


def play(*descriptions: str) -> dict[str, Any]:
    """Play pipelines at the same time, each to its end."""
    players = [Player(description) for description in descriptions]
    for player in players:
        player.start()
    shown = [[*player.frames()] for player in players]
    messages = [player.messages() for player in players]
    for player in players:
        player.stop()
    return {"frames": shown, "messages": messages}


def seek(description: str, *seconds: str) -> dict[str, Any]:
    """Three pictures from the start, and three after each seek."""
    player = Player(description)
    player.start()
    shown = [[*player.frames(3)]]
    for second in seconds:
        flags = Gst.SeekFlags.FLUSH | Gst.SeekFlags.ACCURATE
        assert player.pipeline.seek_simple(Gst.Format.TIME, flags, int(float(second) * Gst.SECOND))
        shown.append([*player.frames(3)])
    player.stop()
    return {"frames": shown}


def again(description: str) -> dict[str, Any]:
    """Play a pipeline for two pictures, to its end, and once more; whether the element is freed in the end."""
    player = Player(description)
    shown: list[list[dict[str, Any]]] = []
    for count in (2, None, None):
        player.start()
        shown.append([*player.frames(count)])
        player.stop()
    freed: list[bool] = []
    player.element.weak_ref(freed.append, True)
    del player
    gc.collect()
    return {"frames": shown, "freed": freed == [True]}


def pushed(description: str, *packets: str) -> dict[str, Any]:
    """Push packets one by one, as "PTS DURATION FILE" with times in milliseconds or "-", and end the stream."""
    player = Player(f"appsrc name=source format=time caps={description}")
    player.start()
    for packet in packets:
        *times, name = packet.split(" ", 2)
        with open(name, "rb") as file:
            player.push(file.read(), *(None if time == "-" else int(time) for time in times))
    player.source.end_of_stream()
    shown = [*player.frames()]
    messages = player.messages()
    player.stop()
    return {"frames": shown, "messages": messages}


def late(name: str) -> dict[str, Any]:
    """Push a picture every 40 ms of stream time; after the third, a sink says that it is ten pictures behind."""
    player = Player(f"{CAMERA} ! mjpegrestore model=decode")
    player.start()
    with open(name, "rb") as file:
        data = file.read()
    times: list[int] = []
    for number in range(20):
        player.push(data, 40 * number, 40)
        if number == 2:
            times += [frame["pts"] for frame in player.frames(3)]
            event = Gst.Event.new_qos(Gst.QOSType.UNDERFLOW, 1.0, 0, 400 * Gst.MSECOND)
            assert player.sink.get_static_pad("sink").push_event(event)
    player.source.end_of_stream()
    times += [frame["pts"] for frame in player.frames()]
    player.stop()
    return {"milliseconds": [time // Gst.MSECOND for time in times]}


def latency(name: str) -> dict[str, Any]:
    """The latency that a camera's pipeline has, before its pictures and after them; and how many are held back."""
    player = Player(f"{CAMERA} ! mjpegrestore name=restorer")
    player.start()
    with open(name, "rb") as file:
        data = file.read()
    found: list[int] = []
    for number in range(10):
        player.push(data, 40 * number, 40)
        assert [*player.frames(1)], "the picture has to come without the next one"
        query = Gst.Query.new_latency()
        assert player.element.query(query)
        found.append(query.parse_latency()[1])
    player.stop()
    return {"latencies": found}


def changed(name: str) -> dict[str, Any]:
    """Change the properties while a pipeline plays, give it new caps, and start it once more without them."""
    player = Player(
        "appsrc name=source format=time caps=image/jpeg ! mjpegrestore name=restorer model=decode threads=1"
    )
    player.start()
    with open(name, "rb") as file:
        data = file.read()
    player.push(data, 0, 40)
    for text in ("model", "device", "on-corrupt"):
        player.element.set_property(text, None)
    player.source.set_property("caps", Gst.Caps.from_string("image/jpeg,framerate=5/1"))
    player.push(data, 40, 40)
    player.source.end_of_stream()
    shown = [*player.frames()]
    messages = [*player.messages()]
    player.pipeline.set_state(Gst.State.READY)
    player.start()
    wrong = player.messages()[len(messages) :]
    player.stop()
    return {"frames": shown, "messages": messages, "wrong": wrong}


def faulty(name: str) -> dict[str, Any]:
    """Push a picture through an element that has a fault."""
    with patch("mjpeg_restore.gstreamer.pushed.PushedStream.read", side_effect=KeyError("a\nb")):
        return pushed("image/jpeg ! mjpegrestore model=decode", f"0 40 {name}")


def ended(name: str) -> dict[str, Any]:
    """Whether new caps are taken when pictures are under way to a sink that has ended."""
    player = Player(f"{CAMERA} ! mjpegrestore name=restorer model=decode")
    player.start()
    with open(name, "rb") as file:
        player.push(file.read(), 0)
    assert [*player.frames(1)]
    caps = Gst.Event.new_caps(Gst.Caps.from_string("image/jpeg,framerate=5/1"))
    with patch("mjpeg_restore.gstreamer.element.MjpegRestore._finish", return_value=Gst.FlowReturn.EOS):
        taken = player.element.get_static_pad("sink").send_event(caps)
    player.stop()
    return {"taken": taken}


def abandoned(name: str) -> dict[str, Any]:
    """Stop a pipeline while its network is loaded; whether the load came to its end."""
    loading: list[str] = []

    def slowly(*arguments: Any, **_: Any) -> None:
        watch: Callable[[str, float], None] = arguments[5]
        loading.append("begun")
        for _step in range(200):
            watch("loading", 0.5)
            time.sleep(0.05)
        loading.append("ended")

    player = Player("appsrc name=source format=time caps=image/jpeg ! mjpegrestore")
    with patch("mjpeg_restore.restorer.loaded.open_network", slowly), open(name, "rb") as file:
        player.start()
        player.push(file.read(), 0)
        while not loading:
            time.sleep(0.01)
        player.stop()
    return {"loading": loading, "messages": player.messages()}


if __name__ == "__main__":
    register()
    for line in sys.stdin:
        scenario, *arguments = json.loads(line)
        sys.stdout.write(json.dumps(globals()[scenario](*arguments)) + "\n")
        sys.stdout.flush()
