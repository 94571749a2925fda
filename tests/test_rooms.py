# SPDX-License-Identifier: Apache-2.0
"""Who may know whom: the import rules between the rooms, read from the source itself."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

ROOMS: dict[str, set[str]] = {
    "arch": set(),
    "golden": {"arch"},
    "rtl": {"arch"},
    "cosim": {"arch", "rtl", "golden"},
    "boards": {"arch", "rtl"},
    "host": {"arch", "golden", "rtl", "cosim", "boards"},
}
"""The other rooms that a room may import."""

FORBIDDEN: dict[str, set[str]] = {
    "golden": {"amaranth", "cocotb"},
    "rtl": {"torch", "cocotb"},
    "boards": {"torch", "cocotb"},
}

FILES = [(room, path) for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))]
IDS = [str(path.relative_to(ROOT)) for _, path in FILES]


def imports(source: str) -> Iterator[tuple[int, str]]:
    """(level, dotted module) of every import, wherever it stands; level counts the leading dots."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((0, name.name) for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.module is None:
                yield from ((node.level, name.name) for name in node.names)
            else:
                yield node.level, node.module


def rooms_imported(package: tuple[str, ...], source: str) -> set[str]:
    """Rooms that a file of `package` imports; `level` dots start `level - 1` folders up from its own."""
    found = set()
    for level, module in imports(source):
        words = tuple(module.split("."))
        if level:
            target = (*package[: len(package) - level + 1], *words)
        else:
            target = words[1:] if words[0] == "trifactor" else ()
        if target and target[0] in ROOMS:
            found.add(target[0])
    return found


def text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def test_every_room_has_code() -> None:
    empty = [room for room in ROOMS if not any(owner == room and path.name != "__init__.py" for owner, path in FILES)]
    assert not empty


@pytest.mark.parametrize(("room", "path"), FILES, ids=IDS)
def test_rooms_look_downward_only(room: str, path: Path) -> None:
    package = path.relative_to(ROOT).parent.parts
    assert rooms_imported(package, text(path)) <= {room, *ROOMS[room]}


@pytest.mark.parametrize(("room", "path"), FILES, ids=IDS)
def test_other_rooms_are_imported_relatively(room: str, path: Path) -> None:
    absolute = {
        module for level, module in imports(text(path)) if not level and module.split(".")[0] in {"trifactor", *ROOMS}
    }
    assert not absolute


@pytest.mark.parametrize(("room", "path"), FILES, ids=IDS)
def test_golden_and_hardware_share_no_tools(room: str, path: Path) -> None:
    used = {module.split(".")[0] for level, module in imports(text(path)) if not level}
    assert not used & FORBIDDEN.get(room, set())


def test_arch_needs_the_standard_library_and_pydantic_only() -> None:
    allowed = {*sys.stdlib_module_names, "pydantic"}
    seen = 0
    for room, path in FILES:
        if room == "arch":
            typing_only = type_checking_imports(path)
            used = {module.split(".")[0] for level, module in imports(text(path)) if not level}
            assert used - typing_only <= allowed, path
            seen += len(used)
    assert seen > 0


def type_checking_imports(path: Path) -> set[str]:
    """Top-level names imported only below `if TYPE_CHECKING:`."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(text(path))):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            for inner in node.body:
                if isinstance(inner, ast.Import):
                    names |= {name.name.split(".")[0] for name in inner.names}
                elif isinstance(inner, ast.ImportFrom) and inner.module and not inner.level:
                    names.add(inner.module.split(".")[0])
    return names


@pytest.mark.parametrize(
    "source",
    [
        "from ..rtl.lane import Lane",
        "from .. import rtl",
        "from ..rtl import lane",
        "import trifactor.rtl.lane",
        "def late():\n    from ..rtl.lane import Lane",
    ],
)
def test_the_rules_notice_an_import_however_it_is_written(source: str) -> None:
    assert rooms_imported(("golden",), source) == {"rtl"}
