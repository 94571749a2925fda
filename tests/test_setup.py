# SPDX-License-Identifier: Apache-2.0
"""`tools/setup.sh` on machines that lack something: it says what, or installs it where it may."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
BASICS = (
    "sh",
    "cat",
    "cksum",
    "dirname",
    "env",
    "ln",
    "mkdir",
    "mktemp",
    "pwd",
    "rm",
    "sed",
    "tail",
    "touch",
    "true",
    "tr",
    "uname",
)
PROGRAMS = ("iverilog", "g++", "make", "perl")

Machine = Callable[..., subprocess.CompletedProcess[str]]


def script(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A machine with the basics, the named programs, and a Python that answers as told; a user unless `root`."""
    tools = tmp_path / "clone" / "tools"
    tools.mkdir(parents=True)
    shutil.copy(ROOT / "tools" / "setup.sh", tools)
    for name in ("pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path / "clone")
    path = tmp_path / "bin"
    path.mkdir()
    for name in BASICS:
        found = shutil.which(name)
        if found:
            (path / name).symlink_to(found)

    def boot(
        *programs: str,
        python: str | None = "exit 0",
        root: bool = False,
        apt: str | None = "exit 1",
        sudo: bool = False,
    ) -> subprocess.CompletedProcess[str]:
        for name in programs:
            script(path / name, "exit 0")
        if python is not None:
            script(path / "python3", python)
        script(path / "id", "echo 0" if root else "echo 1000")
        if apt is not None:
            script(path / "apt-get", apt)
        if sudo:
            script(path / "sudo", 'shift; exec "$@"')
        command = [str(path / "sh"), str(tools / "setup.sh")]
        return subprocess.run(command, env={"PATH": str(path)}, capture_output=True, text=True, check=False, timeout=60)

    return boot


def test_a_user_without_sudo_gets_the_exact_command(machine: Machine) -> None:
    run = machine("perl", "make")
    assert run.returncode == 4
    assert run.stderr.splitlines() == [
        "error: missing on this system: iverilog g++",
        "hint: run: sudo apt-get install -y iverilog g++",
    ]


def test_a_perl_without_its_modules_counts_as_missing(machine: Machine, tmp_path: Path) -> None:
    script(tmp_path / "bin" / "perl", "exit 2")
    run = machine("iverilog", "g++", "make")
    assert run.returncode == 4
    assert "sudo apt-get install -y perl" in run.stderr


def test_without_python_everything_is_named_at_once(machine: Machine) -> None:
    run = machine("iverilog", "g++", "make", "perl", python=None)
    assert run.returncode == 4
    assert "sudo apt-get install -y python3 python3-venv libpython3-dev" in run.stderr


def test_without_venv_the_package_is_named(machine: Machine) -> None:
    run = machine(*PROGRAMS, python='case "$2" in *ensurepip*) exit 1;; esac; exit 0')
    assert run.returncode == 4
    assert "sudo apt-get install -y python3-venv" in run.stderr


def test_without_the_python_library_the_package_is_named(machine: Machine) -> None:
    run = machine(*PROGRAMS, python='[ "$1" = - ] && exit 1; exit 0')
    assert run.returncode == 4
    assert "sudo apt-get install -y libpython3-dev" in run.stderr


def test_an_old_python_is_refused(machine: Machine) -> None:
    python = 'case "$2" in *version_info\\ *) exit 1;; *python_version*) echo 3.9.2;; esac; exit 0'
    run = machine(*PROGRAMS, python=python)
    assert run.returncode == 4
    assert "Python 3.11 or newer is needed, python3 is 3.9.2" in run.stderr
    assert "make PYTHON=" in run.stderr


def test_a_system_without_apt_is_told_what_is_missing(machine: Machine) -> None:
    run = machine("make", "perl", apt=None)
    assert run.returncode == 4
    assert "missing on this system: iverilog g++" in run.stderr
    assert "your package manager" in run.stderr


@pytest.mark.parametrize("who", [{"root": True}, {"sudo": True}])
def test_who_may_install_does_so(machine: Machine, tmp_path: Path, who: dict[str, bool]) -> None:
    path = tmp_path / "bin"
    install = (
        f'[ "$1" = install ] || exit 0; for name; do case $name in iverilog|g++) touch {path}/$name.done;; esac; done; '
    )
    run = machine("perl", "make", apt=install + "exit 0", **who)
    assert (path / "iverilog.done").exists()
    assert (path / "g++.done").exists()
    # This apt-get only pretends: the script notices that the programs are still not there.
    assert run.returncode == 4
    assert "still missing: iverilog g++" in run.stderr


def test_a_failing_apt_is_reported(machine: Machine) -> None:
    run = machine("make", "perl", root=True, apt="echo 'E: Unable to locate package' >&2; exit 100")
    assert run.returncode == 4
    assert "Unable to locate package" in run.stderr
    assert "sudo apt-get update && sudo apt-get install -y iverilog g++" in run.stderr


def test_a_failing_pip_is_reported(machine: Machine) -> None:
    python = 'case "$2" in venv) mkdir -p .venv/bin; printf "#!/bin/sh\\nexit 1\\n" >.venv/bin/python; '
    python += f"{shutil.which('chmod')} +x .venv/bin/python;; esac; exit 0"
    run = machine(*PROGRAMS, python=python)
    assert run.returncode == 4
    assert "pip could not install" in run.stderr


def test_nothing_happens_when_nothing_changed() -> None:
    if not (ROOT / ".venv" / "trifactor-setup").is_file() or not sys.executable.startswith(str(ROOT / ".venv")):
        pytest.skip("these tests do not run from the .venv that make sets up")
    run = subprocess.run(["sh", "tools/setup.sh"], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert (run.returncode, run.stderr) == (0, "")
