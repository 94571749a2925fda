# SPDX-License-Identifier: Apache-2.0
"""`trifactor weights`: weights from a board into a model file, and back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from .learn import check_output
from .options import Baud, Json, Port, Verbose
from .output import Output, thousands

ModelFile = Annotated[Path, typer.Option(help="Model file whose network the board holds.")]

app = typer.Typer(help="Weights from a board into a model file, and back.", no_args_is_help=True)


@app.command("pull")
def pull(
    model: ModelFile, port: Port, out: Annotated[Path, typer.Option(help="Model file to write.")],
    baud: Baud = None, json_output: Json = False, verbose: Verbose = 0,
) -> None:  # fmt: skip
    """Write what the board has learned to a model file: also after a cable was pulled, or a program killed."""
    from ..golden.checkpoint import load_model, save_model
    from .board import learned

    output = Output(as_json=json_output, verbosity=verbose)
    check_output(out)
    stored = load_model(model)
    state = learned(stored, port=port, baud=baud)
    save_model(out, replace(stored, state=state, training=None))
    output.line(f"{thousands(sum(map(len, state.weights)))} rows of weights after sample {state.sample}, in {out}")
    output.result({"out": str(out), "seed": state.seed, "sample": state.sample, "port": port})


@app.command("push")
def push(model: ModelFile, port: Port, baud: Baud = None, json_output: Json = False, verbose: Verbose = 0) -> None:
    """Load a model's network and weights into the board, and read them back."""
    from ..arch.errors import MismatchError
    from ..golden.checkpoint import load_model
    from .board import BoardDevice

    output = Output(as_json=json_output, verbosity=verbose)
    stored = load_model(model)
    with BoardDevice(stored.array, stored.network, stored.state, port=port, baud=baud) as device:
        there = device.state
    wrong = sum(int((one != two).sum()) for one, two in zip(there.weights, stored.state.weights, strict=True))
    if wrong:
        raise MismatchError(f"{wrong} weights read back differ", "is the board's power good? try again")
    output.line(f"{model} is on the board at {port}, read back equal")
    output.result({"port": port, "sample": there.sample, "equal": True})
