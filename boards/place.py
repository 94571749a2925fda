# SPDX-License-Identifier: Apache-2.0
"""Place and route of any component on an ECP5, inside a shell that stands for its surroundings, over several seeds."""

from __future__ import annotations

import json
import statistics
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from amaranth.lib import wiring

from ..arch.errors import ConfigurationError, ToolError, did_you_mean
from .netlist import SYNTH_OPTIONS, TOP, Netlist, synthesise_netlist, to_rtlil
from .nextpnr import CriticalPath, critical_path, fmax, raise_failure, signal_name
from .shell import enclose
from .tools import NEXTPNR_ECP5, cache_load, cache_store, content_key, error_lines

DEVICES = {"12k": "LFE5U-12F", "25k": "LFE5U-25F", "45k": "LFE5U-45F", "85k": "LFE5U-85F"}
SPEEDS = (6, 7, 8)
PACKAGE = "CABGA381"
ARRIVALS = 40
"""Signals that a run names."""
PLACE_OPTIONS: tuple[str, ...] = ()
"""Options of nextpnr beyond device, seed and report."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """What one seed gave. `arrivals_ns`: when the latest signals reach their registers after the clock, slowest
    first."""

    seed: int
    fmax_mhz: float
    critical_path: CriticalPath
    arrivals_ns: dict[str, float]


@dataclass(frozen=True, kw_only=True)
class Placed:
    """Cells of the component alone, by nextpnr's names, and all seeds."""

    device: str
    speed: int
    cells: dict[str, int]
    runs: tuple[Run, ...]

    @property
    def median(self) -> Run:
        """The run whose fmax is the median, of an even number the lower one."""
        low = statistics.median_low(run.fmax_mhz for run in self.runs)
        return next(run for run in self.runs if run.fmax_mhz == low)


def place(
    component: wiring.Component,
    *,
    device: str = "25k",
    speed: int = 6,
    seeds: int = 5,
    freq_mhz: float = 100.0,
    progress: Callable[[str], None] | None = None,
    cache: bool = True,
    jobs: int = 2,
    synth_options: Sequence[str] = SYNTH_OPTIONS,
    place_options: Sequence[str] = PLACE_OPTIONS,
) -> Placed:
    """Synthesise `component`, then place and route it with seeds 1 … `seeds`, `jobs` at a time.

    `freq_mhz` is what the placer aims at; to miss it is no error. Raises `ConfigurationError` on an unknown device or
    speed, `ToolError` when a program is missing or fails, `TimingError` when the design does not fit or does not route.
    """
    if device not in DEVICES:
        raise ConfigurationError(f"unknown device {device!r}", did_you_mean(device, DEVICES))
    if speed not in SPEEDS:
        raise ConfigurationError(f"unknown speed grade {speed}", "known: 6, 7, 8")
    if seeds < 1:
        raise ConfigurationError(f"seeds must be at least 1, not {seeds}")
    say = progress or (lambda _: None)
    say("synthesis")
    shell = enclose(synthesise_netlist(to_rtlil(component), options=synth_options, cache=cache))
    common = [f"--{device}", "--package", PACKAGE, "--speed", str(speed), "--freq", str(freq_mhz)]

    def one(seed: int) -> dict[str, Any]:
        options = [*common, "--seed", str(seed), "--timing-allow-fail", "--detailed-timing-report", *place_options]
        report = _report(shell.netlist, options, cache)
        say(f"seed {seed}: {fmax(report):.1f} MHz")
        return report

    with ThreadPoolExecutor(jobs) as pool:
        reports = list(pool.map(one, range(1, seeds + 1)))
    cells = {name: int(row["used"]) for name, row in reports[0]["utilization"].items()}
    cells["TRELLIS_COMB"] -= shell.luts
    cells["TRELLIS_FF"] -= shell.flip_flops
    runs = tuple(
        Run(
            seed=seed,
            fmax_mhz=round(fmax(report), 2),
            critical_path=critical_path(report),
            arrivals_ns=dict(list(report["arrivals"].items())[:ARRIVALS]),
        )
        for seed, report in enumerate(reports, start=1)
    )
    return Placed(device=device, speed=speed, cells=cells, runs=runs)


def _report(netlist: Netlist, options: Sequence[str], cache: bool) -> dict[str, Any]:
    """nextpnr's JSON report, its times of all nets condensed to `arrivals`."""
    text = json.dumps({"creator": "trifactor", "modules": {TOP: netlist}})
    key = content_key(text, NEXTPNR_ECP5.version(), *options)
    if cache and (found := cache_load("place", key)) is not None:
        return dict(found)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "top.json").write_text(text)
        done = NEXTPNR_ECP5.run([*options, "--json", "top.json", "--report", "report.json"], folder)
        if done.returncode:
            raise_failure(done.stdout + done.stderr, error_lines(done), DEVICES[options[0].removeprefix("--")])
        report: dict[str, Any] = json.loads((folder / "report.json").read_text())
    if not report["fmax"]:
        raise ToolError("nextpnr reports no clock", "the component has no path from register to register")
    report["arrivals"] = _arrivals(report.pop("detailed_net_timings"))
    if cache:
        cache_store("place", key, report)
    return report


def _arrivals(nets: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Latest arrival at the registers of each signal, from any register, slowest signal first."""
    latest: dict[str, float] = {}
    for net in nets:
        for end in net["endpoints"]:
            if "<async>" not in (net["event"], end["event"]):
                name = signal_name(end["cell"])
                latest[name] = max(latest.get(name, 0.0), round(end["delay"][1], 2))
    return dict(sorted(latest.items(), key=lambda item: -item[1]))
