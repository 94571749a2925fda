# SPDX-License-Identifier: Apache-2.0
"""A whole network: samples forward, and one sample learned, as docs/law.md says."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ..arch.array import ArrayConfig
from ..arch.formats import EXPONENT_MAX
from ..arch.network import Network
from ..arch.noise import ROUND_BITS, WORD_BITS, Domain
from . import learning, neuron, readout
from .learning import LearningParams, Rows, Update
from .neuron import NeuronOutput, NeuronParams, NeuronState
from .noise import LAYER_STRIDE, doubled, mix, round_noise, step_keys
from .readout import ReadoutParams


class NoisePlan(NamedTuple):
    """Which noise words a step needs: word n is `mix(key(codes[owner[n]]) ^ place[n])`; `sizes` splits them.

    In this order: SIGNAL (or ERROR) of all layers' neurons, WEIGHT of all layers' rows.
    """

    codes: Tensor
    owner: Tensor
    place: Tensor
    sizes: tuple[int, ...]


class NetworkParams(NamedTuple):
    """Everything but the weights, one entry per layer."""

    neurons: tuple[NeuronParams, ...]
    learning: tuple[LearningParams, ...]
    readout: ReadoutParams
    containers: tuple[torch.dtype, ...]
    graded: bool
    plan: NoisePlan


class SampleNoise(NamedTuple):
    """Noise of one sample: per layer, then per step, a tensor of shape (n,).

    `factor` is the 7 bits that round a neuron's factor, `signal` the neurons' words, `weight` the rows' doubled words.
    """

    factor: list[tuple[Tensor, ...]]
    signal: list[tuple[Tensor, ...]]
    weight: list[tuple[Tensor, ...]]


class LayerHistory(NamedTuple):
    """What one layer did, of shape (..., T, n). The last six are None when nothing was learned.

    `events` x, `after` v, `saturated` where u or c was clamped, `trace` p and `trace_raw` p unsaturated; `factor` G as
    the products took it, `signal_raw` its magnitude before it was clamped or rounded; `updates` one entry per step;
    `gate`, (..., T), the steps that learned, `learns` whether this layer's weights moved in them.
    """

    events: Tensor
    saturated: Tensor
    after: Tensor
    spikes: Tensor
    psi: Tensor
    trace: Tensor | None = None
    trace_raw: Tensor | None = None
    factor: Tensor | None = None
    signal_raw: Tensor | None = None
    updates: list[Update] | None = None
    gate: Tensor | None = None
    learns: bool = True


def container(array: ArrayConfig, inputs: int, outputs: int) -> torch.dtype:
    """Float type that holds every partial sum of a layer's matmuls exactly.

    Forward sums are at most `2**(synapse_bits - 1) * inputs * (2**event_bits - 1)`, gathered ones
    `2**(synapse_bits - 1) * outputs * 2**8`. Operands have at most 8 significant bits, so not even TF32 or bfloat16
    products round them.
    """
    largest = max(inputs * ((1 << array.event_bits) - 1), outputs << EXPONENT_MAX) << (array.synapse_bits - 1)
    return torch.float32 if largest <= 1 << 24 else torch.float64


def network_params(network: Network, array: ArrayConfig, torch_device: str = "cpu") -> NetworkParams:
    """Coefficients and tables of `network` on `array`."""
    layers = range(len(network.layers))
    return NetworkParams(
        neurons=tuple(neuron.neuron_params(network, array, layer, torch_device) for layer in layers),
        learning=tuple(learning.learning_params(network, array, layer, torch_device) for layer in layers),
        readout=readout.readout_params(network, torch_device),
        containers=tuple(container(array, layer.inputs, layer.outputs) for layer in network.layers),
        graded=array.event_bits > 1,
        plan=_noise_plan(network, torch_device),
    )


def forward(params: NetworkParams, weights: Sequence[Tensor], events: Tensor) -> list[LayerHistory]:
    """Samples that do not learn: `events` of shape (B, T, inputs), int64; `weights` as stored, int32."""
    histories = []
    for layer, coefficients in enumerate(params.neurons):
        active = _in_container(params, layer, weights[layer])
        currents = (events.to(active.dtype) @ active).long()
        state = neuron.first_state(coefficients, currents[:, 0])
        steps = []
        for current in currents.unbind(1):
            state, out = neuron.step(coefficients, state, current)
            steps.append((out.saturated, state.membrane, out.spikes, out.psi))
        saturated, after, spikes, psi = (torch.stack(parts, 1) for parts in zip(*steps, strict=True))
        history = LayerHistory(events, saturated, after, spikes, psi)
        histories.append(history)
        events = history.spikes
    return histories


class LearningStep(NamedTuple):
    """What one step did, per layer: `(v, output)`, `(p, unsaturated p)`, `(G, its magnitude unclamped)`, the update.

    `gate` says whether it learned; if not, every G is 0 and the updates are empty.
    """

    outputs: list[tuple[NeuronState, NeuronOutput]]
    traces: list[tuple[Tensor, Tensor]]
    factors: list[tuple[Tensor, Tensor]]
    updates: list[Update]
    gate: bool


def learn(
    params: NetworkParams,
    weights: Sequence[Tensor],
    events: Tensor,
    label: int,
    noise: SampleNoise,
    gate: Sequence[bool],
) -> Iterator[LearningStep]:
    """Learn one sample, step by step: `events` of shape (T, inputs), int64.

    `weights`, as stored, int32, move in place at every step that `gate` opens.
    """
    layers = range(len(weights))
    last = len(weights) - 1
    states = [
        neuron.first_state(own, torch.zeros(layer.shape[1], dtype=torch.int64, device=events.device))
        for own, layer in zip(params.neurons, weights, strict=True)
    ]
    traces = [torch.zeros(layer.shape[0], dtype=torch.int64, device=events.device) for layer in weights]
    nothing = Update(*torch.empty(2, 0, dtype=torch.int32, device=events.device))
    for time, x in enumerate(events.unbind(0)):
        inputs = [x]
        outputs = []
        for layer in layers:
            graded = params.graded and layer == 0
            current = _current(inputs[layer], weights[layer], params.learning[layer].active_shift, graded)
            states[layer], out = neuron.step(params.neurons[layer], states[layer], current)
            outputs.append((states[layer], out))
            inputs.append(out.spikes)

        moved = [learning.trace_step(params.learning[layer], traces[layer], inputs[layer]) for layer in layers]
        traces = [trace for trace, _ in moved]
        if not gate[time]:
            yield LearningStep(outputs, moved, _nothing_learned(outputs), [nothing] * len(weights), gate=False)
            continue

        on = out.membrane if params.readout.on_membrane else out.current
        e = readout.error(params.readout, on, label)
        magnitude = e.abs()
        factor = learning.rounded(params.learning[last], magnitude, noise.factor[last][time]) * e.sign()
        factors = [(factor, magnitude)]
        for layer in range(last, 0, -1):
            below = layer - 1
            active = _in_container(params, layer, weights[layer])
            delta = (active @ factors[0][0].to(active.dtype)).long()
            signal = (noise.signal[below][time], noise.factor[below][time])
            factors.insert(0, learning.modulate(params.learning[below], delta, outputs[below][1].psi, *signal))

        updates = []
        for layer in layers:
            own = params.learning[layer]
            if not own.learns:
                updates.append(nothing)
                continue
            words = noise.weight[layer][time]
            pre = learning.rounded(own, traces[layer], round_noise(words))
            updates.append(learning.update(own, weights[layer], Rows(traces[layer], pre, words), factors[layer][0]))
        yield LearningStep(outputs, moved, factors, updates, gate=True)


def _nothing_learned(outputs: Sequence[tuple[NeuronState, NeuronOutput]]) -> list[tuple[Tensor, Tensor]]:
    """Factors of a step that does not learn."""
    still = [torch.zeros_like(state.membrane) for state, _ in outputs]
    return [(zero, zero) for zero in still]


def history_of(params: NetworkParams, events: Tensor, steps: Sequence[LearningStep]) -> list[LayerHistory]:
    """All steps of a sample stacked: one `LayerHistory` of shape (T, n) per layer."""
    histories = []
    for layer in range(len(steps[0].updates)):
        outputs = [step.outputs[layer] for step in steps]
        spikes = torch.stack([out.spikes for _, out in outputs])
        history = LayerHistory(
            events=events,
            saturated=torch.stack([out.saturated for _, out in outputs]),
            after=torch.stack([state.membrane for state, _ in outputs]),
            spikes=spikes,
            psi=torch.stack([out.psi for _, out in outputs]),
            trace=torch.stack([step.traces[layer][0] for step in steps]),
            trace_raw=torch.stack([step.traces[layer][1] for step in steps]),
            factor=torch.stack([step.factors[layer][0] for step in steps]),
            signal_raw=torch.stack([step.factors[layer][1] for step in steps]),
            updates=[step.updates[layer] for step in steps],
            gate=torch.tensor([step.gate for step in steps], device=events.device),
            learns=params.learning[layer].learns,
        )
        histories.append(history)
        events = spikes
    return histories


def use_keys(plan: NoisePlan, seed: int, samples: Tensor, steps: int) -> Tensor:
    """Key of every use of noise: shape (*samples.shape, T, uses)."""
    return mix(step_keys(seed, samples, steps).unsqueeze(-1) ^ plan.codes)


def sample_noise(plan: NoisePlan, keys: Tensor) -> SampleNoise:
    """All noise words that a sample needs to learn, hashed at once from its `use_keys` of shape (T, uses)."""
    words = mix(keys.index_select(1, plan.owner) ^ plan.place)
    layers = len(plan.sizes) // 2

    def by_layer(values: Tensor, use: int) -> list[tuple[Tensor, ...]]:
        parts = torch.split_with_sizes(values, plan.sizes, 1)[use * layers : (use + 1) * layers]
        return [part.unbind(0) for part in parts]

    return SampleNoise(
        factor=by_layer(words >> (WORD_BITS - ROUND_BITS), 0),
        signal=by_layer(words, 0),
        weight=by_layer(doubled(words), 1),
    )


def _current(events: Tensor, stored: Tensor, active_shift: int, graded: bool) -> Tensor:
    """I of one step, `sum_j w_ij x_j`: events are few, so only their rows are read."""
    row = events.nonzero().squeeze(1)
    terms = stored.index_select(0, row).bitwise_right_shift_(active_shift)
    if graded:
        terms *= events.index_select(0, row).int().unsqueeze(1)
    # Below 2**31 even for 65535 inputs of 8 bits, and three times as fast as a sum in int64.
    return terms.sum(0, dtype=torch.int32).long()


def _in_container(params: NetworkParams, layer: int, stored: Tensor) -> Tensor:
    """A layer's active weights in floats, for there is no integer matmul on every device: see `container`."""
    return (stored >> params.learning[layer].active_shift).to(params.containers[layer])


def _noise_plan(network: Network, torch_device: str) -> NoisePlan:
    last = len(network.layers) - 1
    layers = list(enumerate(network.layers))
    uses = [
        *((layer, Domain.ERROR if layer == last else Domain.SIGNAL, own.outputs) for layer, own in layers),
        *((layer, Domain.WEIGHT, own.inputs) for layer, own in layers),
    ]
    sizes = tuple(size for _, _, size in uses)
    return NoisePlan(
        codes=torch.tensor([LAYER_STRIDE * layer + int(domain) for layer, domain, _ in uses], device=torch_device),
        owner=torch.arange(len(uses)).repeat_interleave(torch.tensor(sizes)).to(torch_device),
        place=torch.cat([torch.arange(size) for size in sizes]).to(torch_device),
        sizes=sizes,
    )
