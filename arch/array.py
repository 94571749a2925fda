# SPDX-License-Identifier: Apache-2.0
"""Build-time configuration of the array: widths, lanes, depths and optional units."""

from __future__ import annotations

from typing import Final, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from .formats import QFormat

Unit = Literal["cuba", "post-trace", "shadow", "recurrent", "bias", "thresholds", "feedback", "eligibility"]

ErrorKind = Literal["softmax", "mse"]
"""What a readout's error can be."""

UNITS: dict[Unit, str] = {
    "cuba": "a synaptic current with a leak of its own, and a clamp of the membrane at 0",
    "post-trace": "a trace of psi per neuron, and a second update by events",
    "shadow": "an active copy of the weights, renewed at the end of a sample",
    "recurrent": "rows of a layer's own spikes of the step before",
    "bias": "a row that always fires",
    "thresholds": "a threshold per neuron",
    "feedback": "learning signals through fixed matrices: local readouts, feedback of the error or of its sign",
    "eligibility": "a trace per synapse, which the neuron's reset shortens",
}
"""What an array can be built with beyond the plain law. A unit that is left out costs nothing."""


def ceil_log2(value: int) -> int:
    """Bits needed to count to `value` exclusive: `ceil(log2(value))`, and 0 for 1."""
    return (value - 1).bit_length()


NUMBERS: Final = frozenset(
    {"weight_bits", "synapse_bits", "membrane_bits", "decay_bits", "surrogate_bits", "event_bits", "products"}
)
"""Settings of `ArrayConfig` that decide what an array computes; all others say how large and how fast it is, and what
is built besides."""


class ArrayConfig(BaseModel):
    """What is fixed when the hardware is built. Everything else is written by the host.

    Neuron `n` of a layer lives in group `n // parallel`, lane `(n % parallel) // cores`, core `n % cores`, where
    `parallel = cores * lanes`: a core's own index of it is `n // cores`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    cores: Literal[1, 2, 4, 8] = 1
    lanes: Literal[1, 2, 4, 8, 16] = 16
    weight_bits: int = Field(default=16, ge=4, le=16, description="bits of a stored weight")
    synapse_bits: int = Field(default=8, ge=4, le=8, description="top bits of the stored weight that the synapse uses")
    membrane_bits: int = Field(default=16, ge=8, le=16)
    decay_bits: int = Field(default=8, ge=4, le=12, description="fraction bits of leaks and trace decays")
    surrogate_bits: int = Field(default=4, ge=1, le=8, description="bits of psi")
    event_bits: int = Field(default=1, ge=1, le=8, description="bits of a graded input; 1: spikes only, no shifter")
    products: Literal["shift", "exact"] = "shift"
    units: tuple[Unit, ...] = Field(default=(), description="optional units, of `UNITS`")
    signatures: bool = Field(default=False, description="write signatures, for verification")
    errors: tuple[ErrorKind, ...] = Field(
        default=("softmax", "mse"), min_length=1, description="kinds of the readout's error that are built"
    )
    probes: bool = Field(default=True, description="states of neurons and recorded spikes for the host")
    counters: bool = Field(default=True, description="counters of events, words and clocks; without, they read as 0")

    weight_words: int = Field(default=4096, ge=1, le=1 << 18, description="weight words per core, `lanes` weights each")
    groups: int = Field(default=64, ge=1, le=1 << 12, description="neuron groups over all layers")
    axons: int = Field(default=1024, ge=1, le=1 << 16, description="rows over all layers, for traces and lists")
    events: int = Field(default=1024, ge=1, le=1 << 16, description="entries of one event list")
    sparse_inputs: bool = Field(
        default=False, description="event lists may be shorter than the input is wide; a step with more is refused"
    )
    layers: int = Field(default=8, ge=1, le=16, description="entries of the descriptor table")
    classes: int = Field(default=16, ge=2, le=64, description="most outputs of the readout")
    traces_per_word: Literal[1, 2, 4, 8] = 1
    serial_products: Literal["adders", "multipliers"] = Field(
        default="adders", description="how the products of leaks, decays and psi are made; none of them is per lane"
    )
    noise_latency: Literal[2, 6] = Field(
        default=6, description="clocks of the noise hash; 2 needs fewer registers and a slow clock"
    )
    pipeline: Literal["long", "short"] = Field(
        default="long", description="registers between steps; the short one needs fewer of them and a slow clock"
    )
    weight_memory: Literal["dual", "single"] = Field(
        default="dual", description="ports of the weight memory; with a single one UPDATE takes two clocks a word"
    )

    event_readers: Literal["both", "turns"] = Field(
        default="both",
        description="the trace sweep reads events beside SCATTER, from a copy of the lists, or before it",
    )

    @field_validator("units")
    @classmethod
    def _in_order(cls, units: tuple[Unit, ...]) -> tuple[Unit, ...]:
        return tuple(unit for unit in UNITS if unit in units)

    @field_validator("errors")
    @classmethod
    def _errors_in_order(cls, errors: tuple[ErrorKind, ...]) -> tuple[ErrorKind, ...]:
        return tuple(error for error in get_args(ErrorKind) if error in errors)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.synapse_bits > self.weight_bits:
            raise ValueError(f"synapse_bits ({self.synapse_bits}) must not exceed weight_bits ({self.weight_bits})")
        if self.pipeline == "short" and self.has("eligibility"):
            raise ValueError('eligibility takes pipeline = "long"')
        if self.groups * self.parallel < self.classes:
            raise ValueError(
                f"groups * cores * lanes ({self.groups * self.parallel}) must reach classes ({self.classes})"
            )
        return self

    @property
    def parallel(self) -> int:
        """Lanes over all cores: neurons handled at once."""
        return self.cores * self.lanes

    @property
    def update_clocks(self) -> int:
        """Clocks between two words of UPDATE."""
        return 1 if self.weight_memory == "dual" else 2

    def has(self, unit: Unit) -> bool:
        """Whether the array is built with `unit`."""
        return unit in self.units

    @property
    def lane_bits(self) -> int:
        """Bits of a weight word per lane: the stored weight, and above it the active copy of a `shadow` array."""
        return self.weight_bits + (self.synapse_bits if self.has("shadow") else 0)

    @property
    def layer_bits(self) -> int:
        """Bits of an index into the descriptor table."""
        return max(3, ceil_log2(self.layers))

    @property
    def weight(self) -> QFormat:
        """Stored weight."""
        return QFormat(bits=self.weight_bits, frac=self.weight_bits - 1)

    @property
    def synapse(self) -> QFormat:
        """The part of a weight that SCATTER and GATHER see: `stored >> (weight_bits - synapse_bits)`."""
        return QFormat(bits=self.synapse_bits, frac=self.synapse_bits - 1)

    @property
    def membrane(self) -> QFormat:
        """Membrane potential, in units of the active weight."""
        return QFormat(bits=self.membrane_bits)

    @property
    def current(self) -> QFormat:
        """Sum of a step's input, wide enough never to overflow for `events` events of `event_bits` bits."""
        return QFormat(bits=self.synapse_bits + ceil_log2(self.events + 1) + self.event_bits - 1)

    @property
    def output(self) -> QFormat:
        """What a readout's error is taken from: a step's input, a synaptic current or a membrane."""
        return QFormat(bits=max(self.current.bits, self.membrane_bits))

    @property
    def signal(self) -> QFormat:
        """Gathered learning signal delta, wide enough never to overflow over `groups` groups."""
        return QFormat(bits=self.synapse_bits + 9 + ceil_log2(self.parallel * self.groups))

    @property
    def surrogate_max(self) -> int:
        """Largest psi."""
        return (1 << self.surrogate_bits) - 1

    @property
    def decay_one(self) -> int:
        """The decay that stands for 1.0: no leak."""
        return 1 << self.decay_bits

    @property
    def row_bits(self) -> int:
        """Bits of a row (pre neuron) or neuron index."""
        return max(1, ceil_log2(max(self.axons, self.groups * self.parallel)))

    @property
    def count_bits(self) -> int:
        """Bits of a list's length."""
        return ceil_log2(max(self.axons, self.events, self.groups * self.parallel) + 1)

    @property
    def group_bits(self) -> int:
        """Bits of a neuron group's index."""
        return max(1, ceil_log2(self.groups))

    @property
    def state_bits(self) -> int:
        """Bits of a neuron's index in its core: group and lane."""
        return max(1, ceil_log2(self.groups * self.lanes))

    @property
    def weight_address_bits(self) -> int:
        """Bits of a weight word's address."""
        return max(1, ceil_log2(self.weight_words))

    @property
    def trace_words(self) -> int:
        """Words of trace memory."""
        return -(-self.axons // self.traces_per_word)

    @property
    def weight_bytes(self) -> int:
        """Bytes of weight memory over all cores."""
        return self.weight_words * self.parallel * self.lane_bits // 8
