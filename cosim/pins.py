# SPDX-License-Identifier: Apache-2.0
"""The top level of a bitstream in a simulator, spoken to through its serial pins by a UART that is not ours."""

from __future__ import annotations

import os
import pickle
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from ..arch.array import ArrayConfig
from ..arch.device import DeviceState, IntArray
from ..arch.errors import DeviceError
from ..arch.link import LinkConfig
from ..arch.network import Network
from .simulators import Simulator, build
from .verilog import to_verilog

CLOCK_NS = 10
SECONDS = 600.0


def learn_on_pins(
    array: ArrayConfig,
    link: LinkConfig,
    network: Network,
    state: DeviceState,
    inputs: IntArray,
    labels: IntArray,
    *,
    sim: Simulator,
    bit_ns: int,
) -> dict[str, Any]:
    """What samples (B, T, inputs) learned at the end of a line do, its far end `cocotbext.uart`, `bit_ns` a bit.

    A clock has `CLOCK_NS`. Gives `readout` (B, classes), `weights` and `sample` after it, `identity`, `leds`, `link`
    (the link's registers) and how many `packets` were answered. Raises `DeviceError` where the bench fails.
    """
    from .. import __version__
    from ..rtl.top import Top

    verilog = to_verilog(Top(array, link, version=__version__), name="top")
    made = build(sim, {"top.v": verilog}, toplevel="top", parameters={}, fast=False)
    job = {
        "array": array, "network": network, "state": state, "inputs": inputs, "labels": labels, "bit_ns": bit_ns,
        "results": link.results,
    }  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="trifactor-") as name:
        folder = Path(name)
        (folder / "job.pickle").write_bytes(pickle.dumps(job))
        environment = {"TRIFACTOR_PINS": str(folder / "job.pickle")}
        with (folder / "log").open("wb") as log, open(os.devnull, "rb") as nothing:
            process = made.start(
                f"{__package__}.bench_pins", folder=folder, environment=environment, log=log, pipe=nothing.fileno()
            )
            try:
                process.wait(timeout=SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        answer = folder / "answer.pickle"
        if not answer.exists():
            lines = (folder / "log").read_text(errors="replace").strip().splitlines()
            raise DeviceError("the bench of the pins failed:\n" + "\n".join(lines[-30:]))
        answers: dict[str, Any] = pickle.loads(answer.read_bytes())
        return answers
