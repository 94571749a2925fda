# SPDX-License-Identifier: Apache-2.0
"""The serial pins of the top level, driven and read by `cocotbext-uart`: learning there is learning here."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import pytest

from trifactor import __version__
from trifactor.arch.array import ArrayConfig
from trifactor.arch.link import LinkConfig, build_hash, package_word
from trifactor.arch.packets import PROTOCOL_VERSION, LinkRegister
from trifactor.arch.placement import fitted
from trifactor.arch.registers import IDENTITY
from trifactor.arch.rules import network_for, rule_named
from trifactor.cosim.pins import CLOCK_NS, learn_on_pins
from trifactor.cosim.simulators import Simulator
from trifactor.golden.device import GoldenDevice
from trifactor.golden.initial import initial_state

pytestmark = pytest.mark.skipif(find_spec("cocotbext") is None, reason="cocotbext-uart is not installed")

SIZES = (8, 6, 3)
BARE = ArrayConfig(
    lanes=2, weight_bits=8, event_bits=2, weight_words=1, groups=2, axons=1, events=1, layers=1, classes=3
)
NETWORK = network_for(rule_named("ottt-o"), SIZES, BARE, event_value_bits=2)
ARRAY = fitted(NETWORK, BARE)
LINK = LinkConfig(divisor=8, items=64, results=32, events=32, packets=512)
CONFIGURED, ALIVE, OUTPUT = 1, 2, 4


@pytest.mark.parametrize(
    ("sim", "bit_ns"),
    [
        ("icarus", 80),
        # A UART whose clock is off by 1.25 % one way or the other.
        pytest.param("icarus", 79, marks=pytest.mark.slow),
        pytest.param("verilator", 81, marks=pytest.mark.slow),
    ],
)
def test_what_is_learned_through_the_pins_is_what_the_golden_model_learns(sim: Simulator, bit_ns: int) -> None:
    assert abs(bit_ns - LINK.divisor * CLOCK_NS) <= 1
    rng = np.random.default_rng(bit_ns)
    values = rng.integers(1, 4, (3, 2, SIZES[0]))
    inputs, labels = np.where(rng.random(values.shape) < 0.6, values, 0), rng.integers(0, SIZES[-1], 3)
    state = initial_state(NETWORK, ARRAY, 5)
    outputs, expected, record = GoldenDevice(ARRAY, NETWORK, state)(inputs, labels, learn=True)
    found = learn_on_pins(ARRAY, LINK, NETWORK, state, inputs, labels, sim=sim, bit_ns=bit_ns)
    assert record.counters["weight_updates"] > 20
    assert any((one != two).any() for one, two in zip(state.weights, expected.weights, strict=True))
    assert np.array_equal(found["readout"], outputs.readout)
    assert all(np.array_equal(one, two) for one, two in zip(found["weights"], expected.weights, strict=True))
    assert found["sample"] == expected.sample == len(inputs)
    assert found["identity"] == IDENTITY
    assert found["packets"] > 40
    assert found["leds"] == CONFIGURED | ALIVE | OUTPUT
    said = found["link"]
    assert said[LinkRegister.PROTOCOL] == PROTOCOL_VERSION
    assert said[LinkRegister.HASH_HIGH] << 32 | said[LinkRegister.HASH_LOW] == build_hash(ARRAY, LINK)
    assert said[LinkRegister.PACKAGE] == package_word(__version__)
    assert said[LinkRegister.FRAMES_DAMAGED] == said[LinkRegister.FRAMES_REFUSED] == 0
