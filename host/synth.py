# SPDX-License-Identifier: Apache-2.0
"""`trifactor synth`: what an array costs on a device, and how fast it runs there."""

from __future__ import annotations

from itertools import count
from typing import Annotated, Any

import typer

from ..arch.array import ArrayConfig
from .config import load_config, overridden
from .options import ConfigFile, Json, Verbose
from .output import Output, thousands


def synth(
    device: Annotated[str, typer.Option(help="Device: 25k, 45k, 85k and the like.")] = "25k",
    lanes: Annotated[int | None, typer.Option(help="Lanes per core: 1, 2, 4, 8 or 16.", show_default="16")] = None,
    cores: Annotated[int | None, typer.Option(help="Cores: 1, 2, 4 or 8.", show_default="1")] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Placement seeds; median and best are over them.")] = 5,
    weight_bits: Annotated[int | None, typer.Option(help="Bits of a stored weight, 4 to 16.", show_default="8")] = None,
    weight_words: Annotated[int | None, typer.Option(help="Weight words per core.", show_default="4096")] = None,
    config: ConfigFile = None,
    json_output: Json = False,
    verbose: Verbose = 0,
) -> None:
    """Synthesise the bare array with Yosys and nextpnr: cells, block RAM, multipliers, fmax over placement seeds."""
    output = Output(as_json=json_output, verbosity=verbose)
    settings = load_config(config)
    given = {"lanes": lanes, "cores": cores, "weight_bits": weight_bits, "weight_words": weight_words}
    array = overridden(settings.array if settings.array_given else ArrayConfig(weight_bits=8), given)
    from ..boards.synth import synthesise

    output.note(f"synth: {array.cores} x {array.lanes} lanes, {array.weight_bits}-bit weights, on {device}", level=1)
    with output.progress("synth", seeds + 1) as update:
        said = count()
        report = synthesise(
            array, device=device, seeds=seeds, progress=lambda text: update(next(said), note=text, say=True)
        )
        update(seeds + 1)
    result: dict[str, Any] = report.to_dict()
    _show(output, result, array)
    output.result({**result, "array": array.model_dump()})


def _show(output: Output, result: dict[str, Any], array: ArrayConfig) -> None:
    rows = [
        ("logic cells (TRELLIS_COMB)", thousands(result["trellis_comb"])),
        ("  per lane, all counted in", thousands(result["trellis_comb"] / array.parallel)),
        ("block RAM (DP16KD)", thousands(result["dp16kd"])),
        ("multipliers (MULT18X18D)", thousands(result["mult18x18d"])),
        ("fmax, median of seeds", f"{result['fmax_mhz_median']:.1f} MHz"),
        ("fmax, best", f"{result['fmax_mhz_best']:.1f} MHz"),
        ("synaptic operations, peak", f"{thousands(result['synaptic_operations_per_second'] / 1e6)} M/s"),
        ("weight updates, peak", f"{thousands(result['updates_per_second'] / 1e6)} M/s"),
    ]
    title = f"{array.cores} x {array.lanes} lanes, {array.weight_bits}-bit weights, on {result['device']}"
    output.table(title, ("", "value"), rows)
