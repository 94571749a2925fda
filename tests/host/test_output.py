# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from trifactor.host.output import Output, percent, thousands


def test_json_has_stdout_for_itself(capsys: pytest.CaptureFixture[str]) -> None:
    output = Output(as_json=True)
    output.note("working")
    output.line("for a person")
    output.table("title", ("a", "b"), [("c", "1")])
    output.result(
        {"accuracy": np.float64(0.5), "words": np.int64(3), "list": np.arange(2), "path": Path("x"), "none": None}
    )
    stdout, stderr = capsys.readouterr()
    assert json.loads(stdout) == {"accuracy": 0.5, "words": 3, "list": [0, 1], "path": "x", "none": None}
    assert stderr == "working\n"


def test_a_person_gets_no_json(capsys: pytest.CaptureFixture[str]) -> None:
    output = Output()
    output.line("accuracy [97 %]")
    output.result({"accuracy": 0.97})
    assert capsys.readouterr().out == "accuracy [97 %]\n"


def test_tables_are_whole_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    long = "word " * 60
    Output().table("title", ("name", "value"), [("a", long.strip()), ("b", "x[data]")])
    stdout = capsys.readouterr().out
    assert "x[data]" in stdout
    assert long.strip() in stdout
    assert stdout.splitlines()[1] == "title"


def test_progress_in_a_pipe_is_plain_lines(capsys: pytest.CaptureFixture[str]) -> None:
    with Output().progress("learn", 1000) as update:
        for done in range(1001):
            update(done)
        update(1000, note="accuracy 95.0 %", say=True)
    stdout, stderr = capsys.readouterr()
    lines = stderr.splitlines()
    assert stdout == ""
    assert lines[0] == "learn: 0/1000"
    assert lines[-1] == "learn: 1000/1000  accuracy 95.0 %"
    assert len(lines) <= 10
    assert "\x1b" not in stderr


def test_verbosity_lets_more_through(capsys: pytest.CaptureFixture[str]) -> None:
    Output(verbosity=0).note("details", level=1)
    Output(verbosity=1).note("more details", level=1)
    assert capsys.readouterr().err == "more details\n"


def test_numbers_are_readable() -> None:
    assert thousands(1234567) == "1 234 567"
    assert thousands(1234.56, 1) == "1 234.6"
    assert percent(0.9734) == "97.3 %"
