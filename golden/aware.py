# SPDX-License-Identifier: Apache-2.0
"""Training for few bits: an imported network whose forward pass is the array's integers, with gradients."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple, get_args

import torch
from torch import Tensor, nn

from ..arch.array import ArrayConfig
from ..arch.errors import ConfigurationError, did_you_mean
from ..arch.graph import Graph, Node, Source
from . import neuron
from .chain import Stage, chain
from .floating.surrogates import surrogate_named
from .network import container
from .neuron import NeuronParams, NeuronState
from .quantise import Method, Quantised, quantise, scale_of


class Run(NamedTuple):
    """What a batch did, all with gradients: `readout` (B, classes) in the network's own units; integers of each layer,
    `membranes` after the reset, the readout's last, and `spikes` of the spiking ones, (B, T, neurons).
    """

    readout: Tensor
    membranes: list[Tensor]
    spikes: list[Tensor]


class QuantisedNetwork(nn.Module):
    """`graph` as the array computes it, every step the golden model's; what is trained are the real weights behind it.

    Parameters, in 64 bits: `weights[l]` (neurons, inputs), and `recurrent[l]` (neurons, neurons) and `biases[l]`
    (neurons,) of the layers that have them. Each pass rounds them as `quantise(graph, array, method=method)` does, so
    that its spikes, membranes and readout are those of `GoldenDevice` on `quantised()`. A layer whose biases are all 0
    has none, and the one that counts the spikes of a spiking output has no parameters. Leaks and thresholds stay.

    Gradients go straight through rounding; nothing passes where a state saturated; a scale and the spike in a reset are
    constants; ds/du = psi((u - theta) / theta) / theta with the `surrogate` of `golden.floating.surrogates`.

    Raises `DoesNotFitError` as `quantise` does, and `ConfigurationError` for unknown names.
    """

    def __init__(
        self,
        graph: Graph,
        array: ArrayConfig | None = None,
        *,
        method: Method = "channel",
        surrogate: str = "fast-sigmoid-5",
    ) -> None:
        super().__init__()
        if method not in get_args(Method):
            raise ConfigurationError(f"no method is called {method!r}", did_you_mean(method, get_args(Method)))
        made = quantise(graph, array, method=method)
        stages, _ = chain(graph)
        self.array = made.array
        self.method: Method = method
        self.surrogate = surrogate
        surrogate_named(surrogate)
        self._graph = graph
        self._stages = stages
        self._layers = made.network.layers
        self._params = [
            neuron.neuron_params(made.network, made.array, index)._replace(post=None, eligibility=False)
            for index in range(len(stages))
        ]
        # A layer behind the last spikes keeps nothing; what counts them keeps all.
        counts = stages[-1].name == graph.of_kind("output")[0].name and stages[-1].neuron.decay.all()
        trained = stages[:-1] if counts else stages
        self.weights = nn.ParameterList([torch.tensor(stage.weight) for stage in trained])
        self.recurrent = nn.ParameterDict(
            {str(index): torch.tensor(s.recurrent) for index, s in enumerate(trained) if s.recurrent is not None}
        )
        self.biases = nn.ParameterDict(
            {str(index): torch.tensor(stage.bias) for index, stage in enumerate(trained) if stage.bias.any()}
        )

    def forward(self, inputs: Tensor) -> Tensor:
        """The readout, (B, classes), of `run`: what a loss takes."""
        return self.run(inputs).readout

    def run(self, inputs: Tensor) -> Run:
        """Samples (B, T, inputs) of whole numbers, of any type, from zero states.

        Raises `ConfigurationError` on another shape, on values that `event_bits` do not hold, and where a parameter is
        not finite.
        """
        self._check_finite()
        events = self._checked(inputs)
        membranes, spikes = [], []
        for index, params in enumerate(self._params):
            active, scale, threshold = self._integers(index, events.device)
            after, fired = self._layer(index, params._replace(threshold=threshold), active, events)
            membranes.append(after)
            if params.spiking:
                spikes.append(fired)
            events = fired
        return Run(membranes[-1][:, -1] / scale.to(membranes[-1].dtype), membranes, spikes)

    def graph(self) -> Graph:
        """The network with the weights as trained, for `quantise`, `FloatDevice` and whatever takes a graph.

        Raises `ConfigurationError` where a parameter is not finite.
        """
        self._check_finite()
        source = self._graph.of_kind("input")[0]
        output = self._graph.of_kind("output")[0]
        by_name = {node.name: node for node in self._graph.nodes}
        nodes = [source]
        before = source.name
        for index, stage in enumerate(self._stages[: len(self.weights)]):
            parameters: dict[str, Any] = {"weight": _array(self.weights[index])}
            if str(index) in self.biases:
                parameters["bias"] = _array(self.biases[str(index)])
            before = self._linear(nodes, f"{stage.name}.weight", Source(before), parameters)
            if stage.name == output.name:
                break
            sources = [Source(before)]
            if str(index) in self.recurrent:
                late = Source(stage.name, late=True)
                own = {"weight": _array(self.recurrent[str(index)])}
                sources.append(Source(self._linear(nodes, f"{stage.name}.recurrent", late, own)))
            # The gains are in the weights already.
            plain = replace(stage.neuron, gain=None, current_gain=None)
            nodes.append(replace(by_name[stage.name], sources=tuple(sources), neuron=plain))
            before = stage.name
        nodes.append(replace(output, sources=(Source(before),)))
        return replace(self._graph, nodes=tuple(nodes))

    def quantised(self, **words: Any) -> Quantised:
        """`quantise(self.graph(), self.array, method=self.method, **words)`: what devices and model files take."""
        return quantise(self.graph(), self.array, method=self.method, **words)

    @staticmethod
    def _linear(nodes: list[Node], name: str, source: Source, parameters: dict[str, Any]) -> str:
        shape = (len(parameters["weight"]),)
        nodes.append(Node(name=name, kind="linear", shape=shape, sources=(source,), parameters=parameters))
        return name

    def _check_finite(self) -> None:
        for name, values in self.named_parameters():
            if not bool(values.isfinite().all()):
                raise ConfigurationError(f"{name} holds numbers that are not finite", "train it more slowly")

    def _checked(self, inputs: Tensor) -> Tensor:
        wanted = self._layers[0].inputs
        if not isinstance(inputs, Tensor):
            raise ConfigurationError(f"inputs are {type(inputs).__name__}, not a tensor", "torch.as_tensor makes one")
        if inputs.ndim != 3 or 0 in inputs.shape or inputs.shape[2] != wanted:
            raise ConfigurationError(
                f"inputs have shape {tuple(inputs.shape)}", f"give (samples, steps, {wanted}), none of them empty"
            )
        most = (1 << self.array.event_bits) - 1
        whole = inputs.round() if inputs.is_floating_point() else inputs
        # Comparisons that are false for what is no number, too.
        if not bool(((inputs >= 0) & (inputs <= most) & (inputs == whole)).all()):
            raise ConfigurationError(
                f"inputs are not all whole numbers of 0 to {most}", "bin or clip them, or raise event_bits"
            )
        return inputs

    def _stage(self, index: int) -> tuple[Tensor, Stage]:
        """Weights (rows, neurons) of a layer in the order of the array's rows."""
        stage, key = self._stages[index], str(index)
        if index == len(self.weights):
            return torch.tensor(stage.weight.T), stage
        rows = [self.weights[index].T]
        if key in self.recurrent:
            rows.append(self.recurrent[key].T)
        if key in self.biases:
            rows.append(self.biases[key][None])
        return torch.cat(rows).double(), stage

    def _integers(self, index: int, torch_device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
        """Active weights (rows, neurons), held in floats; integers for 1.0 and thresholds, (neurons,)."""
        real, stage = self._stage(index)
        real = real.to(torch_device)
        limits = None if stage.neuron.threshold is None else stage.neuron.threshold.reshape(-1)
        scale = torch.as_tensor(scale_of(_array(real), limits, self.array, self.method)).to(torch_device)
        top = (1 << (self.array.synapse_bits - 1)) - 1
        active: Tensor = _Rounded.apply(real * scale, top)  # type: ignore[no-untyped-call]
        if limits is None:
            threshold = torch.ones(real.shape[1], dtype=torch.int64, device=torch_device)
        else:
            threshold = (torch.as_tensor(limits).to(torch_device) * scale).floor().long() + 1
        return active.to(container(self.array, *real.shape)), scale, threshold

    def _layer(self, index: int, params: NeuronParams, active: Tensor, events: Tensor) -> tuple[Tensor, Tensor]:
        """Membranes after the reset, and spikes, (B, T, neurons) each; `golden.network.forward` of one layer."""
        layer, key = self._layers[index], str(index)
        params = params._replace(surrogate=params.surrogate.to(active.device))
        currents = events.to(active.dtype) @ active[: layer.inputs]
        if key in self.biases:
            currents = currents + active[-1]
        own = active[layer.inputs : layer.inputs + layer.outputs] if layer.recurrent else None
        zero = torch.zeros_like(currents[:, 0])
        membrane, fired, kept = zero, zero, None if params.current_decay is None else zero
        membranes, spikes = [], []
        for current in currents.unbind(1):
            arriving = current if own is None else current + fired @ own
            membrane, kept, fired = _Step.apply(params, self.surrogate, membrane, kept, arriving)  # type: ignore[no-untyped-call]
            membranes.append(membrane)
            spikes.append(fired)
        return torch.stack(membranes, 1), torch.stack(spikes, 1)


class _Rounded(torch.autograd.Function):
    """To the nearest integer of the format; the derivative is 1."""

    @staticmethod
    def forward(ctx: Any, wanted: Tensor, top: int) -> Tensor:
        return wanted.round().clamp(-top - 1, top)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return gradients[0], None


class _Step(torch.autograd.Function):
    """`neuron.step` of integers held in floats: v', c' and s of v, c and I."""

    @staticmethod
    def forward(
        ctx: Any, params: NeuronParams, surrogate: str, membrane: Tensor, kept: Tensor | None, current: Tensor
    ) -> tuple[Tensor, Tensor | None, Tensor]:
        state = NeuronState(membrane.long(), None if kept is None else kept.long(), None)
        after, out = neuron.step(params, state, current.long())
        kind = current.dtype
        ctx.params, ctx.psi = params, surrogate_named(surrogate)
        ctx.save_for_backward(out.membrane.to(kind), out.spikes > 0, out.saturated)
        return after.membrane.to(kind), None if after.current is None else after.current.to(kind), out.spikes.to(kind)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[None, None, Tensor, Tensor | None, Tensor]:
        membrane, fired, saturated = ctx.saved_tensors
        params: NeuronParams = ctx.params
        after, kept, spikes = gradients
        assert after is not None
        assert spikes is not None
        back = after
        if params.spiking:
            threshold = torch.as_tensor(params.threshold, dtype=membrane.dtype)
            passed = after.masked_fill(fired, 0) if params.reset == "hard" else after
            back = passed + spikes * ctx.psi((membrane - threshold) / threshold) / threshold
        one = 1 << params.decay_bits
        back = back.masked_fill(saturated, 0)
        below = back if kept is None else (back + kept).masked_fill(saturated, 0)
        left = None if kept is None else below * ((params.current_decay or 0) / one)
        return None, None, back * (params.decay / one), left, below


def _array(value: Tensor) -> Any:
    """As numpy's 64-bit floats."""
    return value.detach().double().cpu().numpy()
