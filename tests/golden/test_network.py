# SPDX-License-Identifier: Apache-2.0
"""The device against the law in plain integers and loops (`reference.py`), on random networks."""

from __future__ import annotations

import random
from collections import Counter
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch

from trifactor.arch.array import UNITS, ArrayConfig, Unit
from trifactor.arch.device import DeviceState
from trifactor.arch.formats import RATE_SHIFT_MAX, SIGNAL_SHIFT_MAX
from trifactor.arch.network import Layer, Network
from trifactor.arch.placement import fitted
from trifactor.arch.registers import COUNTERS
from trifactor.golden.device import GoldenDevice
from trifactor.golden.network import container
from trifactor.tests.golden.reference import Reference

WORDS = {"scatter_words", "fire_groups", "gather_words", "update_words", "update_words_skipped"}


SIGNALS = ("backprop", "local", "feedback", "sign-feedback")


def random_layer(rng: random.Random, array: ArrayConfig, inputs: int, outputs: int, *, readout: bool) -> Layer:
    """Any settings of the law that the array has the units for."""
    one = array.decay_one
    most = min(array.membrane.max, 2 << array.synapse_bits)

    def may(unit: str, chance: float = 0.5) -> bool:
        return unit in array.units and rng.random() < chance

    if not readout and may("eligibility", 0.3):
        decay = rng.choice([0, one, rng.randint(0, one)])
        eligible = {"eligibility": True, "decay": decay, "trace_decay": rng.randint(decay, one)}
    else:
        eligible = {}
    plain = not eligible
    settings = dict(
        inputs=inputs,
        outputs=outputs,
        spiking=not readout,
        recurrent=not readout and may("recurrent"),
        bias=may("bias"),
        decay=rng.choice([0, one, rng.randint(0, one)]),
        threshold=rng.randint(1, most),
        thresholds=tuple(rng.randint(1, most) for _ in range(outputs)) if may("thresholds") else None,
        reset=rng.choice(["soft", "hard", "none"]),
        surrogate_shift=rng.randint(0, max(1, array.synapse_bits - 2)),
        current_decay=rng.choice([0, rng.randint(0, one)]) if array.has("cuba") and plain else 0,
        clamp=plain and may("cuba"),
        learns=rng.random() < 0.8,
        trace_decay=rng.choice([0, one, rng.randint(0, one)]),
        trace_shift=rng.randint(0, 7),
        rate_shift=rng.choice([0, RATE_SHIFT_MAX, rng.randint(4, 12)]),
        signal=rng.choice(SIGNALS) if not readout and may("feedback", 0.9) else "backprop",
        signal_shift=rng.choice([0, SIGNAL_SHIFT_MAX, rng.randint(2, 10)]),
        post=rng.choice([-1, 1]) if not readout and plain and may("post-trace", 0.9) else 0,
        post_decay=rng.choice([0, one, rng.randint(0, one)]) if array.has("post-trace") else 0,
        post_read=rng.choice(["old", "decayed"]),
        post_shift=rng.choice([0, SIGNAL_SHIFT_MAX, rng.randint(4, 13)]),
    )
    return Layer(**(settings | eligible))


def random_case(seed: int, **fixed: Any) -> tuple[ArrayConfig, Network, DeviceState, np.ndarray, np.ndarray]:
    """A small random network, its array, a state, and samples with labels."""
    rng = random.Random(seed)
    synapse_bits = rng.randint(4, 8)
    share = rng.choice([0.0, 0.5, 1.0, 1.0])
    array = ArrayConfig(
        **{
            "cores": rng.choice([1, 2]),
            "lanes": rng.choice([1, 2, 4]),
            "synapse_bits": synapse_bits,
            "weight_bits": rng.randint(synapse_bits, 16),
            "membrane_bits": rng.randint(8, 16),
            "decay_bits": rng.randint(4, 12),
            "surrogate_bits": rng.randint(1, 8),
            "event_bits": rng.choice([1, 1, 2, 4, 8]),
            "products": rng.choice(["shift", "exact"]),
            "units": tuple(unit for unit in UNITS if rng.random() < share),
            "signatures": True,
        }
        | fixed
    )
    sizes = [rng.randint(1, 30), *(rng.randint(1, 30) for _ in range(rng.randint(0, 3))), rng.randint(2, 10)]
    last = len(sizes) - 2
    network = Network(
        layers=tuple(
            random_layer(rng, array, inputs, outputs, readout=index == last)
            for index, (inputs, outputs) in enumerate(pairwise(sizes))
        ),
        surrogate=tuple(rng.choice([0, rng.randint(0, array.surrogate_max)]) for _ in range(16)),
        error=rng.choice(["softmax", "mse"]),
        error_on=rng.choice(["current", "membrane"]),
        error_shift=rng.randint(0, 6),
        gate=rng.choice(["all", "all", "all", "last", "after", "random"]),
        gate_steps=rng.randint(0, 3),
        apply=rng.choice(["step", "sample"]) if array.has("shadow") else "step",
    )
    array = fitted(network, array)
    draw = np.random.default_rng(seed)
    state = DeviceState(
        weights=[
            draw.integers(array.weight.min, array.weight.max + 1, (block.rows, block.columns))
            for block in network.blocks
        ],
        seed=rng.randrange(1 << 32),
        sample=rng.randrange(1 << 31),
    )
    samples, steps = 3, rng.randint(1, 4)
    shape = (samples, steps, sizes[0])
    inputs = draw.integers(0, 1 << array.event_bits, shape) * (draw.random(shape) < rng.choice([0.1, 0.5, 1.0]))
    return array, network, state, inputs, draw.integers(0, sizes[-1], samples)


CASES = 120


@pytest.mark.parametrize("seed", range(CASES))
def test_equals_reference(seed: int) -> None:
    _equals_reference(*random_case(seed))


@pytest.mark.parametrize("units", [("feedback",), ("cuba", "feedback")])
def test_equals_reference_where_a_local_readout_leaves_its_format(units: tuple[Unit, ...]) -> None:
    for seed in range(300, 312):
        array, network, state, inputs, labels = random_case(
            seed, units=units, synapse_bits=8, weight_bits=8, membrane_bits=8
        )
        hidden = [layer.model_copy(update={"signal": "local", "threshold": 1}) for layer in network.layers[:-1]]
        network = network.model_copy(update={"layers": (*hidden, network.layers[-1]), "error_on": "current"})
        rng = np.random.default_rng(seed)
        weights = [rng.integers(-128, 128, (block.rows, block.columns)) for block in network.blocks]
        state = DeviceState(weights=weights, seed=state.seed)
        _equals_reference(fitted(network, array), network, state, inputs, labels)


def _equals_reference(
    array: ArrayConfig, network: Network, state: DeviceState, inputs: np.ndarray, labels: np.ndarray
) -> None:
    reference = Reference(array, network, state)
    device = GoldenDevice(array, network, state)
    names = ("spikes", "membranes", "traces", *(["post_traces"] if array.has("post-trace") else []))
    for learn in (True, False, True):
        before = dict(reference.counters)
        runs = [reference.run(x.tolist(), int(y) if learn else None) for x, y in zip(inputs, labels, strict=True)]
        out, after, record = device(inputs, labels, learn=learn, record=(*names, "signatures"))
        assert record.counters == {name: reference.counters[name] - before[name] for name in before}
        for name in names:
            recorded = getattr(record, name)
            assert len(recorded) == len(network.layers)
            for layer, values in enumerate(recorded):
                assert values.tolist() == [[step[layer] for step in getattr(run, name)] for run in runs], (name, layer)
        assert [block.tolist() for block in after.weights] == reference.W
        assert record.signatures is not None
        assert record.signatures.tolist() == [run.signatures for run in runs]
        readout = [run.membranes[-1][-1] for run in runs]
        assert out.readout.tolist() == readout
        assert out.predicted.tolist() == [row.index(max(row)) for row in readout]
        assert after.sample == reference.sample
    assert device.counters == reference.counters


def test_reference_cases_reach_every_counter() -> None:
    seen = {name: 0 for name, _ in COUNTERS}
    for seed in range(CASES):
        array, network, state, inputs, labels = random_case(seed)
        for name, value in GoldenDevice(array, network, state)(inputs, labels, learn=True)[2].counters.items():
            seen[name] += value
    assert min(seen.values()) > 100, seen


def test_reference_cases_reach_every_setting() -> None:
    seen: Counter[object] = Counter()
    for seed in range(CASES):
        array, network, _, _, _ = random_case(seed)
        ends_closed = network.apply == "sample" and network.gate in ("after", "random")
        seen.update([("apply", network.apply), ("error", network.error, network.error_on), ("gate", network.gate)])
        seen.update([("closed", ends_closed), *array.units])
        for layer in network.layers:
            seen.update([("reset", layer.reset), ("bias", layer.bias, layer.learns), ("own", layer.recurrent)])
            seen.update([("thresholds", layer.thresholds is not None), ("signal", layer.signal)])
            seen.update([("post", layer.post, layer.post_read, network.apply)])
    wanted = [
        *UNITS,
        ("closed", True),
        *(("apply", apply) for apply in ("step", "sample")),
        *(("error", error, on) for error in ("softmax", "mse") for on in ("current", "membrane")),
        *(("gate", gate) for gate in ("all", "last", "after", "random")),
        *(("reset", reset) for reset in ("soft", "hard", "none")),
        *(("bias", True, learns) for learns in (True, False)),
        ("own", True),
        ("thresholds", True),
        *(("signal", signal) for signal in SIGNALS),
        *(
            ("post", post, read, apply)
            for post in (-1, 1)
            for read in ("old", "decayed")
            for apply in ("step", "sample")
        ),
    ]
    assert {setting: seen[setting] for setting in wanted if seen[setting] < 3} == {}


def test_lanes_and_cores_do_not_matter() -> None:
    moved = [_updates_whatever_the_lanes(seed) for seed in range(100, 124)]
    assert sum(updates > 100 for updates in moved) >= 6, moved


def _updates_whatever_the_lanes(seed: int) -> int:
    results = []
    for cores, lanes in ((1, 1), (2, 4), (8, 16)):
        array, network, state, inputs, labels = random_case(seed, cores=cores, lanes=lanes)
        _, after, record = GoldenDevice(array, network, state)(inputs, labels, learn=True, record=("signatures",))
        kept = {name: value for name, value in record.counters.items() if name not in WORDS}
        assert record.signatures is not None
        results.append((kept, record.signatures.tolist(), [w.tolist() for w in after.weights]))
    assert results[0] == results[1] == results[2]
    return int(results[0][0]["weight_updates"])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("seed", range(200, 206))
def test_cuda_gives_the_same_bits(seed: int) -> None:
    array, network, state, inputs, labels = random_case(seed)
    results = []
    for torch_device in ("cpu", "cuda"):
        device = GoldenDevice(array, network, state, torch_device=torch_device)
        _, after, learned = device(inputs, labels, learn=True, record=("signatures",))
        out, _, ran = device(inputs)
        assert learned.signatures is not None
        results.append(
            (
                [w.tolist() for w in after.weights],
                out.readout.tolist(),
                learned.counters,
                ran.counters,
                learned.signatures.tolist(),
            )
        )
    assert results[0] == results[1]
    assert results[0][2]["steps"] > 0


def test_container_is_exact_at_its_bound() -> None:
    small = ArrayConfig(synapse_bits=8, event_bits=1)
    assert container(small, 784, 256) == torch.float32
    assert container(small, 784, 1024) == torch.float32
    assert container(small, 784, 1025) == torch.float64
    assert container(small.model_copy(update={"event_bits": 8}), 784, 10) == torch.float64
