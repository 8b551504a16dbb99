"""The element: a `GstVideo.VideoDecoder`, which sees to time stamps, segments, QoS, seeking and flushing.

Everything runs on the thread that pushes the buffers, but for the network, which has threads of its own. A camera's
picture leaves with the call that brought it. Of a recording a few pictures are under way, so that all cores are busy.
"""

from __future__ import annotations

import logging
import time
import traceback
from collections import deque
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass, replace
from statistics import median
from typing import Any, get_args

from mjpeg_restore import catalogue
from mjpeg_restore.damage import OnCorrupt
from mjpeg_restore.episodes import LiveEpisodes
from mjpeg_restore.errors import MjpegRestoreError
from mjpeg_restore.frames import Packet
from mjpeg_restore.gstreamer.bindings import GLib, GObject, Gst, GstVideo
from mjpeg_restore.gstreamer.output import CAPS, Format, fitted, write
from mjpeg_restore.gstreamer.pushed import PushedStream, Restored
from mjpeg_restore.gstreamer.upstream import NANOSECOND, orientation, stream_info, upright_tags
from mjpeg_restore.ordered import Halt
from mjpeg_restore.pipeline import PipelineSettings
from mjpeg_restore.restorer import Restorer
from mjpeg_restore.runtime import usable_cores
from mjpeg_restore.sources import SourceInfo

NAME = "mjpegrestore"

_MOST_STREAMS = 4
"""Most pictures of a recording that are restored at the same time, as by the command; two more wait."""

_MEASURED = 9
"""Pictures whose median time counts for the latency; half of them are enough to begin with."""
_HEADROOM = 1.5
"""What is reported as latency, in terms of that median: some pictures take longer."""

_UNTIL_READY = GObject.ParamFlags.READWRITE | GObject.ParamFlags(Gst.PARAM_MUTABLE_READY)
"""Flags of the properties: a change counts when the element starts again."""

Gst.init(None)


@dataclass(frozen=True, slots=True)
class _Settings:
    """The properties when the element starts."""

    threads: int
    model: str
    device: str
    on_corrupt: OnCorrupt

    def __post_init__(self) -> None:
        """Check them.

        Raises:
            MjpegRestoreError, ValueError: one of them is wrong.
        """
        PipelineSettings(on_corrupt=self.on_corrupt)
        Restorer(self.model, self.device, threads=self.threads)


def _template(name: str, direction: Any, caps: str) -> Any:
    return Gst.PadTemplate.new(name, direction, Gst.PadPresence.ALWAYS, Gst.Caps.from_string(caps))


class MjpegRestore(GstVideo.VideoDecoder):
    """Restores JPEGs, one a buffer, from their DCT coefficients."""

    __gtype_name__ = "MjpegRestore"
    __gstmetadata__ = (
        "Motion-JPEG restorer",
        "Codec/Decoder/Video",
        "Decodes Motion-JPEG with its compression artefacts removed",
        "The mjpeg-restore authors",
    )
    __gsttemplates__ = (
        _template("sink", Gst.PadDirection.SINK, "image/jpeg"),
        _template("src", Gst.PadDirection.SRC, CAPS),
    )

    model = GObject.Property(
        type=str,
        default=catalogue.DEFAULT,
        nick="Model",
        blurb="Network; `mjpeg-restore models` lists them",
        flags=_UNTIL_READY,
    )
    device = GObject.Property(
        type=str,
        default="auto",
        nick="Device",
        blurb="Runtime or device of the network: auto, cuda, openvino, ...",
        flags=_UNTIL_READY,
    )
    threads = GObject.Property(
        type=int,
        default=0,
        minimum=0,
        maximum=1024,
        nick="Threads",
        blurb="CPU threads in all; 0: every core",
        flags=_UNTIL_READY,
    )
    on_corrupt = GObject.Property(
        type=str,
        default="repair",
        nick="Damaged pictures",
        blurb=f"What becomes of damaged pictures: {', '.join(get_args(OnCorrupt))}",
        flags=_UNTIL_READY,
    )

    def __init__(self) -> None:
        GstVideo.VideoDecoder.__init__(self)
        self.set_packetized(True)
        self.set_needs_format(True)
        self.get_static_pad("src").add_probe(Gst.PadProbeType.EVENT_DOWNSTREAM, _complete_caps)
        self._halt = Halt()
        self._settings: _Settings | None = None
        self._restorer: Restorer | None = None
        self._stream: PushedStream | None = None
        self._stream_id: str | None = None
        self._pending: deque[tuple[Any, Future[Restored] | None]] = deque()
        """Frames that are not finished, in order; without a future those that are late."""
        self._input: Any = None
        self._layout: Any = None
        self._format: Format | None = None
        self._under_way = 0
        """Most frames that are left under way when a call ends."""
        self._times: deque[float] = deque(maxlen=_MEASURED)
        self._latency = 0.0
        """As it was reported, seconds."""

    # ---- what GstVideo.VideoDecoder calls ----

    def do_change_state(self, transition: Any) -> Any:
        """Check the properties before anything flows.

        On the way back, end also the wait for a network that is made ready, before the pads wait for the thread that
        waits for it.
        """
        if transition == Gst.StateChange.READY_TO_PAUSED:
            try:
                texts: list[Any] = [text or "" for text in (self.model, self.device, self.on_corrupt)]  # or NULL
                self._settings = _Settings(self.threads or usable_cores(), *texts)
            except (MjpegRestoreError, ValueError) as error:
                self._fail(error)
                return Gst.StateChangeReturn.FAILURE
        if transition == Gst.StateChange.PAUSED_TO_READY:
            self._halt.request()
        return GstVideo.VideoDecoder.do_change_state(self, transition)

    def do_start(self) -> bool:
        """Begin anew, in READY."""
        self._halt = Halt()
        self._times.clear()
        self._latency = 0.0
        self._episodes = LiveEpisodes(NAME, self._note)
        return True

    def do_stop(self) -> bool:
        """Free everything: the element may live on in NULL."""
        self._close_stream()
        self._restorer = self._input = self._layout = self._format = None
        return True

    def do_set_format(self, state: Any) -> bool:
        """Take new caps. The stream begins with its first picture, because tags come between the two.

        If downstream takes no more pictures, it is the next buffer that learns why; caps that are refused would make an
        error of what is only the end.
        """
        self.do_drain()
        self._close_stream()
        self._input, self._format = state, None
        return True

    def do_handle_frame(self, frame: Any) -> Any:
        """Begin to restore a picture, and finish those that are done."""
        return self._guarded(self._take, frame)

    def do_drain(self) -> Any:
        """Finish all pictures under way."""
        return self._guarded(self._finish, 0)

    def do_finish(self) -> Any:
        """Finish all pictures under way, at the end of the stream."""
        return self.do_drain()

    def do_flush(self) -> bool:
        """Forget the pictures under way, and what came before: a seek. Tables stay, and so a stream may have them once.

        A buffer that is marked as discontinuous is no reason: a leaky queue marks each one behind a gap, and the
        picture before the gap is the best that there is for repairs.
        """
        self._pending.clear()
        if self._stream:
            self._stream.restart()
        return True

    # ---- pictures ----

    def _guarded(self, step: Callable[..., Any], *arguments: Any) -> Any:
        """The flow after a step; an error is posted."""
        try:
            return step(*arguments)
        except CancelledError:  # by `do_change_state`
            return Gst.FlowReturn.FLUSHING
        except MjpegRestoreError as error:
            return self._fail(error)
        except Exception as error:  # a fault of the program's: PyGObject would print it, and say that all is well
            words = " ".join(f"a fault of the program: {type(error).__name__}: {error}".split())
            self._post(Gst.Message.new_error, words, traceback.format_exc())
            return Gst.FlowReturn.ERROR

    def _take(self, frame: Any) -> Any:
        """Read a picture, and begin to restore it unless it is late."""
        arrived = time.monotonic()
        stream = self._current_stream()
        data = frame.input_buffer.extract_dup(0, frame.input_buffer.get_size())
        job = stream.read(Packet(data, frame.system_frame_number, 0, NANOSECOND, arrived=arrived))
        if job is None:
            return self._release(frame)
        late = self.get_max_decode_time(frame) < 0
        self._episodes.update(replace(job, late=int(late)))
        self._pending.append((frame, None if late else stream.restore(job)))
        return self._finish(self._under_way)

    def _finish(self, under_way: int) -> Any:
        """Finish frames in order, until that many are left which are not restored yet."""
        pending = self._pending
        while pending and (len(pending) > under_way or pending[0][1] is None or pending[0][1].done()):
            frame, restoring = pending.popleft()
            flow = self._show(frame, restoring.result()) if restoring else self.drop_frame(frame)
            if flow != Gst.FlowReturn.OK:
                return flow
        return Gst.FlowReturn.OK

    def complete_caps(self, caps: Any) -> Any:
        """The caps of the output with all that Python cannot set in the base class's `GstVideo.VideoInfo`."""
        return self._format.complete(caps) if self._format else caps

    def _show(self, frame: Any, restored: Restored) -> Any:
        """Push the picture of a frame downstream, if there is one."""
        assert self._stream
        if not self._under_way:
            self._measure(time.monotonic() - restored[0].arrived)
        picture = self._stream.shown(restored)
        if picture is None:
            return self._release(frame)
        picture = fitted(picture)
        if (format := Format.of(picture)) != self._format:
            self._layout, self._format = format.set_on(self, self._input), format
        flow = self.allocate_output_frame(frame)  # negotiates
        if flow != Gst.FlowReturn.OK:
            return flow
        write(picture, frame.output_buffer, self._layout)
        return self.finish_frame(frame)

    def _release(self, frame: Any) -> Any:
        """Give up a frame for which nothing is shown."""
        self.release_frame(frame)
        return Gst.FlowReturn.OK

    def _measure(self, seconds: float) -> None:
        """Report the latency of a camera's pictures anew where they take longer than was reported."""
        self._times.append(seconds)
        usual = median(self._times)
        if len(self._times) >= _MEASURED // 2 and usual > self._latency:
            self._latency = _HEADROOM * usual
            self.set_latency(*2 * (int(self._latency * Gst.SECOND),))

    # ---- streams ----

    def _current_stream(self) -> PushedStream:
        """The stream of the buffer that has come; a new one after new caps, and where upstream began another."""
        pad = self.get_static_pad("sink")
        stream_id = pad.get_stream_id()
        if self._stream is None or stream_id != self._stream_id:
            self._close_stream()
            self._stream, self._stream_id = self._begin(stream_info(NAME, pad)), stream_id
            if orientation(pad):  # or what is downstream would turn the pictures again
                self.merge_tags(upright_tags(), Gst.TagMergeMode.REPLACE)
        return self._stream

    def _begin(self, info: SourceInfo) -> PushedStream:
        settings = self._settings
        assert settings
        streams = 1 if info.live else min(settings.threads, _MOST_STREAMS)
        self._under_way = 0 if info.live else streams + 2
        self._restorer = self._restorer or Restorer(
            settings.model, settings.device, threads=settings.threads, streams=streams
        )
        return PushedStream(self._restorer, info, self._halt, on_corrupt=settings.on_corrupt)

    def _close_stream(self) -> None:
        self._pending.clear()
        if self._stream:
            self._stream.close()
        self._stream = None

    # ---- messages ----

    def _note(self, level: int, event: str, message: str) -> None:
        """Post what is no error: a warning where trouble begins, an information where it is over."""
        new = Gst.Message.new_warning if level >= logging.WARNING else Gst.Message.new_info
        self._post(new, message, event)

    def _fail(self, error: Exception) -> Any:
        """Post an error, which ends the pipeline."""
        self._post(Gst.Message.new_error, str(error), type(error).__name__)
        return Gst.FlowReturn.ERROR

    def _post(self, new: Callable[..., Any], message: str, detail: str) -> None:
        domain = Gst.StreamError.quark()
        self.post_message(new(self, GLib.Error.new_literal(domain, message, Gst.StreamError.DECODE), detail))


def _complete_caps(pad: Any, probe: Any) -> Any:
    """Push complete caps in place of those that the base class pushes. No method: the pad would keep its element."""
    event = probe.get_event()
    if event.type != Gst.EventType.CAPS:
        return Gst.PadProbeReturn.OK
    caps = event.parse_caps()
    complete = pad.get_parent_element().complete_caps(caps)
    if complete.is_equal(caps):
        return Gst.PadProbeReturn.OK
    pad.push_event(Gst.Event.new_caps(complete))
    return Gst.PadProbeReturn.DROP


def register() -> None:
    """Make the element known to this process, for programs in Python that do without GStreamer's plugin loader."""
    Gst.Element.register(None, NAME, Gst.Rank.NONE, MjpegRestore)
