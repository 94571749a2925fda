# SPDX-License-Identifier: Apache-2.0
"""`trifactor board sim`: a board made of software, for the host program to talk to."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from ..arch.array import ArrayConfig
from ..arch.errors import ConfigurationError, DeviceError
from ..arch.link import LinkConfig
from .config import load_config
from .options import ConfigFile, Json, Verbose
from .output import Output

POLL_SECONDS = 0.2

app = typer.Typer(help="Boards: simulate one behind its serial pins.", no_args_is_help=True)


@app.command("sim")
def sim(
    model: Annotated[Path | None, typer.Option(help="Model file: the board gets the array it was made for.")] = None,
    config: ConfigFile = None,
    name: Annotated[str | None, typer.Option("--board", help="Board whose clock, line and array it has.")] = None,
    listen: Annotated[str, typer.Option(help="Address of the TCP socket; port 0: any.")] = "127.0.0.1:4000",
    pty: Annotated[bool, typer.Option("--pty", help="A pseudo terminal besides.")] = False,
    json_output: Json = False,
    verbose: Verbose = 0,
) -> None:
    """Run the top level of a bitstream in Verilator, its serial pins on a TCP socket, until Ctrl-C."""
    from ..cosim.virtual_board import VirtualBoard

    output = Output(as_json=json_output, verbosity=verbose)
    host, colon, number = listen.rpartition(":")
    if not colon or not host or not number.isdigit() or int(number) > 65535:
        raise ConfigurationError(f"address {listen!r} is not HOST:PORT", "write 127.0.0.1:4000")
    array, link = chosen(model, config, name)
    output.note("building the board; the first time takes a minute")
    with VirtualBoard(array, link, listen=listen, terminal=pty) as board:
        output.result({"url": board.url, "terminal": board.terminal, "array": array.model_dump(mode="json")})
        output.line(f"the board is at {board.url}" + (f" and {board.terminal}" if board.terminal else ""))
        output.line(f"in another window: trifactor ping --port {board.url}")
        try:
            while board.running:
                time.sleep(POLL_SECONDS)
        except KeyboardInterrupt:
            output.note("the board is switched off; what it learned is gone")
            return
    raise DeviceError("the virtual board ended by itself", "run it again with -vv")


def chosen(model: Path | None, config: Path | None, name: str | None) -> tuple[ArrayConfig, LinkConfig]:
    """The array of a model, a configuration or a board, and the board's link if there is one."""
    if (model is not None and config is not None) or not (model or config or name):
        raise ConfigurationError("which array should the board hold?", "name --model, --config or --board, one of them")
    link = LinkConfig()
    array = load_config(config).array
    if name is not None:
        from ..boards.catalog import board_named

        link, array = board_named(name).link(), board_named(name).array if config is None else array
    if model is not None:
        from ..golden.checkpoint import load_model

        array = load_model(model).array
    return array, link
