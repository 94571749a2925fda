# SPDX-License-Identifier: Apache-2.0
"""A running simulation of the array, called from outside: one method of `ArrayDriver` at a time."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from multiprocessing import Pipe
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from ..arch.array import ArrayConfig
from ..arch.errors import DeviceError
from .harness import CYCLE_LIMIT
from .simulators import Build

START_SECONDS = 60.0
CALL_SECONDS = 600.0


class Session:
    """A simulator process with an `ArrayDriver` in it, made by `bench`; a context manager that ends it.

    `stall_seed` other than 0 puts random gaps on every stream; no time step may take more than `cycle_limit` cycles.
    `waves`, given a build that has them, names the file that the waveform is moved to in the end; the simulator decides
    its suffix. `settings` are the bench's own.
    """

    def __init__(
        self,
        build: Build,
        array: ArrayConfig,
        *,
        stall_seed: int = 0,
        cycle_limit: int = CYCLE_LIMIT,
        waves: Path | None = None,
        bench: str = "bench_array",
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        self._waves = waves
        self._folder = tempfile.TemporaryDirectory(prefix="trifactor-")
        folder = Path(self._folder.name)
        self._log = folder / "log"
        self._connection, theirs = Pipe()
        given = {"stall_seed": stall_seed, "cycle_limit": cycle_limit, **(settings or {})}
        job = {"array": array.model_dump(), "pipe": theirs.fileno(), "settings": given}
        with self._log.open("wb") as log, theirs:
            self._process = build.start(
                f"{__package__}.{bench}",
                folder=folder,
                environment={"TRIFACTOR_SESSION": json.dumps(job)},
                log=log,
                pipe=theirs.fileno(),
            )
        try:
            self.call("reset", seconds=START_SECONDS)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def call(self, method: str, /, *, seconds: float = CALL_SECONDS, **arguments: Any) -> Any:
        """The result of one method of the driver. What it raises is raised; `DeviceError` if it does not answer.

        Whatever else comes in between, Ctrl-C say, ends the simulation.
        """
        if self._connection.closed:
            raise DeviceError("the simulation has ended", "start another")
        try:
            self._connection.send((method, arguments))
            if not self._connection.poll(seconds):
                raise self._dead(f"the simulation gave no answer to {method} within {seconds:.0f} s")
            kind, *rest = self._connection.recv()
        except (EOFError, OSError) as error:
            raise self._dead(f"the simulation ended during {method}") from error
        except BaseException:
            self._end()  # its answer, still to come, would be taken for that to the next call
            raise
        if kind == "trouble":
            raise rest[0]
        if kind == "crash":
            raise self._dead(f"the simulation's driver failed in {method}", rest[0])
        return rest[0]

    @property
    def closed(self) -> bool:
        """Whether the simulation was ended."""
        return self._connection.closed

    def close(self) -> None:
        """End the simulation."""
        self._connection.close()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._waves is not None:
            for made in Path(self._folder.name).glob("dump.*"):
                self._waves.parent.mkdir(parents=True, exist_ok=True)
                shutil.move(made, self._waves.with_name(self._waves.name + made.suffix))
        self._folder.cleanup()

    def _end(self) -> None:
        """Without asking."""
        self._process.kill()
        self._connection.close()

    def _dead(self, message: str, detail: str = "") -> DeviceError:
        """The error for a simulation that is of no more use; what it wrote last is the hint."""
        self._end()
        lines = (detail or self._log.read_text(errors="replace")).strip().splitlines()
        return DeviceError(message, "\n".join(lines[-5:]) if lines else "it wrote nothing")
