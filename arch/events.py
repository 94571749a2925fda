# SPDX-License-Identifier: Apache-2.0
"""Items of the array's input stream and of its event and result streams."""

from __future__ import annotations

from enum import IntEnum

ROW_BITS = 16
SHIFT_BITS = 3
ITEM_BITS = 2 + ROW_BITS + SHIFT_BITS


EVENT_NEURON_BITS = 16
"""Bits of the neuron in an entry of the array's event stream; the layer is above."""


class ItemKind(IntEnum):
    """What an input item says."""

    EVENT = 0
    """`row` receives `2**shift`; events of a step come in ascending order of row."""
    STEP = 1
    """End of a time step; `row` bit 0 set: of the sample; bit 1 set: no weight moves in this step."""
    BEGIN = 2
    """A sample begins; `row` is its label, `shift` bit 0 set: it learns."""


def pack_item(kind: ItemKind, row: int = 0, shift: int = 0) -> int:
    """The item as one integer: `kind` in bits 1..0, `row` in 17..2, `shift` in 20..18.

    >>> hex(pack_item(ItemKind.EVENT, row=5, shift=1))
    '0x40014'
    """
    return int(kind) | row << 2 | shift << (2 + ROW_BITS)
