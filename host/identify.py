# SPDX-License-Identifier: Apache-2.0
"""What a board says it is, and which array and link that must be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

from .. import __version__
from ..arch.array import ArrayConfig
from ..arch.errors import DeviceError
from ..arch.link import LinkConfig, build_hash, package_word
from ..arch.packets import LINK_SPACE, PROTOCOL_VERSION, LinkRegister
from ..arch.registers import OFFSET_BITS
from .link import LinkSession

FREE = frozenset(
    {
        "cores",
        "lanes",
        "weight_words",
        "groups",
        "axons",
        "events",
        "layers",
        "classes",
        "traces_per_word",
        "units",
        "signatures",
        "errors",
        "probes",
        "event_readers",
        "pipeline",
        "sparse_inputs",
    }
)
"""Of an array: capacities, and what does nothing where it is not used. All else decides what its numbers are."""


@dataclass(frozen=True, kw_only=True)
class Identity:
    """The link's registers."""

    protocol: int
    build: int
    package: str
    package_word: int
    clock: int
    depths: dict[str, int]
    damaged: int
    refused: int

    def link(self, divisor: int) -> LinkConfig:
        """The link that this board has, if its divisor is this one."""
        return LinkConfig(clock=self.clock, divisor=divisor, **self.depths)


def identity(session: LinkSession) -> Identity:
    """Read it, in a session that has begun."""
    said = [int(word) for word in session.read(LINK_SPACE << OFFSET_BITS, len(LinkRegister))]
    package, depths = said[LinkRegister.PACKAGE], said[LinkRegister.DEPTHS]
    names = ("items", "results", "events", "packets")
    return Identity(
        protocol=said[LinkRegister.PROTOCOL],
        build=said[LinkRegister.HASH_HIGH] << 32 | said[LinkRegister.HASH_LOW],
        package=f"{package >> 16}.{package >> 8 & 255}.{package & 255}",
        package_word=package,
        clock=said[LinkRegister.CLOCK],
        depths={name: 1 << (depths >> 8 * place & 255) for place, name in enumerate(names)},
        damaged=said[LinkRegister.FRAMES_DAMAGED],
        refused=said[LinkRegister.FRAMES_REFUSED],
    )


def check_version(found: Identity) -> None:
    """Raise `DeviceError` unless the gateware was made by this version of the package."""
    if found.protocol != PROTOCOL_VERSION:
        raise DeviceError(
            f"the board speaks version {found.protocol} of the link, this program version {PROTOCOL_VERSION}",
            "build and upload its gateware with this version",
        )
    if found.package_word != package_word(__version__):
        raise DeviceError(
            f"the board's gateware was made by trifactor {found.package}, this is {__version__}",
            "build and upload its gateware with this version",
        )


def recognise(found: Identity, arrays: Sequence[ArrayConfig], baud: float) -> tuple[ArrayConfig, LinkConfig] | None:
    """The array and link whose build the board holds: one of `arrays`, or that of a board's default build.

    None if it is none of them. The divisor is what `baud` needs, or a board's.
    """
    from ..boards.catalog import BOARDS

    divisors = {max(4, round(found.clock / baud)), *(board.link().divisor for board in BOARDS.values())}
    candidates = [*arrays, *(board.array for board in BOARDS.values())]
    for array, divisor in product(dict.fromkeys(candidates), sorted(divisors)):
        link = found.link(divisor)
        if build_hash(array, link) == found.build:
            return array, link
    return None


def check_usable(wanted: ArrayConfig, there: ArrayConfig) -> None:
    """Raise `DeviceError` unless numbers on the array that is there are those of the one that is wanted."""
    mine, its = wanted.model_dump(), there.model_dump()
    wrong = [f"{name} {its[name]}, not {mine[name]}" for name in mine if name not in FREE and mine[name] != its[name]]
    missing = [unit for unit in wanted.units if not there.has(unit)]
    if missing:
        wrong.append(f"no unit {', '.join(missing)}")
    if wrong:
        raise DeviceError(f"the board's array has {', '.join(wrong)}", "learn on its own array: --device BOARD")
