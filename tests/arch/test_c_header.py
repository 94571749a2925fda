# SPDX-License-Identifier: Apache-2.0
"""The C header says what the register map says, and a strict compiler takes it."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from trifactor.arch.array import UNITS, ArrayConfig
from trifactor.arch.bus import BUS_REGISTERS, bus_address, window_bits
from trifactor.arch.c_header import c_header
from trifactor.arch.events import ItemKind, pack_item
from trifactor.arch.link import Depths
from trifactor.arch.register_map import register_map
from trifactor.arch.registers import DESCRIPTOR, OFFSET_BITS, REGISTERS, Space

ARRAY = ArrayConfig(cores=2, units=tuple(UNITS))


def expectations(depths: Depths | None) -> dict[str, int]:
    """C expressions and what they must be."""
    if depths is None:
        place = Space.WEIGHTS << OFFSET_BITS | 5
    else:
        place = bus_address(Space.WEIGHTS, 5, window_bits(ARRAY, depths))
    wanted = {"LEFT_ADDRESS(LEFT_SPACE_WEIGHTS, 5)": place}
    wanted |= {f"LEFT_SPACE_{space.name}": int(space) for space in Space}
    for item in REGISTERS:
        wanted[f"LEFT_REGISTER_{item.name.upper()}"] = item.offset
        wanted[f"LEFT_REGISTER_{item.name.upper()}_MASK"] = (1 << item.bits) - 1
    for field in DESCRIPTOR:
        name = f"LEFT_DESCRIPTOR_{field.name.upper()}"
        wanted |= {f"{name}_WORD": field.word, f"{name}_SHIFT": field.lsb}
        wanted[f"{name}_MASK >> {name}_SHIFT"] = (1 << field.width) - 1
    event = "LEFT_ITEM_EVENT | 77u << LEFT_ITEM_ROW_SHIFT | 3u << LEFT_ITEM_SHIFT_SHIFT"
    wanted[event] = pack_item(ItemKind.EVENT, row=77, shift=3)
    if depths is not None:
        wanted |= {f"LEFT_BUS_{register.name}": int(register) for register in BUS_REGISTERS}
    return wanted


@pytest.mark.parametrize("depths", [None, Depths()])
def test_a_strict_compiler_agrees(tmp_path: Path, depths: Depths | None) -> None:
    if shutil.which("g++") is None:
        pytest.skip("g++ is not installed")
    header = c_header(register_map(ARRAY, depths), name="left")
    names = re.findall(r"^#define (\w+)", header, re.M)
    assert len(names) == len(set(names)) > 200
    assert all(name.startswith("LEFT_") for name in names)
    wanted = expectations(depths)
    checks = "\n".join(f'_Static_assert(({c}) == {value}u, "{c}");' for c, value in wanted.items())
    (tmp_path / "left_registers.h").write_text(header, encoding="utf-8")
    twice = '#include "left_registers.h"\n' * 2
    (tmp_path / "check.c").write_text(f"{twice}{checks}\nint main(void) {{ return 0; }}\n", encoding="utf-8")
    command = ["g++", "-x", "c", "-std=c11", "-pedantic", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "check.c"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_streams_have_no_bus() -> None:
    header = c_header(register_map(ARRAY, None), name="trifactor")
    assert "TRIFACTOR_BUS_" not in header
    assert "TRIFACTOR_SPACE_BUS" not in header
