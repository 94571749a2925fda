# SPDX-License-Identifier: Apache-2.0
"""The noise hash: a pure function of (seed, sample, step, layer, purpose, row, neuron), never a register that advances.

All arithmetic is modulo 2**32.  `mix` has the six steps of Bob Jenkins' integer hash, with constants only where they
cost nothing in hardware, in the xors::

    step_key  = mix(mix(seed ^ sample) ^ step)
    key       = mix(step_key ^ (16 * layer + domain))
    word      = mix(key ^ row)                                 one per row (or per neuron)
    noise     = rotl(word ^ spread(neuron >> 5), neuron & 31)  one per synapse: wires and a few gates

`spread` is linear over GF(2), so a lane's share of it is a constant and the group's share is common to a whole word.

An update takes the upper `OWN_BITS` of a synapse's noise and, below them, `row_noise` of its row's word; the row's
trace is rounded with `round_noise` of the same word, a synapse's own trace with `eligibility_noise`. Whatever the
neuron, the 23 bits and either 7 are linearly independent over GF(2): a uniform word makes them uniform and independent
of each other.
"""

from __future__ import annotations

from enum import IntEnum

WORD_BITS = 32
WORD_MASK = 0xFFFFFFFF
BLOCK_BITS = 5
"""Neurons share a row's word in blocks of 32, each neuron with its own rotation."""

MIX_STEPS: tuple[tuple[int, str, int], ...] = (
    (0, "add_shl", 12),
    (0xC761C23C, "xor_shr", 19),
    (0, "add_shl", 5),
    (0xD3A2646C, "xor_shl", 9),
    (0, "add_shl", 3),
    (0xB55A4F09, "xor_shr", 16),
)
"""Each step is `a = (a ^ constant) + (a << amount)`, or `… ^ (a << amount)`, or `… ^ (a >> amount)`."""

SPREAD_WORDS: tuple[int, ...] = (
    0x9E3779B9, 0x7F4A7C15, 0xBF58476D, 0x1CE4E5B9, 0x94D049BB, 0x133111EB, 0xD6E8FEB8, 0x6659FD93,
)  # fmt: skip
"""Word `k` is xored in for every neuron whose index has bit `5 + k` set."""


class Domain(IntEnum):
    """What a noise word is for; part of the key, so that no two uses see the same bits."""

    ENCODE = 0
    TRACE = 1
    WEIGHT = 2
    SIGNAL = 3
    ERROR = 4
    INIT = 5
    STATE = 6
    GATE = 7
    EVENT = 8
    FIXED = 9


LAYER_STRIDE = 16
"""A key's code is `LAYER_STRIDE * layer + domain`."""


def mix(value: int) -> int:
    """The six-step hash of a 32-bit integer.

    >>> hex(mix(0)), hex(mix(1))
    ('0x40d97eda', '0xad26524c')
    """
    a = value & WORD_MASK
    for constant, combine, amount in MIX_STEPS:
        left = a ^ constant
        right = (a >> amount) if combine.endswith("shr") else (a << amount) & WORD_MASK
        a = (left + right) & WORD_MASK if combine.startswith("add") else left ^ right
    return a


STEP_BITS = 16
"""Bits of a step's number: keys repeat after 65 536 steps of one sample."""


def step_key(seed: int, sample: int, step: int) -> int:
    """Key of one time step."""
    return mix(mix(seed ^ sample) ^ step & ((1 << STEP_BITS) - 1))


def domain_key(key: int, layer: int, domain: Domain) -> int:
    """Key of one purpose in one layer at the step of `key`."""
    return mix(key ^ (LAYER_STRIDE * layer + int(domain)))


def spread(block: int) -> int:
    """Constant xored into a row's word for the neurons of `block = neuron >> 5`."""
    word = 0
    for bit, constant in enumerate(SPREAD_WORDS):
        if block >> bit & 1:
            word ^= constant
    return word


def synapse_noise(word: int, neuron: int) -> int:
    """The 32 noise bits of one synapse, from its row's word."""
    amount = neuron & 31
    value = word ^ spread(neuron >> BLOCK_BITS)
    return ((value << amount) | (value >> (WORD_BITS - amount))) & WORD_MASK


OWN_BITS = 7
"""Upper bits of an update's noise that differ from neuron to neuron."""

ROW_NOISE_BITS = 16
POST_ROTATION = 13
"""H takes its neuron's word rotated left by this: wires, and other bits in front than G's."""

ROUND_BITS = 7
"""Noise bits of one rounding to a power of two: the bits of a factor below its leading one."""


def row_noise(word: int) -> int:
    """The lower `ROW_NOISE_BITS` of the noise of every update of a row."""
    return (word ^ word >> 16) & ((1 << ROW_NOISE_BITS) - 1)


def round_noise(word: int) -> int:
    """The bits that round a row's trace."""
    return (word ^ word >> 8) & ((1 << ROUND_BITS) - 1)


def eligibility_noise(word: int, neuron: int) -> int:
    """The bits that round a synapse's own trace, from its row's word: those below `OWN_BITS`."""
    return synapse_noise(word, neuron) >> (WORD_BITS - OWN_BITS - ROUND_BITS) & ((1 << ROUND_BITS) - 1)


def update_noise(word: int, neuron: int) -> int:
    """The 23 noise bits of one synapse's update, from its row's word."""
    own = synapse_noise(word, neuron) >> (WORD_BITS - OWN_BITS)
    return own << ROW_NOISE_BITS | row_noise(word)


DIGEST_SHL = 7
DIGEST_SHR = 15


def digest(value: int) -> int:
    """Term of a write signature: `a += a << 7; a ^= a >> 15`, so that equal errors in two places do not cancel."""
    a = (value + (value << DIGEST_SHL)) & WORD_MASK
    return a ^ (a >> DIGEST_SHR)
