# SPDX-License-Identifier: Apache-2.0
"""A network as the host describes it: layers of integers, nothing that depends on the number of lanes."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from .formats import RATE_SHIFT_MAX, SIGNAL_SHIFT_MAX

SURROGATE_ENTRIES = 16


class Layer(BaseModel):
    """One dense layer: its synapses (`inputs` rows) and its neurons.

    Decays are numerators over `2**decay_bits` of the array; thresholds are in units of the active weight.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    inputs: int = Field(ge=1, le=65535)
    outputs: int = Field(ge=1, le=65535)
    spiking: bool = True
    decay: int = Field(default=128, ge=0, le=4096, description="leak of the membrane; 2**decay_bits is no leak")
    threshold: int = Field(default=128, ge=1, le=32767)
    reset: Literal["soft", "hard", "none"] = "soft"
    current_decay: int = Field(default=0, ge=0, le=4096, description="leak of the synaptic current; 0: none is kept")
    clamp: bool = Field(default=False, description="membranes below 0 become 0, and their psi with them")
    learns: bool = Field(default=True, description="whether its weights move")
    surrogate_shift: int = Field(default=4, ge=0, le=15, description="index = abs(u - threshold) >> surrogate_shift")
    trace_decay: int = Field(default=128, ge=0, le=4096, description="decay of the pre trace; 0 makes it the event")
    trace_shift: int = Field(default=7, ge=0, le=7, description="an event of value x adds x << trace_shift")
    rate_shift: int = Field(default=9, ge=0, le=RATE_SHIFT_MAX, description="weights move by (G * p) >> rate_shift")
    signal_shift: int = Field(default=8, ge=0, le=SIGNAL_SHIFT_MAX, description="G = (delta * psi) >> signal_shift")


class Network(BaseModel):
    """Layers in order, the last one a readout that integrates and does not spike.

    The readout's error is taken from its input `current` of the step, or from its `membrane`; `error_shift` scales it:
    for `softmax` the probability halves every `2**(error_shift + 5)` units, for `mse` the error is
    `(y >> error_shift) - 128 * onehot`. `gate` says which steps learn (`arch/gate.py`).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    layers: tuple[Layer, ...] = Field(min_length=1)
    surrogate: tuple[int, ...] = Field(min_length=SURROGATE_ENTRIES, max_length=SURROGATE_ENTRIES)
    error: Literal["softmax", "mse"] = "softmax"
    error_on: Literal["current", "membrane"] = "current"
    error_shift: int = Field(default=1, ge=0, le=15)
    gate: Literal["all", "last", "after", "random"] = "all"
    gate_steps: int = Field(default=0, ge=0, description="the last so many learn, all but the first, or so many by lot")

    @model_validator(mode="after")
    def _check(self) -> Self:
        for index, (below, above) in enumerate(zip(self.layers, self.layers[1:], strict=False)):
            if below.outputs != above.inputs:
                raise ValueError(
                    f"layer {index} has {below.outputs} outputs but layer {index + 1} takes {above.inputs} inputs"
                )
        for index, layer in enumerate(self.layers):
            if layer.spiking == (index == len(self.layers) - 1):
                raise ValueError(f"layer {index}: the last layer, and only it, is a readout (spiking = false)")
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
