# SPDX-License-Identifier: Apache-2.0
"""The register map of one array as plain data, for JSON and for whatever is generated of it."""

from __future__ import annotations

from typing import Any

from .array import UNITS, ArrayConfig
from .bus import (
    BUS_REGISTERS,
    BYTE_BITS,
    CONTROL_FORGET,
    CONTROL_RELEASE,
    FLAG_FAULT,
    FLAG_RESTING,
    bus_address,
    window_bits,
    windows,
)
from .events import ROW_BITS, ItemKind
from .link import Depths, build_hash
from .packets import LINK_SPACE
from .register_page import SPACES
from .registers import (
    DATA_BITS,
    DESCRIPTOR,
    DESCRIPTOR_WORDS,
    IDENTITY,
    MAP_VERSION,
    OFFSET_BITS,
    REGISTERS,
    Space,
    shape_word,
    table_words,
    units_word,
)

_DOCS = {
    "registers": "registers",
    "descriptors": "layer descriptors",
    "bus": "the bus's own registers",
    "results": "ring of results: the value in bits 15..0, its index in 30..16, bit 31: the sample's last",
    "events": "ring of recorded spikes: the neuron in bits 15..0, the layer above",
}


def register_map(array: ArrayConfig, depths: Depths | None) -> dict[str, Any]:
    """Spaces, registers, descriptor fields and items; addresses of bytes on a bus, without `depths` of words.

    `address_shift` is where the space begins in an address, `offset_shift` where the offset does.
    """
    shift, step = (OFFSET_BITS, 0) if depths is None else (window_bits(array, depths), BYTE_BITS)
    result: dict[str, Any] = {
        "map_version": MAP_VERSION,
        "identity": IDENTITY,
        "shape": shape_word(array),
        "units_word": units_word(array),
        "array": array.model_dump(mode="json"),
        "data_bits": DATA_BITS,
        "address_unit": "word" if depths is None else "byte",
        "address_shift": shift,
        "offset_shift": step,
        "spaces": [
            {
                "name": window.name,
                "space": window.space,
                "address": window.space << shift if depths is None else bus_address(window.space, 0, shift),
                "words": window.words,
                "access": window.access,
                "offset": SPACES[Space(window.space)][0] if window.space < LINK_SPACE else "",
                "doc": _DOCS.get(window.name) or SPACES[Space(window.space)][1],
            }
            for window in windows(array, depths)
        ],
        "registers": [
            {"name": item.name, "offset": item.offset, "access": item.access, "bits": item.bits, "doc": item.doc}
            for item in REGISTERS
        ],
        "commands": {"clear_memories": 1, "clear_counters": 2},
        "units": {unit: 1 << bit for bit, unit in enumerate(UNITS)},
        "descriptor_words": DESCRIPTOR_WORDS,
        "content_offset": table_words(array),
        "descriptor": [
            {
                "name": field.name,
                "word": field.word,
                "shift": field.lsb,
                "bits": field.width,
                "mask": ((1 << field.width) - 1) << field.lsb,
                "unit": field.unit,
                "doc": field.doc,
            }
            for field in DESCRIPTOR
        ],
        "items": {
            "kinds": {kind.name.lower(): int(kind) for kind in ItemKind},
            "row_shift": 2,
            "shift_shift": 2 + ROW_BITS,
        },
    }
    if depths is not None:
        result |= {
            "build_hash": f"{build_hash(array, depths):016x}",
            "depths": {name: getattr(depths, name) for name in Depths.depths},
            "bus_registers": [
                {"name": register.name.lower(), "offset": int(register), "access": access, "bits": bits, "doc": doc}
                for register, (access, bits, doc) in BUS_REGISTERS.items()
            ],
            "flags": {"resting": FLAG_RESTING, "fault": FLAG_FAULT},
            "controls": {"forget": CONTROL_FORGET, "release": CONTROL_RELEASE},
        }
    return result
