# SPDX-License-Identifier: Apache-2.0
"""A quick way out for the contents of the array's memories: the simulator writes them to files.

Through the front door, the request map, a large network's weights take as many cycles as many of its samples.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..arch.errors import DeviceError

_MEMORIES = (
    ("weights", re.compile(r"array\.core_(\d+)\.weights")),
    ("membranes", re.compile(r"array\.core_(\d+)\.neuron\.membranes")),
    ("traces", re.compile(r"array\.traces[^.]*(\d?)\.memory")),
    ("post_traces", re.compile(r"array\.core_(\d+)\.neuron\.post_traces")),
)
NAMES = tuple(name for name, _ in _MEMORIES)
_MODULE = re.compile(r"^module \\(array\.\S+) .*?^endmodule", re.MULTILINE | re.DOTALL)
_STORAGE = re.compile(r"^  reg \[\d+:0\] storage \[\d+:0\];", re.MULTILINE)


def statements(verilog: str) -> str:
    """Verilog for `harness.v` to include: dumps of the memories that `verilog`, module `array`, has under known names.

    A change of bit `n` of `dump` writes `NAMES[n]`, one file per core; bits of `dumpable` say which memories are there.
    A flattened netlist has none.
    """
    found: dict[str, list[str]] = {name: [] for name in NAMES}
    for module in _MODULE.finditer(verilog):
        path = module.group(1)
        for name, pattern in _MEMORIES:
            place = pattern.fullmatch(path)
            if place and _STORAGE.search(module.group(0)):
                instance = "".join(f"\\{part} ." for part in path.split(".")[1:])
                file = f"{name}_{place.group(1) or 0}.hex"
                found[name].append(f'$writememh("{file}", dut.{instance}storage);')
    mask = sum(1 << bit for bit, name in enumerate(NAMES) if found[name])
    lines = [f"assign dumpable = {mask};", "always @(posedge clk) begin", "dumped <= dump;"]
    for bit, name in enumerate(NAMES):
        lines += [f"if (dump[{bit}] != dumped[{bit}]) begin", *found[name], "end"]
    return "\n".join((*lines, "end")) + "\n"


def contents(path: Path, *, words: int, bits: int) -> npt.NDArray[np.uint8]:
    """The first `words` words of a dumped memory, shape (words, bytes), little end first.

    Raises `DeviceError` on bits that are unknown (X).
    """
    lines = [line for line in path.read_bytes().splitlines() if not line.startswith((b"/", b"@"))][:words]
    digits = -(-bits // 4)
    text = b"".join(line.strip().rjust(digits + digits % 2, b"0") for line in lines)
    try:
        raw = bytes.fromhex(text.decode())
    except ValueError as error:
        raise DeviceError(
            f"array: unknown bits (X) in {path.name}", "a memory was read before it was written"
        ) from error
    return np.frombuffer(raw, np.uint8).reshape(words, -1)[:, ::-1]
