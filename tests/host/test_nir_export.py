# SPDX-License-Identifier: Apache-2.0
"""Networks of the array as NIR: the same spikes and membranes where nothing is rounded, the same integers and back."""

from __future__ import annotations

import itertools
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

nir = pytest.importorskip("nir", reason="needs nir: pip install trifactor[nir]")

from trifactor.arch.array import ArrayConfig  # noqa: E402
from trifactor.arch.device import DeviceState  # noqa: E402
from trifactor.arch.errors import ConfigurationError  # noqa: E402
from trifactor.arch.network import Layer, Network  # noqa: E402
from trifactor.arch.placement import fitted  # noqa: E402
from trifactor.golden.device import GoldenDevice  # noqa: E402
from trifactor.golden.floating.device import FloatDevice  # noqa: E402
from trifactor.golden.quantise import quantise  # noqa: E402
from trifactor.host.nir import from_nir  # noqa: E402
from trifactor.host.nir_export import left_out, to_nir  # noqa: E402

FLAT = (0,) * 16
ONE = ArrayConfig().decay_one


def random_model(rng: np.random.Generator, decays: list[int], *, largest: bool = False) -> Any:
    """Recurrent rows, biases, currents, thresholds and resets by lot; with `largest`, 127 is among all weights."""
    sizes = rng.integers(1, 7, rng.integers(2, 5)).tolist()
    layers = []
    for index, (inputs, outputs) in enumerate(itertools.pairwise(sizes)):
        last = index == len(sizes) - 2
        several = not last and not largest and bool(rng.random() < 0.5)
        layers.append(
            Layer(
                inputs=inputs,
                outputs=outputs,
                spiking=not last,
                recurrent=not last and bool(rng.random() < 0.5),
                bias=bool(rng.random() < 0.5),
                decay=int(rng.choice(decays)),
                current_decay=0 if last else int(rng.choice([0, *decays])),
                threshold=int(rng.integers(1, 200)),
                thresholds=tuple(rng.integers(1, 200, outputs).tolist()) if several else None,
                reset="none" if last else str(rng.choice(["soft", "hard", "none"])),
                learns=False,
            )
        )
    network = Network(layers=tuple(layers), surrogate=FLAT)
    array = fitted(network, ArrayConfig())
    weights = []
    for layer in layers:
        active = rng.integers(-127, 128, (layer.rows, layer.outputs))
        if layer.bias and not active[-1].any():
            active[-1, 0] = 1
        if largest:
            active[0, 0] = 127
        weights.append((active << array.weight_bits - array.synapse_bits) + 128)
    return SimpleNamespace(array=array, network=network, state=DeviceState(weights=weights, seed=1))


def units(graph: Any, model: Any) -> list[float]:
    """Integers for 1.0 of each layer, by its weights."""
    found = []
    for index, weights in enumerate(model.state.weights):
        active = weights >> model.array.weight_bits - model.array.synapse_bits
        real = np.asarray(graph.nodes[f"fc{index}"].weight).T
        place = np.unravel_index(np.abs(real).argmax(), real.shape)
        found.append(1.0 if not real[place] else active[place] / real[place])
    return found


def compared(model: Any, inputs: Any, graph: Any) -> int:
    """Spikes and membranes are those of the golden model, but for soft resets to the bit; how many spikes."""
    golden = GoldenDevice(model.array, model.network, model.state)
    out, _, wanted = golden(inputs, record=("spikes", "membranes"))
    assert golden.counters["membrane_saturations"] == 0
    real, _, found = FloatDevice(from_nir(graph), dtype=torch.float64)(inputs, record=("spikes", "membranes"))
    for mine, theirs in zip(found.spikes, wanted.spikes, strict=False):
        assert np.array_equal(mine, theirs)
    for mine, theirs, unit, layer in zip(
        found.membranes, wanted.membranes, units(graph, model), model.network.layers, strict=True
    ):
        scaled = mine * unit
        assert np.array_equal(np.rint(scaled) if layer.reset == "soft" else scaled, theirs)
        assert np.abs(scaled - theirs).max() < 2**-10
    assert np.array_equal(np.rint(real.readout * units(graph, model)[-1]), out.readout)
    return golden.counters["spikes"]


@settings(deadline=None, max_examples=150)
@given(st.integers(0, 2**32 - 1), st.sampled_from([1e-4, 1e-3, 2.0**-10, 0.3]))
def test_without_rounding_every_spike_and_membrane_is_the_golden_models(seed: int, dt: float) -> None:
    rng = np.random.default_rng(seed)
    model = random_model(rng, [0, ONE])
    inputs = rng.integers(0, 2, (3, 6, model.network.inputs))
    compared(model, inputs, to_nir(model, dt=dt))


def test_those_networks_spike() -> None:
    total = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        model = random_model(rng, [0, ONE])
        total += compared(model, rng.integers(0, 2, (3, 6, model.network.inputs)), to_nir(model))
    assert total > 300


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 2**32 - 1))
def test_every_leak_and_every_weight_comes_back(seed: int) -> None:
    rng = np.random.default_rng(seed)
    model = random_model(rng, list(range(0, ONE + 1)))
    graph = from_nir(to_nir(model))
    for node, layer in zip(graph.of_kind("neuron"), model.network.layers, strict=True):
        assert node.neuron is not None
        assert np.allclose(node.neuron.decay, layer.decay / ONE, rtol=0, atol=1e-15)
        assert node.neuron.gain is None
        assert node.neuron.reset == {"soft": "subtract", "hard": "zero", "none": "none"}[layer.reset]


@settings(deadline=None, max_examples=50)
@given(seed=st.integers(0, 2**32 - 1))
def test_a_file_quantised_again_has_the_same_integers(seed: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    rng = np.random.default_rng(seed)
    model = random_model(rng, [0, 30, 128, 200, ONE], largest=True)
    path = tmp_path_factory.mktemp("nir") / "model.nir"
    nir.write(path, to_nir(model))
    again = quantise(from_nir(path), model.array, method="global")
    assert [one.decay for one in again.network.layers] == [one.decay for one in model.network.layers]
    assert [one.reset for one in again.network.layers] == [one.reset for one in model.network.layers]
    for mine, theirs in zip(again.network.layers[:-1], model.network.layers, strict=False):
        assert mine.thresholds is None
        assert (mine.threshold, mine.current_decay) == (theirs.threshold, theirs.current_decay)
    below = model.array.weight_bits - model.array.synapse_bits
    for mine, theirs, layer in zip(again.state.weights, model.state.weights, model.network.layers, strict=True):
        kept = theirs if not layer.bias or (theirs[-1] >> below).any() else theirs[:-1]
        assert np.array_equal(mine >> below, kept >> below)


def test_what_nir_cannot_say_is_said() -> None:
    from trifactor.arch.rules import RULES, network_for

    said = left_out(network_for(RULES["tfr"], (4, 3, 2), ArrayConfig()))
    assert [one.split()[0] for one in said] == ["widths", "learning:", "layer"]
    assert "fixed matrices of the learning signal" in left_out(
        network_for(RULES["s-tllr-dfa"], (4, 3, 2), ArrayConfig())
    )
    model = random_model(np.random.default_rng(1), [128])
    with pytest.raises(ConfigurationError, match="dt is 0"):
        to_nir(model, dt=0)


def test_metadata_that_are_damaged_are_refused() -> None:
    graph = to_nir(random_model(np.random.default_rng(3), [128]))
    name = next(name for name in graph.nodes if name.startswith("neurons"))
    graph.nodes[name].metadata["trifactor_reset"] = "never"
    with pytest.raises(ConfigurationError, match="reset 'never' is not known"):
        from_nir(graph)


def test_the_command_writes_what_check_reads(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from trifactor.golden.checkpoint import Model, save_model
    from trifactor.golden.coding import Coding
    from trifactor.host.cli import call

    made = random_model(np.random.default_rng(4), [128])
    coding = Coding(kind="events", steps=4)
    stored = Model(
        array=made.array, network=made.network, state=made.state, rule="imported", dataset="none", coding=coding
    )
    save_model(tmp_path / "model", stored)
    out = tmp_path / "a.nir"
    assert call(["export", "nir", str(tmp_path / "model"), "--out", str(out)]) == 0
    assert "left out: widths of integers" in capsys.readouterr().out
    assert call(["check", str(out)]) == 0
    assert call(["export", "nir", str(tmp_path / "none"), "--out", str(out)]) == 2
    assert "no such file" in capsys.readouterr().err
