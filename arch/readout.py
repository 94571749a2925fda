# SPDX-License-Identifier: Apache-2.0
"""Tables of the base-2 softmax: exponential and logarithm in units of 1/32 octave."""

from __future__ import annotations

import math

FRACTION_BITS = 5
FRACTIONS = 1 << FRACTION_BITS
MANTISSA_BITS = 9
"""`EXP2[0]` is `2**MANTISSA_BITS`."""

EXP2: tuple[int, ...] = tuple(round((1 << MANTISSA_BITS) * 2.0 ** (-index / FRACTIONS)) for index in range(FRACTIONS))
"""`2**MANTISSA_BITS * 2**(-index / 32)`."""

LOG2: tuple[int, ...] = tuple(
    round(FRACTIONS * math.log2(1.0 + (index + 0.5) / FRACTIONS)) for index in range(FRACTIONS)
)
"""`32 * log2(1 + (index + 1/2) / 32)`, of a mantissa's five bits below its leading one."""

DISTANCE_MAX = 1023
"""Distances from the maximum saturate here: the exponential is zero long before."""
