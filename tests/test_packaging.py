# SPDX-License-Identifier: Apache-2.0
"""What an installation gets: every package and data file in the wheel, light imports, a licence line on each file."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("arch", "golden", "rtl", "cosim", "boards", "host")
LICENSED = {".py", ".v", ".jinja", ".sh", ".mk"}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def sources() -> list[Path]:
    """Files of the repository that carry code, without virtual environments and build results."""
    folders = [*(ROOT / room for room in ROOMS), ROOT / "tests", ROOT / "benchmarks", ROOT / "tools", ROOT / ".ci"]
    found = [path for folder in folders if folder.is_dir() for path in folder.rglob("*") if path.is_file()]
    found += [ROOT / "__init__.py", ROOT / "Makefile", ROOT / "pyproject.toml"]
    return [path for path in found if "__pycache__" not in path.parts]


def package_files() -> set[str]:
    """Everything in the rooms that must be in an installation, relative to the package."""
    found = [path for room in ROOMS for path in (ROOT / room).rglob("*") if path.is_file()]
    names = {path.relative_to(ROOT) for path in found}
    kept = {str(name) for name in names if not any(part[0] in "._" for part in name.parts[:-1])}
    return kept | {"__init__.py", "py.typed"}


def test_every_package_is_listed() -> None:
    on_disk = {"trifactor"} | {
        ".".join(("trifactor", *path.parent.relative_to(ROOT).parts))
        for room in ROOMS
        for path in (ROOT / room).rglob("__init__.py")
    }
    assert set(PROJECT["tool"]["setuptools"]["packages"]) == on_disk
    assert len(on_disk) > len(ROOMS)


def test_types_are_announced() -> None:
    assert (ROOT / "py.typed").is_file()


def test_no_folder_shadows_the_package() -> None:
    assert not (ROOT / "trifactor").exists()


def test_version_is_the_same_everywhere() -> None:
    text = (ROOT / "__init__.py").read_text(encoding="utf-8")
    assert f'__version__ = "{PROJECT["project"]["version"]}"' in text
    assert PROJECT["project"]["version"] in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_each_source_file_names_its_licence() -> None:
    wanted = [
        path for path in sources() if path.suffix in LICENSED or path.name in {"Makefile", "run", "pyproject.toml"}
    ]
    assert len(wanted) > 40
    bare = [
        str(path.relative_to(ROOT))
        for path in wanted
        if "SPDX-License-Identifier: Apache-2.0" not in "".join(path.read_text(encoding="utf-8").splitlines(True)[:3])
    ]
    assert not bare


def test_constraints_pin_every_dependency_exactly() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.]+", line) for line in pins)
    names = {re.sub(r"[-_.]+", "-", line.split("==")[0]).lower() for line in pins}
    project = PROJECT["project"]
    wanted = [
        *project["dependencies"],
        *(item for extra in project["optional-dependencies"].values() for item in extra),
    ]
    direct = {re.sub(r"[-_.]+", "-", re.split(r"[\[<>=~! ]", item)[0]).lower() for item in wanted} - {"trifactor"}
    assert direct <= names


@pytest.mark.parametrize("module", ["trifactor", "trifactor.arch.registers", "trifactor.host.cli"])
def test_imports_stay_light(module: str) -> None:
    heavy = ["torch", "amaranth", "cocotb", "matplotlib", "sklearn"]
    if module != "trifactor.host.cli":
        heavy.append("numpy")
    code = f"import sys, {module}; print(*sorted(set({heavy!r}) & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT.parent)
    assert run.stdout.split() == []


def test_the_wheel_holds_every_file(tmp_path: Path) -> None:
    if importlib.util.find_spec("setuptools") is None:
        pytest.skip("setuptools is not installed")
    copy = tmp_path / "source"
    ignored = shutil.ignore_patterns("__pycache__", ".*", "build", "*.egg-info", "docs", "tests", "benchmarks")
    shutil.copytree(ROOT, copy, ignore=ignored)
    code = "from setuptools import build_meta; print(build_meta.build_wheel('wheel'))"
    (copy / "wheel").mkdir()
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=copy, check=False)
    assert run.returncode == 0, run.stderr[-2000:]
    (wheel,) = (copy / "wheel").glob("*.whl")
    inside = set(zipfile.ZipFile(wheel).namelist())
    missing = {name for name in package_files() if f"trifactor/{name}" not in inside}
    assert not missing
    assert any(name.endswith("LICENSE") for name in inside)
