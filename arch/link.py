# SPDX-License-Identifier: Apache-2.0
"""How a link is built: its line, and how much it holds."""

from __future__ import annotations

import hashlib
import json
from typing import ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from .array import ArrayConfig

DEPTH_MAX = 1 << 15


class Depths(BaseModel):
    """What waits between a host and an array: powers of two."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    depths: ClassVar[tuple[str, ...]] = ("items", "results", "events")

    items: int = Field(default=4096, ge=64, le=DEPTH_MAX, description="items that wait for the array")
    results: int = Field(default=512, ge=32, le=DEPTH_MAX, description="words of results that wait for the host")
    events: int = Field(default=512, ge=32, le=DEPTH_MAX, description="recorded spikes that wait for the host")

    @model_validator(mode="after")
    def _depths_are_powers_of_two(self) -> Self:
        for name in self.depths:
            if (depth := getattr(self, name)) & (depth - 1):
                raise ValueError(f"{name} ({depth}) is not a power of two")
        return self

    @property
    def logarithms(self) -> int:
        """Base-two logarithms of items, results and events, a byte each, items lowest."""
        depths = (self.items, self.results, self.events)
        return sum((depth.bit_length() - 1) << 8 * place for place, depth in enumerate(depths))


class LinkConfig(Depths):
    """A serial link: 8 data bits, no parity, one stop bit."""

    depths: ClassVar[tuple[str, ...]] = ("packets", "items", "results", "events")

    clock: int = Field(default=48_000_000, ge=1_000_000, le=400_000_000, description="clock of the array and link, Hz")
    divisor: int = Field(default=16, ge=4, le=65_535, description="clocks of a bit on the line")
    packets: int = Field(default=2048, ge=512, le=DEPTH_MAX, description="bytes of packets that wait to be done")

    @property
    def baud(self) -> float:
        """Bits a second on the line."""
        return self.clock / self.divisor


def build_hash(array: ArrayConfig, link: Depths) -> int:
    """64 bits that tell builds apart: a hash of everything that a host must know of one."""
    content = {"array": array.model_dump(mode="json"), "link": link.model_dump(mode="json")}
    return int.from_bytes(hashlib.sha256(json.dumps(content, sort_keys=True).encode()).digest()[:8], "little")


def package_word(version: str) -> int:
    """A version's first three numbers, a byte each, the first one highest.

    >>> hex(package_word("0.12.3"))
    '0xc03'
    """
    major, minor, patch = (int(part) for part in version.split(".")[:3])
    return major << 16 | minor << 8 | patch


def depths_word(link: LinkConfig) -> int:
    """`Depths.logarithms`, and that of packets in the highest byte."""
    return link.logarithms | (link.packets.bit_length() - 1) << 24
