"""Streams and restorers in processes of their own: programs that end early, and forks."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from cameras.http import HttpCamera
from cameras.pictures import NumberedPictures

from tests.jpeg.pictures import encode
from tests.lacking import needs_fork, needs_openvino

PICTURES = [encode("4:2:0", (64, 48), seed) for seed in range(4)]
DATA = b"".join(PICTURES) + PICTURES[0][:200]


def run(script: str, *words: object) -> str:
    """What a script prints, which may not take long, complain or be ended by a signal."""
    script = "import mjpeg_restore, os, subprocess, sys, threading, time\n" + script
    done = subprocess.run(
        [sys.executable, "-c", script, *map(str, words)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.parametrize("how", ["subprocess.PIPE", "object"])
def test_a_program_ends_in_the_middle_of_a_loop(how: str, tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(DATA)
    script = """
camera = subprocess.Popen(
    [sys.executable, "-c", "import sys, time; sys.stdout.buffer.write(open(sys.argv[1], 'rb').read());"
     "sys.stdout.flush(); sys.stdin.read()", sys.argv[1]],
    stdin=subprocess.PIPE, stdout=subprocess.PIPE)
class Camera:
    def read(self, size): return camera.stdout.read1(size)
pictures = iter(mjpeg_restore.open(camera.stdout if sys.argv[2] == "subprocess.PIPE" else Camera(), "decode"))
for _ in range(4): next(pictures)
time.sleep(0.2)
print("seen", flush=True)
"""
    assert run(script, tmp_path / "data", how) == "seen\n"


FORKED = """
import mjpeg_restore.restorer.loaded as restoring
from mjpeg_restore.jpeg import read
data, grey = (open(name, "rb").read() for name in sys.argv[1:3])
coded = read(data)
restorer = mjpeg_restore.Restorer("stream-lite", sys.argv[3], streams=2, threads=2)
expected = restorer.restore(coded)
mjpeg_restore.restore(data, "stream-lite", device=sys.argv[3])
working = True
def work():
    while working: restorer.restore(coded)
# A lock of TBB that a thread at work holds while the process forks would stay locked in the child.
workers = [threading.Thread(target=work) for _ in range(2 * (sys.argv[3] == "onnxruntime"))]
load, loading, forked = restoring.open_network, threading.Event(), threading.Event()
def load_slowly(*words, **more):
    loading.set()
    forked.wait(30)
    return load(*words, **more)
restoring.open_network = load_slowly
workers.append(threading.Thread(target=restorer.restore, args=(read(grey),)))
for worker in workers: worker.start()
assert loading.wait(30)
restoring.open_network = load
child = os.fork()
if child == 0:
    import signal
    signal.alarm(90)  # it hangs
    for _ in range(2): picture = restorer.restore(coded)
    assert (picture.planes[0] == expected.planes[0]).all()
    mjpeg_restore.restore(data, "stream-lite", device=sys.argv[3])
    sys.exit(7)  # as usual: what was there before the fork is not waited for either
forked.set()
working = False  # the child has the cores then
for worker in workers: worker.join()
_, status = os.waitpid(child, 0)
print(os.waitstatus_to_exitcode(status))
"""


@needs_fork
@pytest.mark.parametrize("device", ["onnxruntime", pytest.param("openvino", marks=needs_openvino), "auto"])
def test_a_restorer_works_in_a_forked_process(device: str, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(PICTURES[0])
    (tmp_path / "grey.jpg").write_bytes(encode("gray", (64, 48)))
    assert run(FORKED, tmp_path / "a.jpg", tmp_path / "grey.jpg", device) == "7\n"


FORKED_WITH_STREAMS = """
from mjpeg_restore.jpeg import read
coded = read(open(sys.argv[1], "rb").read())
restorer, other = (mjpeg_restore.Restorer("stream-lite", "openvino", threads=1) for _ in range(2))
stream = restorer.stream()
stream.restore(coded)
child = os.fork()
if child == 0:
    import signal
    signal.alarm(90)  # it hangs
    if sys.argv[2] == "used": stream.restart()
    (stream if sys.argv[2] == "used" else other).restore(coded)
    sys.exit(7)  # frees what the parent had opened, unless that is kept: its threads are not here
_, status = os.waitpid(child, 0)
print(os.waitstatus_to_exitcode(status))
"""


@needs_fork
@needs_openvino
@pytest.mark.parametrize("stream", ["used", "not used"])
def test_a_forked_process_ends_with_the_streams_of_its_parent(stream: str, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(PICTURES[0])
    assert run(FORKED_WITH_STREAMS, tmp_path / "a.jpg", stream) == "7\n"


FORKED_WITH_A_CAMERA = """
import numpy as np
from concurrent.futures import Future
from mjpeg_restore.jpeg import read
class Camera:
    computed = 1.0
    def __init__(self): self.process = os.getpid()
    def submit(self, inputs, **told):
        assert os.getpid() == self.process, "a GPU's memory does not survive a fork"
        future = Future()
        future.set_result(tuple(np.zeros((8 * one.shape[0], 8 * one.shape[1]), np.uint8) for one in inputs[::2]))
        return future
    def close(self): pass
class Network:
    def camera(self, pool): return Camera()
class Restorer(mjpeg_restore.Restorer):
    def network(self, graph, progress=None): return Network()
coded = [read(open(name, "rb").read()) for name in sys.argv[1:]]
restorer = Restorer("stream-video-lite")
stream = restorer.stream()
stream.restore(coded[0])
restorer.restore(coded[0])
child = os.fork()
if child == 0:
    stream.restore(coded[1])
    restorer.restore(coded[1])
    os._exit(7)
_, status = os.waitpid(child, 0)
print(os.waitstatus_to_exitcode(status))
"""


@needs_fork
def test_a_forked_process_takes_a_state_on_a_device_anew(tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("a.jpg", "b.jpg")]
    for file, data in zip(files, PICTURES, strict=False):
        file.write_bytes(data)
    assert run(FORKED_WITH_A_CAMERA, *files) == "7\n"


FORK_WHILE_READING = """
stream = mjpeg_restore.open(sys.argv[1], "decode")
pictures = iter(stream)
next(pictures)
child = os.fork()
if child == 0:
    import signal
    signal.alarm(90)  # it hangs
"""
"""Opens a source and forks; the child's lines follow, indented."""


@needs_fork
def test_a_stream_cannot_be_read_on_in_a_forked_process(tmp_path: Path) -> None:
    (tmp_path / "a.mjpeg").write_bytes(DATA * 20)
    script = f"""{FORK_WHILE_READING}    try: next(pictures)
    except mjpeg_restore.SourceError as error: print(error)
    stream.close()
    sys.exit()
_, status = os.waitpid(child, 0)
print(status, sum(1 for _ in pictures))
"""
    told, counted = run(script, tmp_path / "a.mjpeg").splitlines()
    assert told == "a source cannot be read on in a forked process: open it there"
    assert counted == "0 79"  # the parent's own threads go on


FORKED_WITH_A_POOL = """
from concurrent.futures import ThreadPoolExecutor
from mjpeg_restore.testing import ListSource, jpegs
live = sys.argv[1] == "live"
source = ListSource(jpegs(8), live=live, ends=False)
pool = ThreadPoolExecutor(1)
stream = mjpeg_restore.Stream(source, mjpeg_restore.Restorer("decode"), pool=pool)
pictures = iter(stream)
next(pictures)
child = os.fork()
if child == 0:
    import signal
    signal.alarm(30)  # it hangs
    try: next(pictures)
    except mjpeg_restore.SourceError as error: print(error, flush=True)
    stream.close()
    os._exit(0)
_, status = os.waitpid(child, 0)
print(status, next(pictures).index > 0)
stream.close()
pool.shutdown()
"""


@needs_fork
@pytest.mark.parametrize("kind", ["live", "recording"])
def test_a_stream_in_a_shared_pool_cannot_be_read_on_in_a_forked_process(kind: str) -> None:
    told, ended = run(FORKED_WITH_A_POOL, kind).splitlines()
    assert told == "a source cannot be read on in a forked process: open it there"
    assert ended == "0 True"


@needs_fork
@pytest.mark.network
def test_a_forked_process_does_not_end_the_connection_of_its_parent() -> None:
    script = f"""{FORK_WHILE_READING}    stream.close()
    sys.exit()
_, status = os.waitpid(child, 0)
for _ in range(20): next(pictures)
print(status, stream.source.status.reconnects)
stream.close()
"""
    with HttpCamera(NumberedPictures((64, 48)), fps=40) as camera:
        assert run(script, camera.url) == "0 0\n"
