# SPDX-License-Identifier: Apache-2.0
"""All that a system needs of an array on its bus, in one clock domain."""

from __future__ import annotations

from typing import Final, Literal

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import Out, connect, flipped

from ..arch.array import ArrayConfig
from ..arch.link import Depths
from .array import Array
from .axi_lite import AxiLite
from .bus import Bridge
from .wishbone import Wishbone

Bus = Literal["axi-lite", "wishbone"]
FACES: Final[dict[Bus, tuple[str, type[AxiLite] | type[Wishbone]]]] = {
    "axi-lite": ("s_axi", AxiLite),
    "wishbone": ("wb", Wishbone),
}
"""The buses: the prefix of their ports, and what speaks them."""


class Peripheral(wiring.Component):
    """An array behind a bus, with the addresses of `arch.bus`.

    Members
    -------
    s_axi or wb : In(AxiLiteSignature or WishboneSignature)
        The bus.
    resting : Out(1)
        As in `Bridge`: may be an interrupt, asserted by its level.
    """

    def __init__(self, array: ArrayConfig, depths: Depths, bus: Bus, *, version: str) -> None:
        self.array = array
        self.prefix, face = FACES[bus]
        self.bridge = Bridge(array, depths, version=version)
        self.face = face(word_bits=self.bridge.word_bits)
        super().__init__({self.prefix: self.face.signature.members["bus"], "resting": Out(1)})

    def elaborate(self, platform: object) -> Module:
        """Streams from unit to unit."""
        m = Module()
        m.submodules.array = array = Array(self.array)
        m.submodules.bridge = bridge = self.bridge
        m.submodules.face = face = self.face
        connect(m, flipped(getattr(self, self.prefix)), face.bus)
        connect(m, face.accesses, bridge.accesses)
        connect(m, bridge.answers, face.answers)
        connect(m, bridge.requests, array.requests)
        connect(m, array.responses, bridge.responses)
        connect(m, bridge.items, array.items)
        connect(m, array.events, bridge.events)
        connect(m, array.results, bridge.results)
        m.d.comb += [bridge.waiting.eq(array.waiting), self.resting.eq(bridge.resting)]
        return m
