# SPDX-License-Identifier: Apache-2.0
"""What a network costs, counted."""

from __future__ import annotations

from dataclasses import replace

import pytest

from trifactor.arch.array import ArrayConfig
from trifactor.arch.costs import PAPER_CASES, operations, state_of
from trifactor.arch.rules import RULES, network_for, rule_named

ARRAY = ArrayConfig(lanes=4)
SIZES = (20, 12, 5)
SYNAPSES = 20 * 12 + 12 * 5


def learning(rule: str) -> dict[str, int]:
    return state_of(network_for(rule_named(rule), SIZES, ARRAY), ARRAY).learning


def test_state_is_what_each_rule_keeps() -> None:
    assert learning("sltt") == {
        "stored weights": 8 * SYNAPSES,
        "pre traces": 0,
        "post traces": 0,
        "factors": 5 * 17,
        "traces of synapses": 0,
        "fixed matrices": 0,
    }
    # The readout of OTTT has no trace.
    assert learning("ottt-o") == {**learning("sltt"), "pre traces": 8 * 20}
    assert learning("ottt-a") == {**learning("ottt-o"), "stored weights": 16 * SYNAPSES}
    assert learning("s-tllr") == {**learning("ottt-a"), "post traces": 8 * 12, "factors": 5 * (2 * 12 + 5)}
    assert learning("s-tllr-dfa") == {**learning("s-tllr"), "fixed matrices": 16 * 12 * 5}
    assert learning("temporal-sbp") == {**learning("ottt-a"), "traces of synapses": 9 * 20 * 12}
    assert learning("dalton")["stored weights"] == 8 * 20 * 12, "its readout does not learn"


def test_state_of_inference_and_its_shares() -> None:
    state = state_of(network_for(RULES["dalton"], SIZES, ARRAY), ARRAY)
    assert (state.neurons, state.synapses) == (17, SYNAPSES)
    assert state.inference == {"weights": 8 * SYNAPSES, "membranes": 16 * 17, "currents": 16 * 12}
    assert state.per_neuron == 5.0
    assert state.per_synapse == pytest.approx(8 * 20 * 12 / SYNAPSES)
    exact = ARRAY.model_copy(update={"products": "exact"})
    assert state_of(network_for(RULES["ottt-o"], SIZES, exact), exact).learning["factors"] == 10 * 17


def test_operations_are_the_words_of_each_verb() -> None:
    network = network_for(RULES["ottt-o"], SIZES, ARRAY)
    counters = {"steps": 10, "scatter_words": 75, "gather_words": 150, "update_words": 300, "weight_updates": 600}
    counted = operations(network, ARRAY, counters)
    assert counted["scatter adds"] == pytest.approx(0.1)
    assert counted["gather products"] == pytest.approx(0.2)
    assert counted["update products"] == pytest.approx(0.4)
    assert counted["adds"] == pytest.approx(0.7)
    assert counted["weights moved"] == pytest.approx(0.2)
    assert counted["multiplications"] == 0
    assert operations(network, ARRAY.model_copy(update={"products": "exact"}), counters)[
        "multiplications"
    ] == pytest.approx(0.6)


def test_the_papers_figures() -> None:
    assert [case.memory_ratio for case in PAPER_CASES] == [5, 10, 50, 5]
    assert [round(case.operation_ratio, 2) for case in PAPER_CASES] == [1.33, 2.67, 0.74, 6.67]
    spoken = PAPER_CASES[2]
    assert round(spoken.shallow_operation_ratio, 2) == 0.56, "0.054 over 0.096 G in the paper"
    network = network_for(rule_named("s-tllr-shd"), (700, 450, 20), ARRAY, recurrent=True)
    # A gradient per synapse is most of what either keeps.
    assert 1.05 < spoken.counted_memory_ratio(network, ARRAY) < 1.2
    assert replace(spoken, steps=1000).counted_memory_ratio(network, ARRAY) > 2
