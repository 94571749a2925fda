# SPDX-License-Identifier: Apache-2.0
"""From a board and an array to a bitstream that meets its timing, with a report; by content from a cache."""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
import tempfile
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..arch.array import ArrayConfig
from ..arch.errors import ConfigurationError, TimingError, ToolError
from ..arch.link import build_hash
from .build_report import BuildReport, BuildRun, Resource, memory_purposes
from .catalog import Board
from .families import FAMILIES, GOWIN_PARTS
from .gateware import plan
from .netlist import TOP, Netlist, synthesise_netlist
from .nextpnr import UnroutedError, critical_path, fmax, raise_failure
from .tools import YOSYS, cache_load, cache_store, content_key, error_lines

REPORT = "report.json"

Say = Callable[[str], None]


def build(
    board: Board,
    array: ArrayConfig | None = None,
    *,
    folder: Path,
    version: str,
    clock: int | None = None,
    seeds: int = 1,
    progress: Say | None = None,
    cache: bool = True,
    jobs: int = 2,
) -> BuildReport:
    """Build `array` (the board's own by default) for `board` and write bitstream and `report.json` into `folder`.

    `clock` in Hz is what must be met (the board's own by default); of `seeds` placements, `jobs` at a time, the fastest
    is packed. Netlists and placements are kept by content (design, pins, tools, options). `progress` gets a line now
    and then. Raises `ConfigurationError` when the PLL does not make such a clock or `folder` is a file, `ToolError`
    when a program is missing or fails, `TimingError` when the design does not fit, no seed routes, or none meets the
    clock. Then `folder` has no bitstream, not an earlier one either, and a report in the last case alone.
    """
    say = progress or (lambda _: None)
    array = array or board.array
    link = board.link(clock)
    family = FAMILIES[board.family]
    say("elaboration")
    text, pins = plan(board, array, link, version=version)
    bitstream = _emptied(folder, f"{board.name}.{family.suffix}")
    say("synthesis")
    netlist = synthesise_netlist(text, family=board.flow, cache=cache)

    def one(seed: int) -> dict[str, Any] | UnroutedError:
        try:
            found = _placed(board, netlist, pins, link.clock, seed, cache)
        except UnroutedError as error:
            say(f"seed {seed}: {error.message}")
            return error
        say(f"seed {seed}: {found['run'].fmax_mhz:.1f} MHz")
        return found

    with ThreadPoolExecutor(jobs) as pool:
        tried = list(pool.map(one, range(1, seeds + 1)))
    placed = [found for found in tried if not isinstance(found, UnroutedError)]
    if not placed:
        raise next(found for found in tried if isinstance(found, UnroutedError))
    best = max(placed, key=lambda found: found["run"].fmax_mhz)
    used = {name: best["utilization"].get(name, {"used": 0, "available": 0}) for name in family.resources}
    report = BuildReport(
        board=board.name,
        fpga=board.fpga,
        array=array,
        link=link,
        version=version,
        build=f"{build_hash(array, link):016x}",
        tools={tool.program: tool.version() for tool in (YOSYS, family.placer)},
        resources=[
            Resource(name=name, title=title, used=int(used[name]["used"]), available=int(used[name]["available"]))
            for name, title in family.resources.items()
        ],
        memories=memory_purposes(netlist, family.memories),
        runs=[found["run"] for found in placed],
        unrouted=seeds - len(placed),
    )
    if report.met:
        say("bitstream")
        content = _packed(board, best["design"])
        bitstream.write_bytes(content)
        report = report.model_copy(update={"bitstream": bitstream.name, "sha256": hashlib.sha256(content).hexdigest()})
    (folder / REPORT).write_text(report.model_dump_json(indent=1) + "\n", encoding="utf-8")
    if not report.met:
        reached = max(run.fmax_mhz for run in report.runs)
        raise TimingError(
            f"{board.name}: {reached:.1f} MHz is reached, {report.clock_mhz:g} MHz is wanted; the critical path is "
            f"{report.chosen.critical_path.start} to {report.chosen.critical_path.end}",
            f"more --seeds, or --freq {int(reached * 0.98)}; no bitstream was written",
        )
    return report


def _emptied(folder: Path, name: str) -> Path:
    """Where the bitstream will be; that of an earlier build, and its report, are gone."""
    if folder.exists() and not folder.is_dir():
        raise ConfigurationError(f"{folder}: not a folder", "name a folder for --out")
    folder.mkdir(parents=True, exist_ok=True)
    for path in (folder / name, folder / REPORT):
        path.unlink(missing_ok=True)
    return folder / name


def disk_error(error: OSError, folder: Path) -> TimingError:
    """A disk that is full or may not be written to, as a build that failed."""
    where = error.filename or folder
    return TimingError(f"{where}: {error.strerror or error}", "free some space, or set --out and $TRIFACTOR_CACHE")


def _placed(board: Board, netlist: Netlist, pins: str, clock: int, seed: int, cache: bool) -> dict[str, Any]:
    """A placement: its `run`, `utilization` and, packed up, `design`."""
    family = FAMILIES[board.family]
    text = json.dumps({"creator": "trifactor", "modules": {TOP: netlist}})
    options = [*board.device, *family.place, "--freq", f"{clock / 1e6:.4f}", "--seed", str(seed), *board.effort]
    key = content_key(text, pins, family.placer.version(), *options)
    found = cache_load("placed", key) if cache else None
    if found is None:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "top.json").write_text(text)
            (folder / "top.pins").write_text(pins)
            files = ["--json", "top.json", "--report", REPORT, "--timing-allow-fail"]
            try:
                done = family.placer.run([*options, *files], folder, family.seconds)
            except subprocess.TimeoutExpired as error:
                raise UnroutedError(
                    f"place and route gave nothing in {family.seconds // 60} minutes",
                    "more --seeds or a smaller array may do",
                ) from error
            if done.returncode:
                raise_failure(done.stdout + done.stderr, error_lines(done), f"{board.name} ({board.fpga})")
            said = json.loads((folder / REPORT).read_text())
            found = {
                "run": {"seed": seed, "fmax_mhz": round(fmax(said), 2), "critical_path": asdict(critical_path(said))},
                "utilization": said["utilization"],
                "design": base64.b85encode(zlib.compress((folder / "placed").read_bytes())).decode(),
            }
        if cache:
            cache_store("placed", key, found)
    return {**found, "run": BuildRun.model_validate(found["run"])}


def _packed(board: Board, design: str) -> bytes:
    """The bitstream of a placement."""
    family = FAMILIES[board.family]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "placed").write_bytes(zlib.decompress(base64.b85decode(design)))
        words = [word.format(part=GOWIN_PARTS.get(board.fpga, "")) for word in family.pack]
        done = family.packer.run(words, folder)
        if done.returncode:
            raise ToolError(f"{family.packer.program}: {error_lines(done)}", f"pip install -U {family.packer.package}")
        return (folder / "bitstream").read_bytes()
