# SPDX-License-Identifier: Apache-2.0
"""The register map: one table from which the hardware, the drivers and the documentation are made.

A host address is 28 bits of 32-bit words: the space in bits 27..24, the offset in bits 23..0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Literal

from .array import UNITS, ArrayConfig, Unit
from .network import Layer, Network
from .placement import Placement

ADDRESS_BITS = 28
DATA_BITS = 32
OFFSET_BITS = 24
IDENTITY = 0x54524946
"""'TRIF'."""
MAP_VERSION = 3


class Space(IntEnum):
    """What the upper four address bits select."""

    REGISTERS = 0
    DESCRIPTORS = 1
    SURROGATE = 2
    WEIGHTS = 3
    MEMBRANES = 4
    TRACES = 5
    FACTORS = 6
    THRESHOLDS = 7
    POST_TRACES = 8


@dataclass(frozen=True, kw_only=True)
class Register:
    """One 32-bit register. `access`: rw host writes, ro hardware writes, wo a write acts and reads give 0."""

    name: str
    offset: int
    access: Literal["rw", "ro", "wo"]
    doc: str
    bits: int = 32


COUNTERS: tuple[tuple[str, str], ...] = (
    ("samples", "samples begun"),
    ("steps", "time steps done"),
    ("events", "event-list entries read forward"),
    ("spikes", "spikes of spiking layers"),
    ("scatter_words", "words read by SCATTER"),
    ("fire_groups", "neuron groups fired"),
    ("gather_words", "words read by GATHER"),
    ("update_words", "words rewritten by UPDATE"),
    ("update_words_skipped", "words whose G are all zero, not visited"),
    ("gather_rows", "rows with psi or q != 0"),
    ("update_rows", "rows visited by UPDATE"),
    ("rows_skipped", "rows that an UPDATE did not visit"),
    ("weight_updates", "synapses visited whose G, or H, is not 0"),
    ("membrane_saturations", "membranes clamped"),
    ("trace_saturations", "pre traces clamped"),
    ("signal_saturations", "modulated signals clamped"),
    ("weight_saturations", "weights clamped"),
)
"""Counters that the golden model must match, in register order."""

CYCLE_COUNTERS: tuple[tuple[str, str], ...] = (
    ("cycles", "clock cycles while a step is in work"),
    ("cycles_forward", "of which forward: SCATTER and FIRE"),
    ("cycles_error", "of which the error at the readout"),
    ("cycles_gather", "of which GATHER and MODULATE"),
    ("cycles_update", "of which UPDATE"),
)
"""Counters that only the hardware has."""

SIGNATURES: tuple[tuple[str, str], ...] = (
    ("signature_weights", "write signature of the weights"),
    ("signature_neurons", "write signature of membranes, spikes and psi"),
    ("signature_traces", "write signature of the pre traces"),
)

_FIXED: tuple[tuple[str, Literal["rw", "ro", "wo"], int, str], ...] = (
    ("identity", "ro", 32, "0x54524946, 'TRIF'"),
    ("version", "ro", 32, "version of this map"),
    ("shape", "ro", 32, "cores in bits 7..0, lanes in 15..8, weight_bits in 23..16, synapse_bits in 31..24"),
    ("command", "wo", 2, "bit 0: clear all memories; bit 1: clear counters and signatures"),
    ("status", "ro", 4, "bit 0: busy; until counters are cleared: 1 list overflow, 2 bad row, 3 item out of place"),
    ("seed", "rw", 32, "seed of the noise hash"),
    ("sample", "rw", 32, "number of the sample in work or next; counts up at the end of each"),
    ("layers", "rw", 5, "layers in use"),
    ("error", "rw", 8, "bit 0: mse, not softmax; bit 1: on the membrane, not the current; 7..4: error_shift"),
    ("record", "rw", 1, "bit 0: send every spike to the event stream"),
    ("apply", "rw", 1, "bit 0: weights act from the next sample on, not from the next step"),
    ("units", "ro", 8, "optional units that the array has, a bit each"),
)  # fmt: skip

REGISTERS: tuple[Register, ...] = tuple(
    Register(name=name, offset=offset, access=access, bits=bits, doc=doc)
    for offset, (name, access, bits, doc) in enumerate(
        (
            *_FIXED,
            *((name, "ro", 32, doc) for name, doc in COUNTERS),
            *((name, "ro", 32, doc) for name, doc in CYCLE_COUNTERS),
            *((name, "ro", 32, doc) for name, doc in SIGNATURES),
        )
    )
)
BY_NAME: dict[str, Register] = {register.name: register for register in REGISTERS}

DESCRIPTOR_WORDS = 8
CONTENT_WORDS = 2
"""Behind the table: the hash of what was loaded (`arch.content`), its upper half first."""
RESET_CODES = {"soft": 0, "hard": 1, "none": 2}


@dataclass(frozen=True, kw_only=True)
class Field:
    """One field of a descriptor: `width` bits at `lsb` of `word`; read by arrays that have `unit`, if it names one."""

    name: str
    word: int
    lsb: int
    width: int
    doc: str
    unit: Unit | None = None


DESCRIPTOR: tuple[Field, ...] = (
    Field(name="inputs", word=0, lsb=0, width=16, doc="rows"),
    Field(name="outputs", word=0, lsb=16, width=16, doc="neurons"),
    Field(name="groups", word=1, lsb=0, width=16, doc="ceil(outputs / (cores * lanes))"),
    Field(name="state_base", word=1, lsb=16, width=16, doc="first neuron group"),
    Field(name="weight_base", word=2, lsb=0, width=20, doc="first weight word"),
    Field(name="list_base", word=3, lsb=0, width=16, doc="first entry of the update list"),
    Field(name="trace_base", word=3, lsb=16, width=16, doc="first trace word"),
    Field(name="threshold", word=4, lsb=0, width=16, doc="threshold"),
    Field(name="decay", word=4, lsb=16, width=13, doc="leak of the membrane"),
    Field(name="trace_decay", word=5, lsb=0, width=13, doc="decay of the pre trace"),
    Field(name="trace_shift", word=5, lsb=16, width=4, doc="an event of value x adds x << trace_shift"),
    Field(name="surrogate_shift", word=5, lsb=20, width=4, doc="index of the surrogate table"),
    Field(name="reset", word=5, lsb=24, width=2, doc="0 soft, 1 hard, 2 none"),
    Field(name="spiking", word=5, lsb=26, width=1, doc="0 in the readout"),
    Field(name="clamp", word=5, lsb=27, width=1, doc="membranes below 0 become 0", unit="cuba"),
    Field(name="learns", word=5, lsb=28, width=1, doc="weights move"),
    Field(name="rate_shift", word=6, lsb=0, width=5, doc="shift of the weight update"),
    Field(name="signal_shift", word=6, lsb=8, width=4, doc="shift of delta * psi of this layer's neurons"),
    Field(name="post_shift", word=6, lsb=12, width=4, doc="shift of delta * q", unit="post-trace"),
    Field(name="gather_base", word=6, lsb=16, width=16, doc="first entry of the list of neurons with psi != 0"),
    Field(
        name="signal_block", word=2, lsb=20, width=4, doc="descriptor that GATHER for this layer takes", unit="feedback"
    ),
    Field(name="signal_local", word=2, lsb=24, width=1, doc="which is a readout of its own", unit="feedback"),
    Field(name="signal_sign", word=2, lsb=25, width=1, doc="and its factors count by their signs", unit="feedback"),
    Field(name="bias", word=2, lsb=26, width=1, doc="the last row always fires", unit="bias"),
    Field(name="recurrent", word=2, lsb=27, width=1, doc="rows of its own spikes", unit="recurrent"),
    Field(name="post", word=2, lsb=28, width=1, doc="there is an update by events", unit="post-trace"),
    Field(name="post_negative", word=2, lsb=29, width=1, doc="of the other sign", unit="post-trace"),
    Field(name="post_decayed", word=2, lsb=30, width=1, doc="with the post trace decayed first", unit="post-trace"),
    Field(name="eligibility", word=2, lsb=31, width=1, doc="a trace per synapse, in place of p", unit="eligibility"),
    Field(name="current_decay", word=7, lsb=0, width=13, doc="leak of the synaptic current", unit="cuba"),
    Field(name="post_decay", word=7, lsb=16, width=13, doc="decay of the post trace", unit="post-trace"),
)


def table_words(array: ArrayConfig) -> int:
    """Words of the descriptor table, behind which the `CONTENT_WORDS` are."""
    return array.layers * DESCRIPTOR_WORDS


def descriptor_words(network: Network, placement: Placement) -> list[list[int]]:
    """The descriptor table's words, `DESCRIPTOR_WORDS` per block of the network."""
    table = []
    last = len(network.layers) - 1
    for index, (block, placed) in enumerate(zip(network.blocks, placement.blocks, strict=True)):
        values = _readout_fields() if block.fixed else _layer_fields(network.layers[block.layer])
        values |= {
            "inputs": block.rows,
            "outputs": block.columns,
            "groups": placed.groups,
            "state_base": placed.state_base,
            "weight_base": placed.weight_base,
            "list_base": placed.list_base,
            "trace_base": placed.trace_base,
            "gather_base": placed.gather_base,
            "signal_block": 0 if index >= last else network.signal_block(index),
        }
        words = [0] * DESCRIPTOR_WORDS
        for field in DESCRIPTOR:
            words[field.word] |= (values[field.name] & ((1 << field.width) - 1)) << field.lsb
        table.append(words)
    return table


def equal_but_rates(one: Sequence[int], other: Sequence[int]) -> bool:
    """Whether two descriptor tables, word after word, differ in `rate_shift` at most."""
    field = next(field for field in DESCRIPTOR if field.name == "rate_shift")
    rates = ((1 << field.width) - 1) << field.lsb
    ignored = [rates if word == field.word else 0 for word in range(DESCRIPTOR_WORDS)] * (len(one) // DESCRIPTOR_WORDS)
    return all((mine ^ its) & ~free == 0 for mine, its, free in zip(one, other, ignored, strict=True))


def _layer_fields(layer: Layer) -> dict[str, int]:
    """Coefficients of a layer."""
    named = {
        "reset": RESET_CODES[layer.reset],
        "signal_local": layer.signal == "local",
        "signal_sign": layer.signal == "sign-feedback",
        "post": layer.post != 0,
        "post_negative": layer.post < 0,
        "post_decayed": layer.post_read == "decayed",
    }
    plain = {field.name: getattr(layer, field.name) for field in DESCRIPTOR if hasattr(layer, field.name)}
    return {name: int(value) for name, value in {**plain, **named}.items()}


def _readout_fields() -> dict[str, int]:
    """Coefficients of a fixed readout of spikes, which keeps nothing from step to step."""
    return {field.name: 0 for field in DESCRIPTOR} | {"threshold": 1, "reset": RESET_CODES["none"]}


def error_word(network: Network) -> int:
    """Value of the `error` register."""
    return int(network.error == "mse") | int(network.error_on == "membrane") << 1 | network.error_shift << 4


def shape_word(array: ArrayConfig) -> int:
    """Value of the `shape` register."""
    return array.cores | array.lanes << 8 | array.weight_bits << 16 | array.synapse_bits << 24


def units_word(array: ArrayConfig) -> int:
    """Value of the `units` register."""
    return sum(1 << bit for bit, unit in enumerate(UNITS) if array.has(unit))


def weight_chunks(array: ArrayConfig) -> int:
    """32-bit chunks of one core's weight word, padded to a power of two of chunk addresses by the map."""
    return -(-array.lanes * array.lane_bits // DATA_BITS)
