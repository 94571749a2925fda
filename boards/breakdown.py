# SPDX-License-Identifier: Apache-2.0
"""Which unit costs what: cells of an ECP5 netlist by place in the hierarchy, for any Amaranth component."""

from __future__ import annotations

import importlib
import inspect
import json
import re
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from amaranth.lib import wiring

from ..arch.array import ArrayConfig
from ..arch.errors import ConfigurationError
from .netlist import SYNTH_OPTIONS, TOP, cell_counts, synthesise_netlist, synthesise_units, to_rtlil
from .timing import estimate

CELLS = ("LUT4", "CCU2C", "TRELLIS_FF", "TRELLIS_DPR16X4", "DP16KD", "MULT18X18D")
PATHS = 60
COMB_WEIGHTS = {"LUT4": 1, "CCU2C": 2, "TRELLIS_DPR16X4": 4}
"""TRELLIS_COMB of a cell in nextpnr. Wide multiplexers (PFUMX, L6MUX21) join the LUTs they sit on and cost none."""


@dataclass(frozen=True)
class UnitCost:
    """Cells of all `instances` of a unit together: its own ones, without or with (`whole`) those of units inside it."""

    unit: str
    instances: int
    own: dict[str, int]
    whole: dict[str, int]


def comb(counts: dict[str, int]) -> int:
    """TRELLIS_COMB that cells come to."""
    return sum(weight * counts.get(cell, 0) for cell, weight in COMB_WEIGHTS.items())


def breakdown(
    component: wiring.Component, *, flat: bool = False, options: Sequence[str] = SYNTH_OPTIONS, cache: bool = True
) -> list[UnitCost]:
    """Costs of every unit, top first, instances numbered `name_0`, `name_1`, … summed as `name_*`.

    Normally every unit is synthesised apart: exact, but nothing is simplified across the borders of units, so that the
    sum is somewhat above the flat design's. With `flat` the cells are those of the flat netlist, which add up to the
    real total, each ascribed to a unit by its name: a guess where logic of several units has become one.
    """
    text = to_rtlil(component)
    paths = _paths(text)
    own = _by_name(text, paths, options, cache) if flat else _by_module(text, options, cache)
    merged: dict[str, tuple[int, Counter[str], Counter[str]]] = {}
    for path in paths:
        inside = [other for other in paths if other == path or other.startswith(f"{path}.") or path == ""]
        whole = sum((own.get(other, Counter()) for other in inside), Counter())
        key = re.sub(r"_\d+(?=\.|$)", "_*", path)
        count, own_sum, whole_sum = merged.get(key, (0, Counter(), Counter()))
        merged[key] = (count + 1, own_sum + own.get(path, Counter()), whole_sum + whole)
    return [UnitCost(key or TOP, count, dict(part), dict(whole)) for key, (count, part, whole) in merged.items()]


def table(costs: Sequence[UnitCost]) -> str:
    """The costs as text: of each unit with all inside it, and TRELLIS_COMB of its own."""
    width = max(len(cost.unit) for cost in costs)
    head = ("COMB", "own", *(cell.removeprefix("TRELLIS_") for cell in CELLS))
    lines = [f"{'unit':{width}}  {'n':>3} " + " ".join(f"{name:>8}" for name in head)]
    for cost in costs:
        cells = (comb(cost.whole), comb(cost.own), *(cost.whole.get(cell, 0) for cell in CELLS))
        lines.append(f"{cost.unit:{width}}  {cost.instances:3} " + " ".join(f"{count:8}" for count in cells))
    return "\n".join(lines)


def _paths(text: str) -> list[str]:
    """Hierarchical paths of all modules of an RTLIL text; the top is the empty path."""
    names = re.findall(r"^module \\(\S+)", text, re.MULTILINE)
    return sorted(name.removeprefix(TOP).removeprefix(".") for name in names)


def _by_module(text: str, options: Sequence[str], cache: bool) -> dict[str, Counter[str]]:
    units = synthesise_units(text, options=options, cache=cache)
    return {name.removeprefix(TOP).removeprefix("."): cell_counts(unit) for name, unit in units.items()}


def _by_name(text: str, paths: Sequence[str], options: Sequence[str], cache: bool) -> dict[str, Counter[str]]:
    known = set(paths)
    counts: dict[str, Counter[str]] = {}
    for name, cell in synthesise_netlist(text, options=options, cache=cache)["cells"].items():
        if cell["type"] != "$scopeinfo":
            unit = next((prefix for prefix in _prefixes(name) if prefix in known), "")
            counts.setdefault(unit, Counter())[cell["type"]] += 1
    return counts


def _prefixes(name: str) -> Iterator[str]:
    while "." in name:
        name = name.rpartition(".")[0]
        yield name


def _component(words: Sequence[str]) -> wiring.Component:
    """`package.module:Class key=value …`; a class that takes a `config` gets an `ArrayConfig` of the values."""
    module, _, name = words[0].partition(":")
    factory = getattr(importlib.import_module(module), name)
    values = {}
    for word in words[1:]:
        key, separator, value = word.partition("=")
        if not separator:
            raise ConfigurationError(f"not key=value: {word!r}")
        values[key] = json.loads(value) if re.fullmatch(r"-?\d+|true|false", value) else value
    if "config" in inspect.signature(factory).parameters:
        return factory(ArrayConfig.model_validate(values))
    return factory(**values)


def main(words: Sequence[str]) -> None:
    """Write the table of `package.module:Class [key=value …]` to standard output.

    `--flat` ascribes the flat netlist's cells, `--paths` gives the slowest paths by estimate instead.
    """
    named = [word for word in words if not word.startswith("--")]
    if not named:
        hint = "python -m trifactor.boards.breakdown package.module:Class lanes=16 [--flat | --paths]"
        raise ConfigurationError("nothing to measure", hint)
    component = _component(named)
    if "--paths" in words:
        text = "\n".join(
            f"{found.delay_ns:6.2f}  {found.end}.{found.port} <- {' <- '.join(reversed(found.path))}"
            for found in estimate(component)[:PATHS]
        )
    else:
        text = table(breakdown(component, flat="--flat" in words))
    sys.stdout.write(text + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
