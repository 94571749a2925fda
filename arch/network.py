# SPDX-License-Identifier: Apache-2.0
"""A network as the host describes it: layers of integers, nothing that depends on the number of lanes."""

from __future__ import annotations

from typing import Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from .array import ErrorKind
from .formats import RATE_SHIFT_MAX, SIGNAL_SHIFT_MAX

SURROGATE_ENTRIES = 16

Gate = Literal["all", "last", "after", "random"]
Signal = Literal["backprop", "local", "feedback", "sign-feedback"]


class Layer(BaseModel):
    """One dense layer: its synapses and its neurons.

    Its rows are the `inputs` from below, then, if it is `recurrent`, one for each of its own neurons, which brings that
    neuron's spike of the step before, then, if it has a `bias`, one that always fires. Decays are numerators over
    `2**decay_bits` of the array; thresholds are in units of the active weight.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    inputs: int = Field(ge=1, le=65535)
    outputs: int = Field(ge=1, le=65535)
    spiking: bool = True
    recurrent: bool = False
    bias: bool = False
    start: Literal["normal", "identity"] = Field(default="normal", description="its weights before anything is learned")
    decay: int = Field(default=128, ge=0, le=4096, description="leak of the membrane; 2**decay_bits is no leak")
    threshold: int = Field(default=128, ge=1, le=32767)
    thresholds: tuple[int, ...] | None = Field(default=None, description="one per neuron, instead of `threshold`")
    reset: Literal["soft", "hard", "none"] = "soft"
    current_decay: int = Field(default=0, ge=0, le=4096, description="leak of the synaptic current; 0: none is kept")
    clamp: bool = Field(default=False, description="membranes below 0 become 0, and their psi with them")
    learns: bool = Field(default=True, description="whether its weights move")
    surrogate_shift: int = Field(default=4, ge=0, le=15, description="index = abs(u - threshold) >> surrogate_shift")
    trace_decay: int = Field(default=128, ge=0, le=4096, description="decay of the pre trace; 0 makes it the event")
    trace_shift: int = Field(default=7, ge=0, le=7, description="an event of value x adds x << trace_shift")
    rate_shift: int = Field(default=9, ge=0, le=RATE_SHIFT_MAX, description="weights move by (G * p) >> rate_shift")
    signal: Signal = Field(default="backprop", description="where its neurons' learning signal comes from")
    fixed: Literal["random", "square-wave"] = Field(default="random", description="the matrix of any other signal")
    signal_shift: int = Field(default=8, ge=0, le=SIGNAL_SHIFT_MAX, description="G = (delta * psi) >> signal_shift")
    post: Literal[-1, 0, 1] = Field(default=0, description="sign of the update by events, H x; 0: there is none")
    post_decay: int = Field(default=0, ge=0, le=4096, description="decay of the post trace")
    post_read: Literal["old", "decayed"] = Field(default="old", description="the post trace as H takes it")
    post_shift: int = Field(default=11, ge=0, le=SIGNAL_SHIFT_MAX, description="H = (delta * q) >> post_shift")
    eligibility: bool = Field(default=False, description="a trace per synapse, which the reset shortens, in place of p")

    @property
    def rows(self) -> int:
        """Rows of its weights: inputs, own neurons, bias."""
        return self.inputs + self.outputs * self.recurrent + self.bias


class Block(NamedTuple):
    """One matrix of weights: the synapses of `layer`, or the fixed matrix that its learning signal comes through."""

    layer: int
    fixed: bool
    rows: int
    columns: int


class Network(BaseModel):
    """Layers in order, the last one a readout that integrates and does not spike.

    The readout's error is taken from its input `current` of the step, or from its `membrane`; `error_shift` scales it:
    for `softmax` the probability halves every `2**(error_shift + 5)` units, for `mse` the error is
    `(y >> error_shift) - 128 * onehot`. `gate` says which steps learn (`arch/gate.py`), `apply` when what was learned
    acts: in the next step, or in the next sample.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    layers: tuple[Layer, ...] = Field(min_length=1)
    surrogate: tuple[int, ...] = Field(min_length=SURROGATE_ENTRIES, max_length=SURROGATE_ENTRIES)
    error: ErrorKind = "softmax"
    error_on: Literal["current", "membrane"] = "current"
    error_shift: int = Field(default=1, ge=0, le=15)
    gate: Gate = "all"
    gate_steps: int = Field(default=0, ge=0, description="the last so many learn, all but the first, or so many by lot")
    apply: Literal["step", "sample"] = "step"

    @model_validator(mode="after")
    def _check(self) -> Self:
        for index, (below, above) in enumerate(zip(self.layers, self.layers[1:], strict=False)):
            if below.outputs != above.inputs:
                raise ValueError(
                    f"layer {index} has {below.outputs} outputs but layer {index + 1} takes {above.inputs} inputs"
                )
        for index, layer in enumerate(self.layers):
            last = index == len(self.layers) - 1
            if layer.spiking == last:
                raise ValueError(f"layer {index}: the last layer, and only it, is a readout (spiking = false)")
            if last and (layer.recurrent or layer.post or layer.eligibility or layer.signal != "backprop"):
                raise ValueError(
                    f"layer {index}: a readout has no recurrent rows, no post trace, no eligibility and no signal"
                )
            if layer.eligibility and (layer.post or layer.current_decay or layer.clamp):
                raise ValueError(f"layer {index}: eligibility goes without post, current_decay and clamp")
            if layer.eligibility and layer.decay > layer.trace_decay:
                needed = f"trace_decay ({layer.trace_decay}) to be at least decay ({layer.decay})"
                raise ValueError(f"layer {index}: eligibility needs {needed}")
            if layer.thresholds is not None and (
                len(layer.thresholds) != layer.outputs
                or not 1 <= min(layer.thresholds) <= max(layer.thresholds) < 2**15
            ):
                raise ValueError(f"layer {index}: thresholds must be {layer.outputs} integers of 1 to 32767")
            if layer.start == "identity" and layer.inputs != layer.outputs:
                raise ValueError(f"layer {index}: an identity has as many inputs as outputs")
        if min(self.surrogate) < 0:
            raise ValueError("surrogate entries must not be negative")
        return self

    @property
    def inputs(self) -> int:
        """Input axons."""
        return self.layers[0].inputs

    @property
    def outputs(self) -> int:
        """Classes."""
        return self.layers[-1].outputs

    @property
    def sizes(self) -> tuple[int, ...]:
        """Widths from the input to the readout, as `784-256-10` is written."""
        return (self.inputs, *(layer.outputs for layer in self.layers))

    @property
    def blocks(self) -> tuple[Block, ...]:
        """All matrices of weights: the layers', then a fixed one, (neurons, classes), for each that needs one."""
        synapses = [Block(index, False, layer.rows, layer.outputs) for index, layer in enumerate(self.layers)]
        fixed = [
            Block(index, True, layer.outputs, self.outputs)
            for index, layer in enumerate(self.layers)
            if layer.signal != "backprop"
        ]
        return (*synapses, *fixed)

    def signal_block(self, layer: int) -> int:
        """Index in `blocks` of the matrix that the learning signal of `layer` is gathered from."""
        if self.layers[layer].signal == "backprop":
            return layer + 1
        return next(index for index, block in enumerate(self.blocks) if block.fixed and block.layer == layer)
