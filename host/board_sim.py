# SPDX-License-Identifier: Apache-2.0
"""`trifactor board sim`: a board made of software, for the host program to talk to."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

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
    if (model is None) == (config is None):
        raise ConfigurationError("which array should the board hold?", "name --model or --config, one of them")
    if model is not None:
        from ..golden.checkpoint import load_model

        array = load_model(model).array
    else:
        array = load_config(config).array
    output.note("building the board; the first time takes a minute")
    with VirtualBoard(array, LinkConfig(), listen=listen, terminal=pty) as board:
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
