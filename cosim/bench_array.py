# SPDX-License-Identifier: Apache-2.0
"""The cocotb side of `session.Session`: answers calls on a `SimulatedDriver` until the other side hangs up."""

from __future__ import annotations

import json
import os
import traceback
from multiprocessing.connection import Connection
from typing import Any

import cocotb

from ..arch.array import ArrayConfig
from ..arch.errors import TrifactorError
from .simulated import SimulatedDriver


@cocotb.test()
async def serve(dut: Any) -> None:
    """Answer `(method, arguments)` with `("ok", result)`, `("trouble", message, hint)` or `("crash", traceback)`.

    While it waits for a call the simulation stands still.
    """
    job = json.loads(os.environ["TRIFACTOR_SESSION"])
    driver = SimulatedDriver(dut, ArrayConfig.model_validate(job["array"]), **job["settings"])
    with Connection(job["pipe"]) as connection:
        while True:
            try:
                method, arguments = connection.recv()
            except (EOFError, ConnectionResetError):
                return
            answer: tuple[Any, ...]
            try:
                answer = ("ok", await getattr(driver, method)(**arguments))
            except TrifactorError as error:
                answer = ("trouble", error.message, error.hint)
            except Exception:
                answer = ("crash", traceback.format_exc())
            connection.send(answer)
