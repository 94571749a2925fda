# SPDX-License-Identifier: Apache-2.0
"""The block RAM that an array should take: the same from its configuration alone as from its netlist."""

from __future__ import annotations

from ..arch.array import ArrayConfig, Unit, ceil_log2
from ..arch.formats import EXPONENT_MAX, FACTOR_BITS
from ..arch.network import SURROGATE_ENTRIES
from ..arch.registers import DESCRIPTOR_WORDS

DP16KD_SHAPES = ((16384, 1), (8192, 2), (4096, 4), (2048, 9), (1024, 18), (512, 36))
"""Words and bits of one block with one read and one write port."""

LUT_RAM_PER_BLOCK = 16
"""Cells of 16 x 4 bits of LUT RAM that one block RAM must at least replace, or Yosys prefers LUT RAM."""


def block_rams(*, width: int, depth: int) -> int:
    """DP16KD of a memory of `depth` words of `width` bits, 0 where LUT RAM does.

    Block RAM is all of one shape, the one that needs the fewest blocks: depth beyond a block's is then paid for by
    multiplexers behind the blocks. LUT RAM it is while `ceil(width / 4) * ceil(depth / 16) <= 16 * blocks`.
    """
    words = 1 << max(1, ceil_log2(depth))
    blocks = min(-(-width // bits) * -(-words // entries) for entries, bits in DP16KD_SHAPES)
    lut_ram = -(-width // 4) * -(-words // 16)
    return 0 if lut_ram <= LUT_RAM_PER_BLOCK * blocks else blocks


def memories(array: ArrayConfig) -> dict[str, tuple[int, int, int]]:
    """`(copies, width, depth)` of every memory of the array but those of a few words, which are LUT RAM."""
    shift = array.products == "shift"
    factor = (2 + (EXPONENT_MAX.bit_length() if shift else FACTOR_BITS)) * (1 + array.has("post-trace"))
    update = _update_entry(array)
    post = FACTOR_BITS if array.has("post-trace") else 0
    event = array.row_bits + (3 if array.event_bits > 1 else 0)
    neurons = array.groups * array.lanes
    return {
        "weights": (array.cores, array.lanes * array.lane_bits, array.weight_words),
        "factors": (array.cores, factor, neurons),
        "membranes": (array.cores, array.membrane_bits * (1 + array.has("cuba")), neurons),
        "surrogate": (array.cores, array.surrogate_bits, SURROGATE_ENTRIES),
        "event lists": (1 + (array.event_readers == "both"), event, 4 << max(1, ceil_log2(array.events))),
        "gather list": (1, array.row_bits + array.surrogate_bits + post, array.groups * array.parallel),
        "update list": (1, update, array.axons),
        "partial signals": (1, array.signal.bits, array.groups * array.parallel),
        "traces": (1, array.traces_per_word * (FACTOR_BITS + array.has("shadow")), array.trace_words),
        "readout": (
            1,
            array.output.bits if "softmax" in array.errors else min(array.output.bits, FACTOR_BITS + 2),
            array.classes,
        ),
        "descriptors": (1, 32, array.layers * DESCRIPTOR_WORDS),
        **({"counters": (1, 32, 512)} if array.counters else {}),
        **_optional(array, neurons),
    }


def _update_entry(array: ArrayConfig) -> int:
    """Bits of an entry of an update list."""
    return array.row_bits + FACTOR_BITS + (FACTOR_BITS + 1 if array.has("eligibility") else 0)


def _optional(array: ArrayConfig, neurons: int) -> dict[str, tuple[int, int, int]]:
    """Memories of the optional units alone."""
    own_list = 2 << ceil_log2(array.groups * array.parallel)
    units: dict[Unit, dict[str, tuple[int, int, int]]] = {
        "post-trace": {
            "post traces": (array.cores, FACTOR_BITS, neurons),
            "event update list": (1, _update_entry(array), array.axons),
        },
        "eligibility": {
            "eligibilities": (array.cores, array.lanes * (FACTOR_BITS + 1), array.weight_words),
            "kappas": (array.cores, array.decay_bits + 2, neurons),
        },
        "thresholds": {"thresholds": (array.cores, 16, neurons)},
        "recurrent": {"own spikes": (2, array.row_bits, own_list)},
    }
    return {name: size for unit, own in units.items() if array.has(unit) for name, size in own.items()}


def expected_dp16kd(array: ArrayConfig) -> int:
    """DP16KD of the whole array: the sum over `memories`."""
    return sum(copies * block_rams(width=width, depth=depth) for copies, width, depth in memories(array).values())
