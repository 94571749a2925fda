# SPDX-License-Identifier: Apache-2.0
"""What the ports of an exported array mean."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Port:
    """A port of the exported module."""

    name: str
    direction: str
    bits: int
    doc: str


_STREAMS = {
    "items": "samples: kind in bits 1..0 (0 event, 1 end of step, 2 begin), row in 17..2, shift in 20..18",
    "requests": "reads and writes of the register map: data in bits 31..0, address in 59..32, write in bit 60",
    "responses": "words that were asked for, in order; writes have none",
    "events": "every spike while register `record` is set: the neuron in bits 15..0, the layer above",
    "results": "the readout's membranes after a sample: the value in bits {value}..0, 16 bits of index, then `last`",
}
_HANDSHAKE = {
    "valid": "a word of `{stream}` is offered, until it is taken",
    "ready": "it is taken at this edge of the clock",
}
_DOCS = {
    "clk": "the one clock; everything happens at its rising edge",
    "rst": "synchronous reset, active high; memories keep what they hold",
    "waiting": "nothing is in work, and the next step's items have not all come",
    "resting": "the array is at rest, as bit 0 of `flags`; may be an interrupt, by its level",
    "s_axi_awaddr": "address of a write, in bytes; bits 1..0 say nothing",
    "s_axi_awprot": "says nothing here",
    "s_axi_awvalid": "an address is offered",
    "s_axi_awready": "it is taken",
    "s_axi_wdata": "data of a write",
    "s_axi_wstrb": "bytes that are written: all of them, or none",
    "s_axi_wvalid": "data is offered",
    "s_axi_wready": "it is taken",
    "s_axi_bresp": "how a write ended: 0 OKAY, 2 SLVERR, 3 DECERR",
    "s_axi_bvalid": "a write has ended",
    "s_axi_bready": "that is seen",
    "s_axi_araddr": "address of a read, in bytes; bits 1..0 say nothing",
    "s_axi_arprot": "says nothing here",
    "s_axi_arvalid": "an address is offered",
    "s_axi_arready": "it is taken",
    "s_axi_rdata": "the word that was read",
    "s_axi_rresp": "how a read ended: 0 OKAY, 2 SLVERR, 3 DECERR",
    "s_axi_rvalid": "a read has ended",
    "s_axi_rready": "that is seen",
    "wb_cyc": "a cycle goes on",
    "wb_stb": "an access is asked for, until `ack` or `err`",
    "wb_we": "it writes",
    "wb_adr": "its address, in bytes; bits 1..0 say nothing",
    "wb_dat_w": "data of a write",
    "wb_sel": "bytes that are written: all of them, or none",
    "wb_dat_r": "the word that was read, with `ack`",
    "wb_ack": "the access is done, for one clock",
    "wb_err": "the access was refused, for one clock",
}


def port(name: str, *, is_input: bool, bits: int) -> Port:
    """The port of that name; `KeyError` for one that nobody has described."""
    stream = re.fullmatch(r"(items|requests|responses|events|results)_(valid|ready|payload)", name)
    if stream is None:
        doc = _DOCS[name]
    elif stream[2] == "payload":
        doc = _STREAMS[stream[1]].format(value=bits - 18)
    else:
        doc = _HANDSHAKE[stream[2]].format(stream=stream[1])
    return Port(name=name, direction="input" if is_input else "output", bits=bits, doc=doc)
