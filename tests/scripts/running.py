"""A script run as its command, in this process: one of its own would import PyTorch anew, which takes seconds."""

from __future__ import annotations

import io
import runpy
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from subprocess import CompletedProcess
from unittest.mock import patch

SCRIPTS = Path(__file__).parents[2] / "scripts"


def run(name: str, *words: object) -> CompletedProcess[str]:
    """What a process would return for `python scripts/NAME.py WORDS`."""
    command = [str(SCRIPTS / f"{name}.py"), *map(str, words)]
    out, err = io.StringIO(), io.StringIO()
    with patch.object(sys, "argv", command), redirect_stdout(out), redirect_stderr(err):
        try:
            runpy.run_path(command[0], run_name="__main__")
            code = 0
        except SystemExit as stopped:
            code = stopped.code
    if isinstance(code, str):
        print(code, file=err)
        code = 1
    return CompletedProcess(command, code or 0, out.getvalue(), err.getvalue())
