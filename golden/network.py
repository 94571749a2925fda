# SPDX-License-Identifier: Apache-2.0
"""A whole network: samples forward, and one sample learned, as docs/law.md says."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ..arch.array import ArrayConfig
from ..arch.formats import EXPONENT_MAX, UNIT
from ..arch.network import Network
from . import learning, neuron, readout
from .learning import Eligibility, LearningParams, Rows, Update
from .neuron import NeuronOutput, NeuronParams, NeuronState
from .noise import round_noise
from .plan import NoisePlan, SampleNoise, StepNoise, noise_plan
from .readout import ReadoutParams


class LayerShape(NamedTuple):
    """How a layer is wired: neurons below, its own rows for them, a bias; and how its learning signal comes.

    `block` is the matrix that the signal is gathered from, `above` the layer whose factors are, None where a readout of
    its own has them; `sign` says that they count by their signs.
    """

    recurrent: bool
    bias: bool
    eligibility: bool
    block: int
    above: int | None
    sign: bool


class NetworkParams(NamedTuple):
    """Everything but the weights, one entry per layer, but `containers`, which has one per block. `side` are the
    neurons of a layer's own readout."""

    neurons: tuple[NeuronParams, ...]
    learning: tuple[LearningParams, ...]
    shapes: tuple[LayerShape, ...]
    readout: ReadoutParams
    containers: tuple[torch.dtype, ...]
    graded: bool
    by_sample: bool
    side: NeuronParams
    plan: NoisePlan


class LayerHistory(NamedTuple):
    """What one layer did, of shape (..., T, n).

    `events` x of all rows, `after` v, `saturated` where a state was clamped, `learned` what only learning samples have.
    """

    events: Tensor
    saturated: Tensor
    after: Tensor
    spikes: Tensor
    psi: Tensor
    post: Tensor | None = None
    learned: LearningHistory | None = None


class LearningHistory(NamedTuple):
    """What one layer did while it learned, of shape (T, n): `trace` p, `trace_raw` p unsaturated; then one entry per
    step: `signal` how its factors came, None in a step that did not learn, and the updates."""

    trace: Tensor
    trace_raw: Tensor
    signal: list[SignalStep | None]
    updates: list[tuple[Update, ...]]


class SideStep(NamedTuple):
    """What a local readout did in one step: its membranes, and where they were clamped; of the block `block`."""

    block: int
    after: Tensor
    saturated: Tensor


class SignalStep(NamedTuple):
    """How the factors of a layer came: `gathered` rows, from the factors `source` of the neurons above, or neither in
    the readout; G and H, their magnitudes unclamped; `side`, what a readout of its own did."""

    gathered: Tensor | None
    source: Tensor | None
    factor: Tensor
    raw: Tensor
    post_factor: Tensor | None
    post_raw: Tensor | None
    side: SideStep | None


class LearningStep(NamedTuple):
    """What one step did, per layer: x of all rows, `(v, output)`, `(p, unsaturated p)`, the signal, the updates."""

    inputs: list[Tensor]
    outputs: list[tuple[NeuronState, NeuronOutput]]
    traces: list[tuple[Tensor, Tensor]]
    signals: list[SignalStep | None]
    updates: list[tuple[Update, ...]]


def container(array: ArrayConfig, inputs: int, outputs: int) -> torch.dtype:
    """Float type that holds every partial sum of a block's matmuls exactly.

    Forward sums are at most `2**(synapse_bits - 1) * inputs * (2**event_bits - 1)`, gathered ones
    `2**(synapse_bits - 1) * outputs * 2**8`. Operands have at most 8 significant bits, so not even TF32 or bfloat16
    products round them.
    """
    largest = max(inputs * ((1 << array.event_bits) - 1), outputs << EXPONENT_MAX) << (array.synapse_bits - 1)
    return torch.float32 if largest <= 1 << 24 else torch.float64


def network_params(
    network: Network, array: ArrayConfig, torch_device: str = "cpu", rounding: learning.Rounding = "hash"
) -> NetworkParams:
    """Coefficients and tables of `network` on `array`."""
    last = len(network.layers) - 1
    layers = range(last + 1)
    neurons = tuple(neuron.neuron_params(network, array, layer, torch_device) for layer in layers)
    return NetworkParams(
        neurons=neurons,
        learning=tuple(learning.learning_params(network, array, layer, torch_device, rounding) for layer in layers),
        shapes=tuple(
            LayerShape(
                recurrent=own.recurrent,
                bias=own.bias,
                eligibility=own.eligibility,
                block=0 if index == last else network.signal_block(index),
                above={"backprop": index + 1, "local": None}.get(own.signal, last),
                sign=own.signal == "sign-feedback",
            )
            for index, own in enumerate(network.layers)
        ),
        readout=readout.readout_params(network, torch_device),
        containers=tuple(container(array, block.rows, block.columns) for block in network.blocks),
        graded=array.event_bits > 1,
        by_sample=network.apply == "sample",
        side=neurons[last]._replace(decay=0, current_decay=0 if array.has("cuba") else None, clamp=False),
        plan=noise_plan(network, torch_device, random=rounding == "random"),
    )


def forward(params: NetworkParams, weights: Sequence[Tensor], events: Tensor) -> list[LayerHistory]:
    """Samples that do not learn: `events` of shape (B, T, inputs), int64; `weights` as stored, int32."""
    histories = []
    for layer, coefficients in enumerate(params.neurons):
        shape = params.shapes[layer]
        active = _in_container(params, layer, weights[layer], params.learning[layer].active_shift)
        below = active[: events.shape[-1]]
        currents = (events.to(active.dtype) @ below).long()
        if shape.bias:
            currents += active[-1].long()
        own = active[len(below) : len(below) + currents.shape[-1]]
        state = neuron.first_state(coefficients, currents[:, 0])
        fired = torch.zeros_like(currents[:, 0])
        rows, steps, posts = [], [], []
        for step, below_current in enumerate(currents.unbind(1)):
            rows.append(_rows(shape, events[:, step], fired))
            returning = (fired.to(active.dtype) @ own).long() if shape.recurrent else 0
            state, out = neuron.step(coefficients, state, below_current + returning)
            fired = out.spikes
            steps.append((out.saturated, state.membrane, out.spikes, out.psi))
            if state.post is not None:
                posts.append(state.post)
        saturated, after, spikes, psi = (torch.stack(parts, 1) for parts in zip(*steps, strict=True))
        post = torch.stack(posts, 1) if posts else None
        histories.append(LayerHistory(torch.stack(rows, 1), saturated, after, spikes, psi, post))
        events = spikes
    return histories


def learn(
    params: NetworkParams,
    weights: Sequence[Tensor],
    events: Tensor,
    label: int,
    noise: SampleNoise,
    gate: Sequence[bool],
) -> Iterator[LearningStep]:
    """Learn one sample, step by step: `events` of shape (T, inputs), int64.

    `weights`, as stored, int32, move in place at every step that `gate` opens. What neurons see of them moves with
    them, or, where the network applies by sample, after the last step.
    """
    layers = range(len(params.neurons))
    shift = params.learning[0].active_shift
    seen = _Seen([stored >> shift for stored in weights], 0) if params.by_sample else _Seen(weights, shift)
    fired = [torch.zeros(weights[layer].shape[1], dtype=torch.int64, device=events.device) for layer in layers]
    traces = [torch.zeros(weights[layer].shape[0], dtype=torch.int64, device=events.device) for layer in layers]
    states = [neuron.first_state(params.neurons[layer], fired[layer]) for layer in layers]
    touched = traces
    eligible = {layer: weights[layer].long() * 0 for layer in layers if params.shapes[layer].eligibility}
    for time, below in enumerate(events.unbind(0)):
        inputs: list[Tensor] = []
        outputs: list[tuple[NeuronState, NeuronOutput]] = []
        for layer in layers:
            rows = _rows(params.shapes[layer], outputs[-1][1].spikes if outputs else below, fired[layer])
            current = _current(rows, seen.weights[layer], seen.shift, params.graded and layer == 0)
            states[layer], out = neuron.step(params.neurons[layer], states[layer], current)
            inputs.append(rows)
            outputs.append((states[layer], out))
            fired[layer] = out.spikes

        moved = [learning.trace_step(params.learning[layer], traces[layer], inputs[layer]) for layer in layers]
        visited = traces = [trace for trace, _ in moved]
        committing = params.by_sample and time == len(events) - 1
        if params.by_sample:
            touched = [before | now for before, now in zip(touched, traces, strict=True)]
            visited = touched if committing else traces
        words = noise.at(time)
        signals: list[SignalStep | None] = [None] * len(layers)
        if gate[time]:
            signals = _signals(params, seen, outputs, label, words)
        updates = []
        for layer, signal in enumerate(signals):
            eligibility = None
            kappa = outputs[layer][1].kappa
            if kappa is not None:
                eligibility = learning.eligibility(
                    params.learning[layer], eligible[layer], moved[layer][1], inputs[layer], kappa
                )
            moving = _Moving(inputs[layer], traces[layer], visited[layer], signal, committing, eligibility)
            updates.append(_updates(params, layer, weights[layer], moving, words))
        yield LearningStep(inputs, outputs, moved, signals, updates)


class _Seen(NamedTuple):
    """The weights that neurons and learning signals see, `weights >> shift`, a matrix per block."""

    weights: Sequence[Tensor]
    shift: int


class _Moving(NamedTuple):
    """What moves a layer's weights in a step: x, p, the rows that an update by traces visits, the factors."""

    events: Tensor
    trace: Tensor
    visited: Tensor
    signal: SignalStep | None
    committing: bool
    eligibility: Eligibility | None


def _signals(
    params: NetworkParams,
    seen: _Seen,
    outputs: Sequence[tuple[NeuronState, NeuronOutput]],
    label: int,
    noise: StepNoise,
) -> list[SignalStep | None]:
    """The factors of all layers in one step, from the readout down."""
    last = len(outputs) - 1
    out = outputs[last][1]
    on = out.membrane if params.readout.on_membrane else out.current
    factor, magnitude = _error_factor(params, on, label, noise.signal[last].round)
    signals: list[SignalStep | None] = [SignalStep(None, None, factor, magnitude, None, None, None)]
    for layer in range(last - 1, -1, -1):
        shape, own, out = params.shapes[layer], params.learning[layer], outputs[layer][1]
        side = None
        if shape.above is None:
            current = _current(out.spikes, seen.weights[shape.block], seen.shift, graded=False)
            _, own_out = neuron.step(params.side, neuron.first_state(params.side, current), current)
            side = SideStep(shape.block, own_out.membrane, own_out.saturated)
            on = own_out.membrane if params.readout.on_membrane else own_out.current
            source, _ = _error_factor(params, on, label, noise.side[shape.block])
        else:
            above = signals[shape.above - layer - 1]
            assert above is not None
            source = above.factor.sign() * UNIT if shape.sign else above.factor
        active = _in_container(params, shape.block, seen.weights[shape.block][: len(out.psi)], seen.shift)
        delta = (active @ source.to(active.dtype)).long()
        gathered = out.psi if out.post is None else out.psi | out.post
        factor, raw = learning.modulate(own, delta, out.psi, noise.signal[layer], own.signal_shift)
        post_factor = post_raw = None
        if out.post is not None:
            post_factor, post_raw = learning.modulate(own, delta, out.post, noise.post[layer], own.post_shift)
            post_factor = post_factor * own.post
        signals.insert(0, SignalStep(gathered, source, factor, raw, post_factor, post_raw, side))
    return signals


def _error_factor(params: NetworkParams, value: Tensor, label: int, noise: Tensor) -> tuple[Tensor, Tensor]:
    """The factors of a readout whose neurons hold `value`, and the magnitude of its error."""
    error = readout.error(params.readout, value, label)
    magnitude = error.abs()
    return learning.rounded(params.learning[-1], magnitude, noise) * error.sign(), magnitude


def _updates(
    params: NetworkParams, layer: int, stored: Tensor, moving: _Moving, noise: StepNoise
) -> tuple[Update, ...]:
    """Move the weights of one layer: by traces, then by events."""
    own, signal = params.learning[layer], moving.signal
    if not own.learns or (signal is None and not moving.committing and moving.eligibility is None):
        return ()
    words = noise.weight[layer]
    pre = learning.rounded(own, moving.trace, round_noise(words))
    factor = torch.zeros_like(stored[0], dtype=torch.int64) if signal is None else signal.factor
    if moving.eligibility is not None:
        return (learning.eligible_update(own, stored, Rows(moving.visited, words, words), factor, moving.eligibility),)
    by_traces = learning.update(own, stored, Rows(moving.visited, pre, words), factor, all_groups=moving.committing)
    if signal is None or signal.post_factor is None:
        return (by_traces,)
    words = noise.event[layer]
    pre = learning.event_factor(own, moving.events, round_noise(words))
    return by_traces, learning.update(own, stored, Rows(moving.events, pre, words), signal.post_factor)


def history_of(params: NetworkParams, steps: Sequence[LearningStep]) -> list[LayerHistory]:
    """All steps of a sample stacked: one `LayerHistory` of shape (T, n) per layer."""
    histories = []
    for layer in range(len(params.neurons)):
        outputs = [step.outputs[layer] for step in steps]
        posts = [state.post for state, _ in outputs if state.post is not None]
        histories.append(
            LayerHistory(
                events=torch.stack([step.inputs[layer] for step in steps]),
                saturated=torch.stack([out.saturated for _, out in outputs]),
                after=torch.stack([state.membrane for state, _ in outputs]),
                spikes=torch.stack([out.spikes for _, out in outputs]),
                psi=torch.stack([out.psi for _, out in outputs]),
                post=torch.stack(posts) if posts else None,
                learned=LearningHistory(
                    trace=torch.stack([step.traces[layer][0] for step in steps]),
                    trace_raw=torch.stack([step.traces[layer][1] for step in steps]),
                    signal=[step.signals[layer] for step in steps],
                    updates=[step.updates[layer] for step in steps],
                ),
            )
        )
    return histories


def _rows(shape: LayerShape, below: Tensor, own: Tensor) -> Tensor:
    """x of all rows of a layer, (..., rows): from below, its own spikes of the step before, the bias."""
    parts = [below]
    if shape.recurrent:
        parts.append(own)
    if shape.bias:
        parts.append(torch.ones_like(below[..., :1]))
    return torch.cat(parts, -1) if len(parts) > 1 else below


def _current(events: Tensor, stored: Tensor, active_shift: int, graded: bool) -> Tensor:
    """I of one step, `sum_j w_ij x_j`: events are few, so only their rows are read."""
    row = events.nonzero().squeeze(1)
    terms = stored.index_select(0, row).bitwise_right_shift_(active_shift)
    if graded:
        terms *= events.index_select(0, row).int().unsqueeze(1)
    # Below 2**31 even for 65535 inputs of 8 bits, and three times as fast as a sum in int64.
    return terms.sum(0, dtype=torch.int32).long()


def _in_container(params: NetworkParams, block: int, stored: Tensor, shift: int) -> Tensor:
    """A block's active weights in floats, for there is no integer matmul on every device: see `container`."""
    return (stored >> shift).to(params.containers[block])
