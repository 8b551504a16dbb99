"""What clients of a server cost: the script's figures are those of runs that were watched."""

from __future__ import annotations

import json

import pytest

from tests.scripts.running import run


@pytest.mark.network
def test_runs_with_and_without_clients_are_compared() -> None:
    done = run(
        "measure_serving",
        *("--model", "decode", "--size", "160x120", "--pictures", 30, "--pairs", 1, "--clients", 2, "--json"),
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["clients"] == 2
    assert found["plain_fps"] > 0
    assert found["ratio"] == pytest.approx(found["served_fps"] / found["plain_fps"])
