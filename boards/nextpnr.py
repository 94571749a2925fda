# SPDX-License-Identifier: Apache-2.0
"""What nextpnr says of a run: what overflowed, how fast, along which path."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, NoReturn

from ..arch.errors import TimingError

_LOGIC = "lower lanes or cores, or leave out signatures, units and products = 'exact'"
_MEMORY = "lower weight_words, weight_bits, axons, events or groups"
_MULTIPLIERS = "use products = 'shift' and serial_products = 'adders', or lower lanes or cores"

LOWER = {
    "TRELLIS_COMB": _LOGIC,
    "TRELLIS_FF": _LOGIC,
    "TRELLIS_RAMW": "lower lanes or cores",
    "DP16KD": _MEMORY,
    "MULT18X18D": _MULTIPLIERS,
    "ICESTORM_LC": _LOGIC,
    "ICESTORM_RAM": _MEMORY,
    "ICESTORM_SPRAM": "lower weight_words, or lanes",
    "ICESTORM_DSP": _MULTIPLIERS,
    "LUT4": _LOGIC,
    "DFF": _LOGIC,
    "ALU": _LOGIC,
    "RAM16SDP4": "lower lanes or cores",
    "BSRAM": _MEMORY,
    "MULT18X18": _MULTIPLIERS,
    "MULT9X9": _MULTIPLIERS,
}
"""Which setting of `ArrayConfig` lowers the need of a resource."""

_CELL_SUFFIX = re.compile(
    r"(_(TRELLIS_FF|LUT4|CCU2C|PFUMX|L6MUX21|DP16KD|TRELLIS_DPR16X4|MULT18X18D)(_|$).*|\$(CCU2|DPRAM|nextpnr|PACKER).*)"
)


@dataclass(frozen=True, kw_only=True)
class CriticalPath:
    """The longest path from register to register: signals by their place in the hierarchy, times in nanoseconds."""

    start: str
    end: str
    delay_ns: float
    logic_ns: float
    routing_ns: float
    through: tuple[str, ...]


class UnroutedError(TimingError):
    """This placement did not route; another may."""


def raise_failure(log: str, message: str, part: str) -> NoReturn:
    """Name what overflowed, from nextpnr's own table of the packed design: `DP16KD: 60/ 56 107%`.

    Raises `TimingError`, or `UnroutedError` where all of it fits.
    """
    over = []
    for resource, used, available in re.findall(r"^Info:\s+(\w+):\s+(\d+)/\s*(\d+)\s+\d+%", log, re.MULTILINE):
        if int(used) > int(available):
            over.append((resource, f"{resource} {used} > {available}"))
    if over:
        hints = dict.fromkeys(LOWER.get(resource, "") for resource, _ in over)
        hint = "; ".join(hint for hint in hints if hint) or "take a larger device"
        raise TimingError(f"does not fit {part}: {', '.join(text for _, text in over)}", hint)
    raise UnroutedError(f"place and route failed: {message}", "more --seeds or a larger device may do")


def fmax(report: dict[str, Any]) -> float:
    """MHz of the slowest clock of a report."""
    return min(float(clock["achieved"]) for clock in report["fmax"].values())


def critical_path(report: dict[str, Any]) -> CriticalPath:
    """The longest path between clock edges, of nextpnr's list of one path per pair of clock domains."""
    paths = [row["path"] for row in report["critical_paths"] if "<async>" not in (row["from"], row["to"])]
    path = max(paths, key=lambda steps: sum(step["delay"] for step in steps))
    routing = sum(step["delay"] for step in path if step["type"] == "routing")
    total = sum(step["delay"] for step in path)
    nets = [signal_name(step["net"]) for step in path if step["type"] == "routing" and step["delay"]]
    return CriticalPath(
        start=signal_name(path[0]["from"]["cell"]),
        end=signal_name(path[-1]["to"]["cell"]),
        delay_ns=round(total, 2),
        logic_ns=round(total - routing, 2),
        routing_ns=round(routing, 2),
        through=tuple(dict.fromkeys(nets)),
    )


def signal_name(name: str) -> str:
    """The signal that a generated cell or net name was made from: `lane_1.acc` of `lane_1.acc_TRELLIS_FF_Q_18`."""
    return _CELL_SUFFIX.sub("", name) or name
