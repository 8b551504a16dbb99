"""`VideoCapture`: as OpenCV's class, which is the oracle where it is installed."""

from __future__ import annotations

import importlib
import io
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from cameras.faults import Fault
from cameras.http import HttpCamera
from cameras.pictures import NumberedPictures, read_number
from numpy.typing import NDArray

import mjpeg_restore
from mjpeg_restore import LiveSettings, NotMjpeg, Restorer, SourceError, SourceNotFound, UnknownModel, VideoCapture
from mjpeg_restore import capture as cap
from mjpeg_restore.playback import Opening, Playback
from mjpeg_restore.sources.live import v4l2
from tests.lacking import needs_linux, needs_named_pipes, needs_opencv
from tests.patience import until
from tests.sources.clips import mux_packet

DECODE = Restorer("decode")
LIMIT = 30.0
SIZE = (160, 112)
PICTURES = NumberedPictures(SIZE)
JPEGS = [PICTURES.jpeg(number) for number in range(12)]
MJPG = float(int.from_bytes(b"MJPG", "little"))


def opened(source: Any, **options: Any) -> VideoCapture:
    capture = VideoCapture(source, model=DECODE, **options)
    assert capture.isOpened(), capture.error
    return capture


def number(image: NDArray[np.uint8] | None) -> int | None:
    return None if image is None else read_number(image[..., 1])


def write(path: Path) -> str:
    """Twelve numbered pictures: at 30 a second in a container, of which Matroska rounds to milliseconds."""
    if path.suffix == ".mjpeg":
        path.write_bytes(b"".join(JPEGS))
        return str(path)
    with av.open(str(path), "w") as container:
        stream = container.add_mux_stream("mjpeg", rate=30, width=SIZE[0], height=SIZE[1])
        stream.time_base = Fraction(1, 30)
        for index, data in enumerate(JPEGS):
            mux_packet(container, stream, data, index, Fraction(1, 30), duration=1)
    return str(path)


@pytest.fixture(params=["mjpeg", "avi", "mkv", "mp4"])
def clip(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return write(tmp_path / f"clip.{request.param}")


@pytest.fixture(params=["avi", "mkv", "mp4"])
def container(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """OpenCV does not seek in raw streams."""
    return write(tmp_path / f"clip.{request.param}")


def test_every_picture_is_read_in_bgr(clip: str) -> None:
    capture = opened(clip)
    images = [*capture]
    assert [number(image) for image in images] == [*range(12)]
    assert {(image.shape, image.dtype.name) for image in images} == {((112, 160, 3), "uint8")}
    np.testing.assert_array_equal(images[3], [*mjpeg_restore.open(clip, DECODE)][3].to_ndarray("bgr"))
    assert capture.read() == (False, None)
    assert capture.isOpened()
    assert capture.error is None


def test_properties_are_known_before_the_first_picture_is_read(clip: str) -> None:
    with opened(clip) as capture:
        known = {
            cap.CAP_PROP_FRAME_WIDTH: 160,
            cap.CAP_PROP_FRAME_HEIGHT: 112,
            cap.CAP_PROP_FPS: 25 if clip.endswith("mjpeg") else 30,
            cap.CAP_PROP_FRAME_COUNT: 12,
            cap.CAP_PROP_FOURCC: MJPG,
            cap.CAP_PROP_POS_FRAMES: 0,
            cap.CAP_PROP_POS_MSEC: 0,
            cap.CAP_PROP_BUFFERSIZE: 0,
            12345: 0,
        }
        assert {name: capture.get(name) for name in known} == known
        assert all(type(capture.get(name)) is float for name in known)
        assert number(capture.read()[1]) == 0  # the picture that was looked at is not lost
    assert not capture.isOpened()
    assert capture.get(cap.CAP_PROP_FRAME_WIDTH) == 0.0


@needs_opencv
def test_it_does_what_opencv_does(container: str) -> None:
    """Reads, positions, and what `get` says of them; a position after a seek counts once a picture is read."""
    cv2 = importlib.import_module("cv2")
    theirs, ours = cv2.VideoCapture(container), opened(container)
    positions = (cap.CAP_PROP_POS_MSEC, cap.CAP_PROP_POS_FRAMES)
    described = (
        cap.CAP_PROP_FRAME_WIDTH,
        cap.CAP_PROP_FRAME_HEIGHT,
        cap.CAP_PROP_FPS,
        cap.CAP_PROP_FRAME_COUNT,
        cap.CAP_PROP_FOURCC,
    )
    for name in described:
        assert ours.get(name) == theirs.get(name)
    seeks = [None, None, (1, 7), None, (0, 100.0), (1, 0), None, (1, 11), (0, 0.0), (1, 4.0)]
    for seek in seeks:
        if seek:
            assert ours.set(*seek) == theirs.set(*seek) == True  # noqa: E712  it is no bool in every release
        (found, image), (expected, other) = ours.read(), theirs.read()
        assert found == expected
        assert number(image) == number(other)
        for name in positions:
            assert ours.get(name) == pytest.approx(theirs.get(name))
        assert image is not None
        assert np.abs(image.astype(int) - other).max() < 48  # its chroma is repeated, ours is interpolated
    theirs.release()
    ours.release()


@needs_opencv
def test_the_numbers_are_opencvs() -> None:
    cv2 = importlib.import_module("cv2")
    names = [name for name in vars(cap) if name.startswith("CAP_PROP_")]
    assert len(names) == 10
    assert {name: getattr(cap, name) for name in names} == {name: getattr(cv2, name) for name in names}


def test_a_seek_finds_every_picture(clip: str) -> None:
    with opened(clip) as capture:
        for wanted in (11, 5, 6, 0, 1, 10):
            assert capture.set(cap.CAP_PROP_POS_FRAMES, wanted)
            assert capture.get(cap.CAP_PROP_POS_FRAMES) == wanted
            assert capture.get(cap.CAP_PROP_FRAME_COUNT) == 12
            assert number(capture.read()[1]) == wanted
            time = capture.get(cap.CAP_PROP_POS_MSEC)
            assert capture.set(cap.CAP_PROP_POS_MSEC, time)
            assert number(capture.read()[1]) == wanted
            assert capture.get(cap.CAP_PROP_POS_MSEC) == time


def test_a_seek_behind_the_end_changes_nothing(clip: str) -> None:
    with opened(clip) as capture:
        assert number(capture.read()[1]) == 0
        assert not capture.set(cap.CAP_PROP_POS_FRAMES, 12)
        assert number(capture.read()[1]) == 1


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 1e300])
def test_what_is_no_number_is_no_value_of_a_property(clip: str, value: float) -> None:
    with opened(clip, params=[cap.CAP_PROP_FRAME_WIDTH, value, cap.CAP_PROP_READ_TIMEOUT_MSEC, value]) as capture:
        assert number(capture.read()[1]) == 0
        assert not capture.set(cap.CAP_PROP_POS_FRAMES, value)
        assert not capture.set(cap.CAP_PROP_POS_MSEC, value)
        assert number(capture.read()[1]) == 1


@pytest.mark.parametrize("kind", [np.float32, np.int64, int])
def test_properties_take_numbers_of_every_kind(clip: str, kind: Callable[[int], Any]) -> None:
    with opened(clip, params=[cap.CAP_PROP_FRAME_WIDTH, kind(64)]) as capture:
        assert capture.set(cap.CAP_PROP_POS_MSEC, kind(200))
        assert number(capture.read()[1]) == capture.get(cap.CAP_PROP_FPS) / 5
        assert capture.set(cap.CAP_PROP_POS_FRAMES, kind(1))
        assert number(capture.read()[1]) == 1
    with opened(b"".join(JPEGS), params=[cap.CAP_PROP_FPS, kind(10)]) as capture:
        assert capture.get(cap.CAP_PROP_FPS) == 10


def test_a_recording_is_played_again_from_its_beginning(clip: str) -> None:
    with opened(clip) as capture:
        for _ in range(2):
            assert len([*capture]) == 12
            assert capture.set(cap.CAP_PROP_POS_FRAMES, 0)


def test_bytes_and_file_objects() -> None:
    data = b"".join(JPEGS)
    with opened(data) as capture:
        assert capture.set(cap.CAP_PROP_POS_FRAMES, 4)
        assert number(capture.read()[1]) == 4
    file = io.BytesIO(data)
    with opened(file) as capture:
        assert not capture.set(cap.CAP_PROP_POS_FRAMES, 4)
        assert number(capture.read()[1]) == 0
    assert not file.closed


def test_grab_takes_a_picture_and_retrieve_gives_it() -> None:
    with opened(b"".join(JPEGS)) as capture:
        assert capture.retrieve() == (False, None)
        for _ in range(3):
            assert capture.grab()
        assert [number(capture.retrieve()[1]) for _ in range(2)] == [2, 2]
        buffer = np.zeros((112, 160, 3), np.uint8)
        found, image = capture.read(buffer)
        assert found and image is buffer
        assert number(buffer) == 3
        assert number(capture.read(np.zeros((2, 2, 3), np.uint8))[1]) == 4
        while capture.grab():
            pass
        assert capture.retrieve() == (False, None)
        assert capture.get(cap.CAP_PROP_POS_FRAMES) == 12


def test_what_cannot_be_opened_is_not_open(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    missing, text = tmp_path / "none.avi", tmp_path / "notes.txt"
    text.write_text("nothing to see here\n" * 50)
    with caplog.at_level(logging.ERROR, "mjpeg_restore"):
        for path, kind in ((missing, SourceNotFound), (text, NotMjpeg)):
            capture = VideoCapture(str(path), model=DECODE)
            assert not capture.isOpened()
            assert isinstance(capture.error, kind)
            assert capture.read() == (False, None)
            assert not capture.set(cap.CAP_PROP_POS_FRAMES, 0)
            capture.release()
    assert [record.message for record in caplog.records] == [f"{missing}: no such file or folder", str(capture.error)]


def test_a_closed_file_is_not_open() -> None:
    file = io.BytesIO(JPEGS[0])
    file.close()
    capture = VideoCapture(file, model=DECODE)
    assert not capture.isOpened()
    assert isinstance(capture.error, SourceError)


def test_errors_are_raised_where_that_is_asked_for(tmp_path: Path) -> None:
    capture = VideoCapture(model=DECODE)
    assert not capture.getExceptionMode()
    capture.setExceptionMode(True)
    assert capture.getExceptionMode()
    with pytest.raises(SourceNotFound, match="no such file"):
        capture.open(tmp_path / "none.avi")
    assert capture.open(b"".join(JPEGS))
    assert capture.error is None
    assert len([*capture]) == 12  # the end is no error


def test_threads_that_share_a_recording_get_each_picture_once(clip: str) -> None:
    capture, start, found = opened(clip), threading.Barrier(4), list[int | None]()

    def read_all() -> None:
        start.wait(LIMIT)
        found.extend(number(image) for image in capture)

    threads = [threading.Thread(target=read_all) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT)
    assert sorted(found, key=str) == sorted(range(12), key=str)
    capture.release()


def test_a_property_without_a_value_is_an_error() -> None:
    params = [cap.CAP_PROP_FPS, 25, cap.CAP_PROP_OPEN_TIMEOUT_MSEC]
    with opened(JPEGS[0]) as capture, pytest.raises(ValueError, match="params has 3 numbers"):
        capture.open(JPEGS[1], 0, params)


def test_a_model_that_there_is_not_is_an_error_at_once() -> None:
    with pytest.raises(UnknownModel):
        VideoCapture(model="none")


def test_another_source_takes_the_place_of_the_first(clip: str) -> None:
    with opened(clip) as capture:
        capture.read()
        assert capture.open(JPEGS[5])
        assert capture.get(cap.CAP_PROP_POS_FRAMES) == 0
        assert [number(image) for image in capture] == [5]
        assert not capture.open("none.avi")
        assert not capture.isOpened()


@needs_named_pipes
def test_a_pipe_is_read_once(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writing = threading.Thread(target=lambda: pipe.write_bytes(b"".join(JPEGS)))
    writing.start()
    with opened(pipe) as capture:
        assert not capture.set(cap.CAP_PROP_POS_FRAMES, 0)
        assert len([*capture]) == 12
    writing.join(LIMIT)


def detector_loop(make: Any, path: str, stride: int, start: int, end: int) -> list[int | None]:
    """The loop of programs that sample a recording: properties, a seek, and `grab` for what is passed over."""
    capture = make(path)
    if not capture.isOpened():
        raise OSError(path)
    total = int(capture.get(cap.CAP_PROP_FRAME_COUNT))
    assert 0 <= start < end <= total
    capture.set(cap.CAP_PROP_POS_FRAMES, start)
    found: list[int | None] = []
    position = start
    while True:
        success, image = capture.read()
        if not success or position >= end:
            break
        found.append(number(image))
        for _ in range(stride - 1):
            if not capture.grab():
                break
        position += stride
    capture.release()
    return found


@needs_opencv
def test_a_loop_that_was_written_for_opencv(container: str) -> None:
    cv2 = importlib.import_module("cv2")
    for make in (cv2.VideoCapture, lambda path: VideoCapture(path, model=DECODE)):
        assert detector_loop(make, container, stride=3, start=2, end=11) == [2, 5, 8]


# ---- cameras ----


@pytest.mark.network
def test_a_slow_reader_of_a_camera_gets_recent_pictures() -> None:
    with HttpCamera(PICTURES, fps=50) as camera, opened(camera.url) as capture:
        assert capture.get(cap.CAP_PROP_FRAME_WIDTH) == 160
        assert (capture.get(cap.CAP_PROP_FRAME_COUNT), capture.get(cap.CAP_PROP_BUFFERSIZE)) == (0, 2)
        assert not capture.set(cap.CAP_PROP_POS_FRAMES, 0)
        before = 0
        for _ in range(3):
            until(lambda due=before + 50: camera.sent[-1].number >= due)
            taken = [number(capture.read()[1]) or 0 for _ in range(2)]  # where the machine stalls, the first may be old
            assert max(taken) > before + 25
            before = max(taken)


@pytest.mark.network
def test_a_camera_that_breaks_off_is_connected_again() -> None:
    with HttpCamera(PICTURES, fps=100, faults=[Fault("break", 10)]) as camera, opened(camera.url) as capture:
        numbers = [number(capture.read()[1]) for _ in range(30)]
    assert camera.connections == 2
    assert None not in numbers
    assert capture.error is None


@pytest.mark.network
def test_a_camera_that_is_not_there_is_given_up() -> None:
    with HttpCamera(PICTURES) as camera:
        url = camera.url
    params = [cap.CAP_PROP_OPEN_TIMEOUT_MSEC, 200, cap.CAP_PROP_READ_TIMEOUT_MSEC, 300, cap.CAP_PROP_FPS, -1]
    capture = VideoCapture(url, 1900, params, model=DECODE)
    assert not capture.isOpened()
    assert "nothing came for 0.3 s, gave up" in str(capture.error)


@pytest.mark.network
def test_a_camera_that_is_gone_is_the_end() -> None:
    faults = [Fault("unreachable", 5, seconds=60)]
    with (
        HttpCamera(PICTURES, fps=100, faults=faults) as camera,
        opened(camera.url, camera=LiveSettings(give_up=2)) as capture,
    ):
        images = [*capture]
        assert images
        assert capture.read() == (False, None)


@pytest.mark.network
def test_release_ends_a_read_that_waits() -> None:
    with (
        HttpCamera(PICTURES, fps=100, faults=[Fault("stall", 5, seconds=60)]) as camera,
        opened(camera.url) as capture,
    ):
        releasing = threading.Timer(0.5, capture.release)
        releasing.start()
        until = time.monotonic() + LIMIT
        while capture.read()[0]:
            assert time.monotonic() < until
        releasing.join(LIMIT)
        assert time.monotonic() < until
    assert not capture.isOpened()
    assert not [thread for thread in threading.enumerate() if "feeder" in thread.name]


def test_release_ends_an_open_that_waits(clip: str, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, answers = threading.Event(), threading.Event()
    start, late = Opening.start, list[Playback]()

    def slow(self: Opening) -> Playback:
        begun.set()
        answers.wait(LIMIT)
        late.append(start(self))
        return late[0]

    monkeypatch.setattr(Opening, "start", slow)
    capture = VideoCapture(model=DECODE)
    opening = threading.Thread(target=capture.open, args=(clip,))
    opening.start()
    assert begun.wait(LIMIT)
    capture.release()
    opening.join(LIMIT)
    assert not (opening.is_alive() or answers.is_set())
    answers.set()
    until(lambda: late != [])
    until(lambda: late[0].next() is None)
    assert not capture.isOpened() and capture.error is None


# ---- devices ----


class FakeDevice:
    """In place of the connection to a V4L2 device: it has one size of its own, and another one."""

    sizes = ((160, 112), (320, 224))

    def __init__(self) -> None:
        self.asked: list[tuple[str, tuple[int, int] | None, Fraction | None]] = []

    def __call__(self, device: str, size: tuple[int, int] | None = None, fps: Fraction | None = None) -> Any:
        self.asked.append((device, size, fps))
        return FakeConnection(size or self.sizes[0], refused=size is not None and size not in self.sizes)


class FakeConnection:
    def __init__(self, size: tuple[int, int], *, refused: bool) -> None:
        self._size, self._refused = size, refused
        self._interrupted = threading.Event()

    def pictures(self) -> Iterator[Any]:
        from mjpeg_restore.sources.live.connection import Capture

        if self._refused:
            raise SourceError("/dev/video3 has no Motion-JPEG of that size")
        data = NumberedPictures(self._size).jpeg(1)
        while not self._interrupted.wait(0.01):
            yield Capture(data, time.monotonic())

    def interrupt(self) -> None:
        self._interrupted.set()


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> FakeDevice:
    fake = FakeDevice()
    monkeypatch.setattr(v4l2, "V4l2Connection", fake)
    return fake


@needs_linux
def test_a_device_is_asked_for_another_size_and_rate(device: FakeDevice) -> None:
    with opened("v4l2:/dev/video3") as capture:
        assert (capture.get(3), capture.get(4)) == (160, 112)
        assert capture.set(cap.CAP_PROP_FOURCC, MJPG)
        assert not capture.set(cap.CAP_PROP_FOURCC, int.from_bytes(b"YUYV", "little"))
        assert capture.set(cap.CAP_PROP_FRAME_WIDTH, 320)
        assert capture.get(3) == 160  # the height is still to come
        assert capture.set(cap.CAP_PROP_FRAME_HEIGHT, 224)
        assert capture.set(cap.CAP_PROP_FPS, 29.97)
        assert (capture.get(3), capture.get(4), capture.get(5)) == (320, 224, pytest.approx(30000 / 1001))
        image = capture.read()[1]
        assert image is not None and image.shape == (224, 320, 3)
    assert device.asked == [
        ("/dev/video3", None, None),
        ("/dev/video3", (320, 224), Fraction(30000, 1001)),
    ]


@needs_linux
def test_a_device_keeps_its_size_where_it_lacks_the_one_asked_for(
    device: FakeDevice, caplog: pytest.LogCaptureFixture
) -> None:
    with opened("v4l2:/dev/video3") as capture:
        capture.set(cap.CAP_PROP_FRAME_WIDTH, 640)
        capture.set(cap.CAP_PROP_FRAME_HEIGHT, 480)
        image = capture.read()[1]
        assert image is not None and image.shape == (112, 160, 3)
        assert capture.read()[0]
    assert "/dev/video3 has no Motion-JPEG of that size; it keeps its own" in caplog.messages
    assert len(device.asked) == 3


@needs_linux
def test_a_number_is_a_device() -> None:
    capture = VideoCapture(987, model=DECODE)
    assert str(capture.error) == "/dev/video987: no such file or folder"
