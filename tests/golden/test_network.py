# SPDX-License-Identifier: Apache-2.0
"""The whole law, once more in plain integers and loops, against the device on random networks."""

from __future__ import annotations

import random
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch

from trifactor.arch import noise
from trifactor.arch.array import ArrayConfig
from trifactor.arch.device import DeviceState
from trifactor.arch.formats import RATE_SHIFT_MAX, SIGNAL_SHIFT_MAX
from trifactor.arch.gate import open_steps
from trifactor.arch.network import Layer, Network
from trifactor.arch.noise import Domain
from trifactor.arch.placement import fitted
from trifactor.arch.readout import EXP2, LOG2
from trifactor.arch.registers import COUNTERS
from trifactor.golden.device import GoldenDevice
from trifactor.golden.network import container

WORDS = {"scatter_words", "fire_groups", "gather_words", "update_words", "update_words_skipped"}


def clamp(value: int, low: int, high: int) -> int:
    return max(low, min(high, value))


def sign(value: int) -> int:
    return (value > 0) - (value < 0)


def pow2_round(value: int, n: int) -> int:
    if value == 0:
        return 0
    k = value.bit_length() - 1
    return 1 << (k + (n < (value << (7 - k)) & 127))


class Reference:
    """docs/law.md, read aloud."""

    def __init__(self, array: ArrayConfig, network: Network, state: DeviceState) -> None:
        self.array, self.network = array, network
        self.W = [[[int(w) for w in row] for row in layer] for layer in state.weights]
        self.seed, self.sample = state.seed, state.sample
        self.counters = {name: 0 for name, _ in COUNTERS}
        self.signatures = [0, 0, 0]

    def sign_write(self, which: int, value: int) -> None:
        self.signatures[which] = (self.signatures[which] + noise.digest(value)) & 0xFFFFFFFF

    def active(self, layer: int, j: int, i: int) -> int:
        return self.W[layer][j][i] >> (self.array.weight_bits - self.array.synapse_bits)

    def run(self, events: list[list[int]], label: int | None) -> dict[str, Any]:
        layers = self.network.layers
        self.v = [[0] * layer.outputs for layer in layers]
        self.c = [[0] * layer.outputs for layer in layers]
        self.p = [[0] * layer.inputs for layer in layers]
        self.counters["samples"] += 1
        trajectory: dict[str, Any] = {"spikes": [], "membranes": [], "traces": [], "signatures": []}
        gate = open_steps(self.network, len(events), seed=self.seed, sample=self.sample)
        for time, x in enumerate(events):
            self.step(time, x, label, trajectory, learns=gate[time])
            trajectory["membranes"].append([list(v) for v in self.v])
            trajectory["traces"].append([list(p) for p in self.p])
            trajectory["signatures"].append(list(self.signatures))
        self.sample += 1
        return trajectory

    def step(self, time: int, x: list[int], label: int | None, trajectory: dict[str, Any], *, learns: bool) -> None:
        array, network, count = self.array, self.network, self.counters
        P = array.cores * array.lanes
        layers = network.layers
        last = len(layers) - 1
        step_key = noise.step_key(self.seed, self.sample, time)
        count["steps"] += 1
        inputs, spikes, psi = [x], [], []
        for index, layer in enumerate(layers):
            x = inputs[-1]
            groups = -(-layer.outputs // P)
            entries = sum(value.bit_count() for value in x)
            count["events"] += entries
            count["scatter_words"] += groups * entries
            count["fire_groups"] += groups
            key = noise.domain_key(step_key, index, Domain.STATE)
            s, ps, current, membrane = [], [], [], []
            for i in range(layer.outputs):
                total = sum(self.active(index, j, i) * x[j] for j in range(layer.inputs))
                low, high = -(1 << (array.membrane_bits - 1)), (1 << (array.membrane_bits - 1)) - 1
                raw_c = ((layer.current_decay * self.c[index][i]) >> array.decay_bits) + total
                c = clamp(raw_c, low, high) if array.neuron == "cuba" else total
                self.c[index][i] = c
                raw = ((layer.decay * self.v[index][i]) >> array.decay_bits) + c
                u = clamp(raw, low, high)
                count["membrane_saturations"] += u != raw or (array.neuron == "cuba" and c != raw_c)
                below = layer.clamp and u < 0
                u = 0 if below else u
                fired = int(index < last and u >= layer.threshold)
                v = u
                if fired and layer.reset == "soft":
                    v = u - layer.threshold
                if fired and layer.reset == "hard":
                    v = 0
                entry = abs(u - layer.threshold) >> layer.surrogate_shift
                value = network.surrogate[entry] if entry < 16 and index < last and not below else 0
                self.v[index][i] = v
                s.append(fired)
                ps.append(value)
                current.append(c)
                membrane.append(u)
                self.sign_write(1, noise.mix(key ^ i) ^ (v & 0xFFFF) ^ (fired << 16) ^ (value << 17))
            count["spikes"] += sum(s)
            spikes.append(s)
            psi.append(ps)
            inputs.append(s)
        trajectory["spikes"].append(spikes)
        if label is None:
            return
        for index, layer in enumerate(layers):
            key = noise.domain_key(step_key, index, Domain.TRACE)
            for j in range(layer.inputs):
                raw = ((layer.trace_decay * self.p[index][j]) >> array.decay_bits) + (
                    inputs[index][j] << layer.trace_shift
                )
                self.p[index][j] = min(255, raw)
                count["trace_saturations"] += raw > 255
                if self.p[index][j]:
                    self.sign_write(2, noise.mix(key ^ j) ^ self.p[index][j])
        if not learns:
            return
        e = self.error(current if network.error_on == "current" else membrane, label)
        key = noise.domain_key(step_key, last, Domain.ERROR)
        shift = array.products == "shift"
        G: list[list[int]] = [[] for _ in layers]
        G[last] = [sign(v) * pow2_round(abs(v), noise.mix(key ^ i) >> 25) if shift else v for i, v in enumerate(e)]
        for index in range(last, 0, -1):
            below = layers[index - 1]
            key = noise.domain_key(step_key, index - 1, Domain.SIGNAL)
            busy = {i // P for i in range(layers[index].outputs) if G[index][i]} | {(layers[index].outputs - 1) // P}
            for j in range(below.outputs):
                ps = psi[index - 1][j]
                if ps == 0:
                    G[index - 1].append(0)
                    continue
                delta = sum(self.active(index, j, i) * G[index][i] for i in range(layers[index].outputs))
                r = noise.mix(key ^ j)
                a = (min(65535, abs(delta)) * ps + (r & ((1 << below.signal_shift) - 1))) >> below.signal_shift
                count["signal_saturations"] += a > 128
                a = min(128, a)
                G[index - 1].append(sign(delta) * (pow2_round(a, r >> 25) if shift else a))
                count["gather_rows"] += 1
                count["gather_words"] += len(busy)
        for index, layer in enumerate(layers):
            if layer.learns:
                self.update(index, layer, G[index], step_key)

    def update(self, index: int, layer: Layer, G: list[int], step_key: int) -> None:
        array, count = self.array, self.counters
        P = array.cores * array.lanes
        groups = -(-layer.outputs // P)
        busy = {i // P for i in range(layer.outputs) if G[i]}
        limit = 1 << (array.weight_bits - 1)
        for j in range(layer.inputs):
            p = self.p[index][j]
            if p == 0:
                count["rows_skipped"] += 1
                continue
            count["update_rows"] += 1
            count["update_words"] += len(busy)
            count["update_words_skipped"] += groups - len(busy)
            word = noise.mix(noise.domain_key(step_key, index, Domain.WEIGHT) ^ j)
            if array.products == "shift":
                p = pow2_round(p, (word ^ word >> 8) & 127)
            for i in range(layer.outputs):
                if G[i] == 0:
                    continue
                r = noise.synapse_noise(word, i)
                fraction = ((r >> 25) << 16 | (word ^ word >> 16) & 0xFFFF) >> (23 - layer.rate_shift)
                a = (abs(G[i]) * p + fraction) >> layer.rate_shift
                raw = self.W[index][j][i] - sign(G[i]) * a
                new = clamp(raw, -limit, limit - 1)
                self.W[index][j][i] = new
                count["weight_updates"] += 1
                count["weight_saturations"] += new != raw
                self.sign_write(0, r ^ (new & ((1 << array.weight_bits) - 1)))

    def error(self, y: list[int], label: int) -> list[int]:
        shift = self.network.error_shift
        target = [128 * (i == label) for i in range(len(y))]
        if self.network.error == "mse":
            return [clamp((value >> shift) - goal, -128, 128) for value, goal in zip(y, target, strict=True)]
        d = [min(1023, (max(y) >> shift) - (value >> shift)) for value in y]
        S = sum(EXP2[k & 31] >> (k >> 5) for k in d)
        n = S.bit_length() - 1
        L = 32 * n + LOG2[((S << 5) >> n) & 31] - 32 * 9
        d = [max(0, k + L) for k in d]
        wrong = [0 if goal else (EXP2[k & 31] >> (k >> 5)) + 2 >> 2 for k, goal in zip(d, target, strict=True)]
        return [-min(128, sum(wrong)) if goal else e for e, goal in zip(wrong, target, strict=True)]


def random_case(seed: int, **fixed: Any) -> tuple[ArrayConfig, Network, DeviceState, np.ndarray, np.ndarray]:
    """A small random network, its array, a state, and samples with labels."""
    rng = random.Random(seed)
    synapse_bits = rng.randint(4, 8)
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
            "neuron": rng.choice(["lif", "cuba"]),
            "signatures": True,
        }
        | fixed
    )
    sizes = [rng.randint(1, 40), *(rng.randint(1, 40) for _ in range(rng.randint(0, 2))), rng.randint(2, 10)]
    last = len(sizes) - 2
    one = array.decay_one
    layers = tuple(
        Layer(
            inputs=inputs,
            outputs=outputs,
            spiking=index < last,
            decay=rng.choice([0, one, rng.randint(0, one)]),
            threshold=rng.randint(1, min(array.membrane.max, 2 << array.synapse_bits)),
            reset=rng.choice(["soft", "hard", "none"]),
            surrogate_shift=rng.randint(0, max(1, array.synapse_bits - 2)),
            current_decay=rng.choice([0, rng.randint(0, one)]) if array.cuba else 0,
            clamp=array.cuba and rng.random() < 0.5,
            learns=rng.random() < 0.8,
            trace_decay=rng.choice([0, one, rng.randint(0, one)]),
            trace_shift=rng.randint(0, 7),
            rate_shift=rng.choice([0, RATE_SHIFT_MAX, rng.randint(4, 12)]),
            signal_shift=rng.choice([0, SIGNAL_SHIFT_MAX, rng.randint(2, 10)]),
        )
        for index, (inputs, outputs) in enumerate(pairwise(sizes))
    )
    network = Network(
        layers=layers,
        surrogate=tuple(rng.choice([0, rng.randint(0, array.surrogate_max)]) for _ in range(16)),
        error=rng.choice(["softmax", "mse"]),
        error_on=rng.choice(["current", "membrane"]),
        error_shift=rng.randint(0, 6),
        gate=rng.choice(["all", "all", "all", "last", "after", "random"]),
        gate_steps=rng.randint(0, 3),
    )
    array = fitted(network, array)
    draw = np.random.default_rng(seed)
    state = DeviceState(
        weights=[draw.integers(array.weight.min, array.weight.max + 1, (own.inputs, own.outputs)) for own in layers],
        seed=rng.randrange(1 << 32),
        sample=rng.randrange(1 << 31),
    )
    samples, steps = 3, rng.randint(1, 4)
    shape = (samples, steps, sizes[0])
    inputs = draw.integers(0, 1 << array.event_bits, shape) * (draw.random(shape) < rng.choice([0.1, 0.5, 1.0]))
    return array, network, state, inputs, draw.integers(0, sizes[-1], samples)


CASES = 60


@pytest.mark.parametrize("seed", range(CASES))
def test_equals_reference(seed: int) -> None:
    array, network, state, inputs, labels = random_case(seed)
    reference = Reference(array, network, state)
    device = GoldenDevice(array, network, state)
    everything = ("spikes", "membranes", "traces", "signatures")
    for learn in (True, False, True):
        before = dict(reference.counters)
        runs = [reference.run(x.tolist(), int(y) if learn else None) for x, y in zip(inputs, labels, strict=True)]
        out, after, record = device(inputs, labels, learn=learn, record=everything)
        assert record.counters == {name: reference.counters[name] - before[name] for name in before}
        for layer in range(len(network.layers)):
            for name in ("spikes", "membranes", "traces"):
                expected = [[step[layer] for step in run[name]] for run in runs]
                assert getattr(record, name)[layer].tolist() == expected, (name, layer)
            assert after.weights[layer].tolist() == reference.W[layer]
        assert record.signatures is not None
        assert record.signatures.tolist() == [run["signatures"] for run in runs]
        readout = [run["membranes"][-1][-1] for run in runs]
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
