"""Processes in which the CUDA driver is `libcuda.c`."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[3]

OUT_OF_MEMORY, NOT_INITIALIZED, NO_DEVICE, ILLEGAL_ADDRESS, DRIVER_MISMATCH = 2, 3, 100, 700, 803
"""Results of the driver's calls."""

COUNTED = ("memory", "pinned", "streams", "events", "graphs", "instances", "contexts", "pushes")


def compile_driver(folder: Path) -> Path:
    """Make the library in a folder, which is then the driver's for who has it in LD_LIBRARY_PATH."""
    library = folder / "libcuda.so.1"
    flags = [
        "-O1",
        "-Wall",
        "-Wextra",
        "-Werror",
        "-shared",
        "-fPIC",
        "-fvisibility=hidden",
        f"-Wl,-soname,{library.name}",
    ]
    source = Path(__file__).with_name("libcuda.c")
    subprocess.run(["cc", *flags, "-o", library, source, "-lpthread", "-ldl"], check=True)
    return folder


def run_cases(file: str, driver: Path) -> None:
    """Run the tests of a file beside this one in a process of their own, which has that driver.

    Raises:
        AssertionError: one of them failed.
    """
    path = Path(__file__).with_name(file)
    options = ["-q", "-p", "tests.runtime.fake_cuda.fixtures", "-p", "no:cacheprovider", "-o", "addopts=", "--tb=short"]
    environment = os.environ | {"LD_LIBRARY_PATH": str(driver), "OMP_NUM_THREADS": "1"}
    environment.pop("CUDA_VISIBLE_DEVICES", None)
    coverage = sys.modules.get("coverage")
    if coverage and coverage.Coverage.current():  # its lines are added to those of this process
        options += ["--cov=mjpeg_restore", "--cov-report=", "--cov-fail-under=0"]
        environment["COVERAGE_FILE"] = str(ROOT / f".coverage.{path.stem}.{os.getpid()}")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, path], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def in_another_process(program: str, *arguments: object, **environment: str) -> str:
    """What a program prints, in a process with the same driver. It must succeed, and complain of nothing."""
    paths = os.pathsep.join([str(ROOT), str(ROOT / "scripts")])
    command = [sys.executable, "-W", "error", "-c", program, *map(str, arguments)]
    given = os.environ | {"PYTHONPATH": paths} | environment
    done = subprocess.run(command, env=given, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


class FakeDriver:
    """The driver of this process, seen from the other side."""

    def __init__(self) -> None:
        self.library = ctypes.CDLL("libcuda.so.1")
        self.library.fake_misuse.restype = ctypes.c_char_p
        self.library.fake_calls.restype = ctypes.c_long
        self.library.fake_memory.restype = ctypes.c_void_p
        self.library.fake_memory.argtypes = [ctypes.c_uint64, ctypes.c_size_t, ctypes.c_int]
        self.library.fake_capacity.argtypes = [ctypes.c_size_t]

    def reset(self) -> None:
        """As in a new process, with one GPU."""
        self.library.fake_reset()

    @property
    def live(self) -> dict[str, int]:
        """What was made and not freed, by kind, without what there is none of."""
        found = (ctypes.c_long * len(COUNTED))()
        self.library.fake_live(found)
        return {name: count for name, count in zip(COUNTED, found, strict=True) if count}

    @property
    def misuse(self) -> list[str]:
        """What was wrong and passed unseen."""
        return self.library.fake_misuse().decode().splitlines()

    @property
    def current(self) -> int:
        """The GPU that is current on this thread; -1 if none is."""
        return self.library.fake_current()

    def note(self, words: str) -> None:
        """Something is wrong."""
        self.library.fake_wrong(words.encode())

    def calls(self, function: str) -> int:
        """How often a function was called."""
        return self.library.fake_calls(function.encode())

    def fail(self, function: str, code: int, nth: int = 1, *, sticky: bool = False) -> None:
        """Have a function fail at its nth call from now on; all that follow do so as well if it is sticky."""
        self.library.fake_failure(function.encode(), ctypes.c_long(nth), code, int(sticky))

    @contextmanager
    def unchanged(self) -> Iterator[None]:
        """Check that nothing is left over afterwards."""
        before = self.live
        yield
        assert self.live == before

    def set_gpus(self, count: int) -> None:
        self.library.fake_gpus(count)

    def set_capacity(self, nbytes: int) -> None:
        """Memory of each GPU."""
        self.library.fake_capacity(nbytes)

    def memory(self, address: int, nbytes: int, gpu: int) -> int:
        """Where memory of a GPU really is.

        Raises:
            AssertionError: it is none, or not so much.
        """
        found = self.library.fake_memory(address, nbytes, gpu)
        assert found, f"{nbytes} bytes at {address:#x} are no memory of the GPU {gpu}"
        return found


DRIVER: FakeDriver | None = None


def driver() -> FakeDriver:
    """That of this process."""
    global DRIVER
    DRIVER = DRIVER or FakeDriver()
    return DRIVER
