# SPDX-License-Identifier: Apache-2.0
"""A board made of software: the top level of a bitstream in Verilator, its serial pins on a socket or a terminal."""

from __future__ import annotations

import signal
import subprocess
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import Self

from ..arch.array import ArrayConfig
from ..arch.errors import DeviceError
from ..arch.link import LinkConfig
from .simulators import locked, verilate
from .verilog import cache_folder, content_hash, to_verilog

PROGRAM = "virtual_board"


def build_virtual_board(array: ArrayConfig, link: LinkConfig) -> Path:
    """The program, from the cache if it has been made before. Raises `ToolError` when Verilator or g++ is missing."""
    from .. import __version__
    from ..rtl.top import Top

    verilog = to_verilog(Top(array, link, version=__version__), name=PROGRAM)
    main = (Path(__file__).parent / "virtual_board.cpp").read_text(encoding="utf-8")
    folder = cache_folder() / "builds" / f"board-{content_hash(verilog, main, version('verilator'))}"
    with locked(folder) as finished:
        if not finished.exists():
            (folder / "main.cpp").write_text(main)
            (folder / "top.v").write_text(verilog)
            paths = [str(folder / "main.cpp"), str(folder / "top.v")]
            verilate(folder, PROGRAM, paths, ["-LDFLAGS", "-lutil"], fast=True)
            finished.touch()
    return folder / PROGRAM


class VirtualBoard:
    """A running virtual board; a context manager that ends it.

    `url` is what the host program opens, `terminal` the pseudo terminal's path if there is one. The board lives on when
    the host goes away, and takes the next one. Raises `DeviceError` if the address is taken.
    """

    def __init__(
        self, array: ArrayConfig, link: LinkConfig, *, listen: str = "127.0.0.1:0", terminal: bool = False
    ) -> None:
        program = build_virtual_board(array, link)
        words = [str(program), str(link.divisor), "--listen", listen, *(["--pty"] if terminal else [])]
        self._process = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        said = self._said()
        if "listen" not in said:
            reason = self._process.stderr.read().strip() if self._process.stderr else ""
            self.close()
            raise DeviceError(f"the virtual board does not start: {reason}", "choose another address with --listen")
        self.url = f"socket://{listen.rpartition(':')[0]}:{said['listen']}"
        self.terminal = said.get("pty", "")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def running(self) -> bool:
        """Whether the program has not ended."""
        return self._process.poll() is None

    def reset(self) -> None:
        """Pull the board's reset."""
        self._process.send_signal(signal.SIGUSR1)

    def close(self) -> None:
        """End the program."""
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _said(self) -> dict[str, str]:
        """What it prints before it is ready: a word and a value a line."""
        said: dict[str, str] = {}
        if self._process.stdout is not None:
            for text in self._process.stdout:
                name, _, value = text.strip().partition(" ")
                said[name] = value
                if name == "ready":
                    break
        return said
