# SPDX-License-Identifier: Apache-2.0
"""Which clocks the PLLs of the FPGA families can make of an oscillator."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ..arch.errors import ConfigurationError

TOLERANCE = 0.02
"""How far a PLL may be from the clock asked for, as a share of it."""


@dataclass(frozen=True, kw_only=True)
class Pll:
    """Settings: the clock that comes out is `oscillator * feedback / reference`, `output` divides the oscillation."""

    clock: float
    reference: int
    feedback: int
    output: int


def pll_for(family: str, oscillator: int, clock: int) -> Pll | None:
    """The settings whose clock, in Hz, is nearest to `clock`, slow oscillations first; None: the oscillator will do.

    Raises `ConfigurationError` where none is within 2 %.
    """
    if clock == oscillator:
        return None
    found = min(CANDIDATES[family](oscillator), key=lambda pll: (abs(pll.clock - clock), pll.reference), default=None)
    if found is None or abs(found.clock - clock) > TOLERANCE * clock:
        near = f"the nearest is {found.clock / 1e6:g} MHz" if found else "it has none"
        raise ConfigurationError(
            f"the PLL makes no {clock / 1e6:g} MHz of {oscillator / 1e6:g} MHz: {near}", "choose another --freq"
        )
    return found


def _ecp5(oscillator: int) -> Iterator[Pll]:
    """EHXPLLL fed back from CLKOP: phase detector 3.125 … 400 MHz, oscillation 400 … 800 MHz (FPGA-DS-02012)."""
    for reference in range(1, 33):
        if 3.125e6 <= oscillator / reference <= 400e6:
            for feedback in range(1, 81):
                clock = oscillator * feedback / reference
                for output in range(1, 129):
                    if 400e6 <= clock * output <= 800e6:
                        yield Pll(clock=clock, reference=reference, feedback=feedback, output=output)
                        break


def _ice40(oscillator: int) -> Iterator[Pll]:
    """SB_PLL40 with simple feedback: oscillation 533 … 1066 MHz, phase detector 10 … 133 MHz (FPGA-TN-02052).

    `output` is DIVQ, the logarithm of the divisor.
    """
    for reference in range(1, 17):
        if 10e6 <= oscillator / reference <= 133e6:
            for feedback in range(1, 129):
                oscillation = oscillator * feedback / reference
                if 533e6 <= oscillation <= 1066e6:
                    for output in range(1, 7):
                        clock = oscillation / (1 << output)
                        if 16e6 <= clock <= 275e6:
                            yield Pll(clock=clock, reference=reference, feedback=feedback, output=output)


def _gowin(oscillator: int) -> Iterator[Pll]:
    """rPLL: phase detector 3 … 400 MHz, oscillation 500 … 1200 MHz, which suits both families (Gowin UG286)."""
    for reference in range(1, 65):
        if 3e6 <= oscillator / reference <= 400e6:
            for feedback in range(1, 65):
                clock = oscillator * feedback / reference
                for output in (2, 4, 8, 16, 32, 48, 64, 80, 96, 112, 128):
                    if 500e6 <= clock * output <= 1200e6:
                        yield Pll(clock=clock, reference=reference, feedback=feedback, output=output)
                        break


CANDIDATES: dict[str, Callable[[int], Iterator[Pll]]] = {"ecp5": _ecp5, "ice40": _ice40, "gowin": _gowin}
