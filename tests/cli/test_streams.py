"""Standard streams that are closed, full, or without a reader, as the command meets them in this process."""

from __future__ import annotations

import io
import logging
import os
import sys
from pathlib import Path

import pytest

from mjpeg_restore.cli import streams
from mjpeg_restore.errors import SinkError
from tests.lacking import needs_full_device


def test_a_closed_stream_cannot_be_printed_to() -> None:
    with pytest.raises(SinkError, match="closed"):
        streams.write("report", None)


@needs_full_device
def test_a_full_stream_is_told_and_let_go_of() -> None:
    with open("/dev/full", "w") as full:
        with pytest.raises(SinkError, match="cannot print the result"):
            streams.write("report", full)
        full.flush()  # nothing is left to complain of


def test_a_stream_without_a_reader_is_let_go_of() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as pipe:
        streams.write("report", pipe)
        pipe.flush()


def test_what_cannot_be_flushed_is_let_go_of_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as pipe:
        monkeypatch.setattr(sys, "stdout", pipe)
        monkeypatch.setattr(sys, "stderr", None)
        pipe.write("left over")
        streams.warn("nobody hears this")
        streams.flush()


def test_names_of_any_bytes_can_be_printed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with io.TextIOWrapper(io.BytesIO(), encoding="ascii") as stdout:
        monkeypatch.setattr(sys, "stdout", stdout)
        streams.open_missing()
        streams.write("caf\u00e9", stdout)
        assert stdout.buffer.getvalue() == b"caf\\xe9\n"  # type: ignore[attr-defined]


def test_a_terminal_gets_no_escape_sequences_from_names(capsys: pytest.CaptureFixture[str]) -> None:
    streams.write("two\tlines\n\x1b[31mred\x9b.avi", sys.stdout)
    streams.warn("\x1b[31mred\nagain")
    shown = capsys.readouterr()
    assert shown.out == "two\tlines\n\\x1b[31mred\\x9b.avi\n"
    assert shown.err == "mjpeg-restore: \\x1b[31mred again\n"


def test_a_handler_of_the_roots_does_not_print_the_log_once_more(capsys: pytest.CaptureFixture[str]) -> None:
    handler = logging.StreamHandler(sys.stderr)
    logging.getLogger().addHandler(handler)
    try:
        with streams.logged(logging.INFO):
            logging.getLogger("mjpeg_restore.sources").info("connected")
    finally:
        logging.getLogger().removeHandler(handler)
    assert capsys.readouterr().err.count("connected") == 1
