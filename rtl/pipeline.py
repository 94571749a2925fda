# SPDX-License-Identifier: Apache-2.0
"""Wires and delay lines with names, so that waveforms show which stage a value is in."""

from __future__ import annotations

from amaranth.hdl import Module, Signal, Value


def delayed(m: Module, value: Value, clocks: int, name: str) -> list[Signal | Value]:
    """`value` and its copies 1 … `clocks` clocks later, as a list indexed by the delay."""
    stages: list[Signal | Value] = [value]
    for clock in range(1, clocks + 1):
        stage = Signal(value.shape(), name=f"{name}_{clock}")
        m.d.sync += stage.eq(stages[-1])
        stages.append(stage)
    return stages


def wire(m: Module, value: Value, name: str) -> Signal:
    """`value` as a signal. Whatever is used more than once should pass here: expressions are trees, emitted anew
    per use."""
    signal = Signal(value.shape(), name=name)
    m.d.comb += signal.eq(value)
    return signal
