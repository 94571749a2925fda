# SPDX-License-Identifier: Apache-2.0
"""The command line: `trifactor COMMAND`. One wrapper turns every error into one line and an exit code."""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from .. import __version__
from ..arch.errors import ConfigurationError, TrifactorError
from . import (
    board_sim,
    boards,
    check,
    costs,
    demo,
    doctor,
    export,
    info,
    init,
    learn,
    ping,
    quantize,
    run,
    show,
    sweep,
    synth,
    verify,
    weights,
)
from .config import one_line
from .output import Interrupted

EXIT_BUG = 70
USAGE_HINT = "trifactor COMMAND --help shows the options"
BUG_HINT = "this is a bug: please report it with the output of -vv"

app = typer.Typer(
    name="trifactor",
    help="A fixed-point LIF core array that learns on the chip: train it, run it, prove it, synthesise it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    epilog="Exit codes: 0 ok, 1 mismatch, 2 usage, 3 does not fit, 4 tool missing, 5 place-and-route or timing, "
    "6 device, 130 interrupted.",
)

app.command("demo")(demo.demo)
app.command("doctor")(doctor.doctor)
app.command("init")(init.init)
app.command("learn")(learn.learn)
app.command("run")(run.run)
app.command("sweep")(sweep.sweep)
app.command("verify")(verify.verify)
app.command("show")(show.show)
app.command("check")(check.check)
app.command("quantize")(quantize.quantize)
app.command("costs")(costs.costs)
app.command("synth")(synth.synth)
app.command("boards")(boards.boards)
app.command("build")(boards.build)
app.command("report")(boards.report)
app.command("upload")(boards.upload)
app.command("ping")(ping.ping)
app.command("info")(info.info)
app.add_typer(board_sim.app, name="board")
app.add_typer(export.app, name="export")
app.add_typer(weights.app, name="weights")


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"trifactor {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    """Options of the program itself; its help text is that of `app`."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit: the entry point of the `trifactor` script."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    sys.exit(call(words))


def call(words: list[str]) -> int:
    """Run one command; the exit code. Errors become `error: …` and `hint: …` on stderr, with `--json` JSON on stdout.

    130 for Ctrl-C, 70 for what should never happen.
    """
    try:
        code = app(args=words, standalone_mode=False)
    except Exception as error:
        return _report(error, words)
    except KeyboardInterrupt as error:
        return _report(error, words)
    if code == Interrupted.exit_code:  # typer has made it of a Ctrl-C
        return _report(KeyboardInterrupt(), words)
    return code if isinstance(code, int) else 0


def _report(error: BaseException, words: list[str]) -> int:
    message, hint, code = _explain(error)
    if not message:  # the help was shown, for want of a command
        return code
    if "-vv" in words or words.count("-v") + words.count("--verbose") > 1:
        traceback.print_exception(error)
    typer.echo(f"error: {message}", err=True)
    if hint:
        typer.echo(f"hint: {hint}", err=True)
    if "--json" in words:
        typer.echo(json.dumps({"error": message, "hint": hint, "exit_code": code}))
    return code


def _explain(error: BaseException) -> tuple[str, str, int]:
    """Message, hint and exit code of whatever ended a command."""
    problem: Any = error
    if isinstance(error, ValidationError):
        problem = one_line(error, error.title)
    if isinstance(problem, TrifactorError):
        return _flat(problem.message), _flat(problem.hint), problem.exit_code
    if isinstance(error, KeyboardInterrupt | typer.Abort):
        return "interrupted", "", Interrupted.exit_code
    # typer carries its own click since 0.16, so its usage errors are known by what they can do, not by their class.
    if hasattr(problem, "format_message"):
        return (
            _flat(problem.format_message()),
            USAGE_HINT,
            ConfigurationError.exit_code,
        )
    if isinstance(error, ModuleNotFoundError) and error.name and not error.name.startswith("trifactor"):
        return f"Python package {error.name!r} is missing", "pip install 'trifactor[dev]', or run: trifactor doctor", 4
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: {error.strerror}", "check the path, the permissions and the free space", 2
    return (
        f"{type(error).__name__}: {_flat(str(error))}",
        BUG_HINT,
        EXIT_BUG,
    )


def _flat(text: str) -> str:
    return " ".join(text.split())
