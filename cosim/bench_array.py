# SPDX-License-Identifier: Apache-2.0
"""The cocotb side of `session.Session` for the bare array behind the harness."""

from __future__ import annotations

from typing import Any

import cocotb

from .serving import answer_calls, job
from .simulated import SimulatedDriver


@cocotb.test()
async def serve(dut: Any) -> None:
    """Answer calls on a `SimulatedDriver`. While it waits for one the simulation stands still."""
    work = job()
    await answer_calls(SimulatedDriver(dut, work.array, **work.settings), work)
