# SPDX-License-Identifier: Apache-2.0
"""Netlists, block RAM and packed carries included, learn as the golden model does; a netlist with a fault does not."""

from __future__ import annotations

from collections.abc import Collection
from copy import deepcopy

import numpy as np
import pytest

from trifactor.arch.array import ArrayConfig
from trifactor.arch.errors import ToolError
from trifactor.arch.placement import fitted
from trifactor.arch.rules import network_for, rule_named
from trifactor.boards.gates import to_verilog
from trifactor.boards.netlist import Netlist, cell_counts, synthesise_netlist, to_rtlil
from trifactor.cosim.harness import build_array
from trifactor.cosim.verify import VerifyResult, verify_samples
from trifactor.golden.initial import initial_state
from trifactor.rtl.array import Array

BARE = ArrayConfig(lanes=4, weight_bits=8, weight_words=1, groups=2, axons=1, events=1, layers=1, classes=3)
SIZES = (12, 6, 3)
BLOCKS = 1024
"""Weight words of which Yosys makes a block RAM."""


def setting(units: Collection[str] = (), rule: str = "ottt-o", **shape: int) -> tuple[ArrayConfig, Netlist]:
    """An array with room for the network of `compare`, its weights in block RAM, and its netlist."""
    bare = BARE.model_copy(update={"units": tuple(units), **shape})
    array = fitted(network(rule, bare), bare).model_copy(update={"weight_words": BLOCKS})
    return array, synthesise_netlist(to_rtlil(Array(array)))


def network(rule: str, array: ArrayConfig):
    has = {name: array.has(name) for name in ("recurrent", "bias")}
    return network_for(rule_named(rule), SIZES, array, **has)


def compare(array: ArrayConfig, verilog: str, samples: int, rule: str = "ottt-o") -> VerifyResult:
    """Every state after every step, and all weights after each sample."""
    rng = np.random.default_rng(4)
    inputs, labels = (rng.random((samples, 4, SIZES[0])) < 0.4).astype(np.int64), rng.integers(0, SIZES[-1], samples)
    build = build_array(array, sim="verilator", verilog=verilog, fast=False)
    given = network(rule, array)
    return verify_samples("verilator", array, given, initial_state(given, array, 9), inputs, labels, build=build)


@pytest.mark.slow
def test_ecp5_gates_learn() -> None:
    array, netlist = setting()
    counts = cell_counts(netlist)
    assert min(counts[cell] for cell in ("LUT4", "CCU2C", "DP16KD", "TRELLIS_DPR16X4")) > 0
    result = compare(array, to_verilog(netlist, "ecp5"), 20)
    assert result.first_mismatch is None, result.first_mismatch
    assert result.compared > 2000
    result.require_activity()
