"""Ctrl-C in programs that use the package: what is still read is not closed. Processes of their own get the signals."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.lacking import needs_sigint
from tests.patience import PATIENCE

pytestmark = [
    needs_sigint,
    pytest.mark.skipif(sys.platform == "win32", reason="needs a SIGINT that a process can send itself"),
]

SOURCE = """
import os, signal, sys, threading, time
import mjpeg_restore
from mjpeg_restore.futures import INLINE
from mjpeg_restore.outlets import Outlet
from mjpeg_restore.pipeline import run
from mjpeg_restore.testing import Collect, ListSource, jpegs
from mjpeg_restore.threads import JoinableThread

signal.signal(signal.SIGINT, signal.default_int_handler)

def interrupt(times):
    def send():
        for _ in range(times):
            time.sleep(0.1)
            os.kill(os.getpid(), signal.SIGINT)
    threading.Thread(target=send).start()

class Slow(ListSource):
    reading = closed_early = False
    def __iter__(self):
        self.reading = True
        try:
            yield from super().__iter__()
            time.sleep(1)  # in a read that has not noticed yet that it is to end
        finally:
            self.reading = False
    def close(self):
        self.closed_early |= self.reading

pool = INLINE if sys.argv[1:] == ["pool"] else None
source, restorer = Slow(jpegs(4), live=True, ends=False), mjpeg_restore.Restorer("decode")
"""


def told(script: str, *words: str) -> str:
    """What a script prints, which ends by itself and has nothing to complain of."""
    command = [sys.executable, "-c", SOURCE + script, *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_a_wait_for_a_thread_that_was_interrupted_can_be_repeated() -> None:
    script = """
go = threading.Event()
thread = JoinableThread(go.wait, "worker")
thread.start()
interrupt(1)
try:
    thread.wait()
except KeyboardInterrupt:
    print("interrupted", thread.wait(0.1))
go.set()
print(thread.wait(30))
"""
    assert told(script) == "interrupted False\nTrue\n"


@pytest.mark.parametrize("threads", ["own", "pool"])
def test_two_interrupts_close_no_source_that_a_stream_still_reads(threads: str) -> None:
    script = """
try:
    with mjpeg_restore.Stream(source, restorer, pool=pool) as pictures:
        for picture in pictures:
            if picture.index == 3:
                interrupt(2)
except KeyboardInterrupt:
    print("interrupted", source.closed_early)
"""
    assert told(script, threads) == "interrupted False\n"


@pytest.mark.parametrize("threads", ["own", "pool"])
def test_two_interrupts_end_no_run_whose_source_is_still_read(threads: str) -> None:
    script = """
try:
    run(source, restorer, Collect(), progress=lambda report: interrupt(2) if report.frames == 4 else None, pool=pool)
except KeyboardInterrupt:
    print("interrupted", source.reading)
"""
    assert told(script, threads) == "interrupted False\n"


def test_an_interrupt_at_the_end_of_a_run_waits_for_the_outputs() -> None:
    script = """
class Slow(Collect):
    def close(self):
        interrupt(1)
        time.sleep(1)
        super().close()
file = Slow()
try:
    run(ListSource(jpegs(4)), restorer, [Outlet(file), Outlet(Collect())])
except KeyboardInterrupt:
    print("interrupted", file.ended)
"""
    assert told(script) == "interrupted ['closed']\n"
