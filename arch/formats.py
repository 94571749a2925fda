# SPDX-License-Identifier: Apache-2.0
"""Number formats: how many bits, of which how many are fraction, and the range that follows."""

from __future__ import annotations

from dataclasses import dataclass

from .errors import ConfigurationError

FACTOR_BITS = 8
"""Magnitude bits of a trace, an error or a modulated signal before it is rounded to a power of two."""

UNIT = 1 << (FACTOR_BITS - 1)
"""The factor that stands for 1.0: a probability of one, the trace of one fresh spike."""

TRACE_MAX = (1 << FACTOR_BITS) - 1
"""Largest trace."""

FACTOR_MAX = UNIT
"""Largest magnitude of an error or a modulated signal."""

EXPONENT_MAX = FACTOR_MAX.bit_length() - 1
"""Largest exponent of a factor rounded to a power of two; that of a trace is one more, for 255 may round up to 256."""

DELTA_BITS = 16
"""Magnitude bits of a gathered learning signal: more saturate before psi."""

RATE_SHIFT_MAX = 23
"""Largest right shift of a weight update, and the noise bits of an update."""

SIGNAL_SHIFT_MAX = 15
"""Largest right shift of delta times psi. Its noise bits and the 7 of the power-of-two rounding are disjoint."""


@dataclass(frozen=True, kw_only=True)
class QFormat:
    """A fixed-point format of `bits` bits in all, `frac` of them fraction.

    >>> QFormat(bits=8, frac=0).min, QFormat(bits=8, frac=0).max
    (-128, 127)
    """

    bits: int
    frac: int = 0
    signed: bool = True

    def __post_init__(self) -> None:
        if self.bits < 1:
            raise ConfigurationError(f"a format needs at least 1 bit, not {self.bits}")

    @property
    def min(self) -> int:
        """Smallest integer that the format holds."""
        return -(1 << (self.bits - 1)) if self.signed else 0

    @property
    def max(self) -> int:
        """Largest integer that the format holds."""
        return (1 << (self.bits - (1 if self.signed else 0))) - 1

    def holds(self, value: int) -> bool:
        """Whether `value` is inside the range."""
        return self.min <= value <= self.max
