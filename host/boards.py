# SPDX-License-Identifier: Apache-2.0
"""`trifactor boards | build | report | upload`: from the name of a board to a bitstream on it."""

from __future__ import annotations

from itertools import count
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from .. import __version__
from ..arch.array import ArrayConfig
from ..arch.errors import ConfigurationError
from .config import load_config
from .options import ConfigFile, Json, Verbose
from .output import Output, percent, thousands

FOLDER = Path("build")
FREQ_MAX = 1000
"""Where builds go, a folder for each board."""

BoardName = Annotated[str, typer.Option("--board", help="Name of a board: `trifactor boards` lists them.")]
Folder = Annotated[Path | None, typer.Option("--out", help="Folder of the build.", show_default="build/BOARD")]


def boards(
    only: Annotated[str, typer.Argument(help="Show those whose name, title or FPGA has this in it.")] = "",
    json_output: Json = False,
    verbose: Verbose = 0,
) -> None:
    """List the boards: FPGA, default array, clock, how each is known to work."""
    from ..boards.catalog import BOARDS

    output = Output(as_json=json_output, verbosity=verbose)
    wanted = only.lower()
    found = [
        board
        for board in BOARDS.values()
        if wanted in f"{board.name} {board.title} {board.fpga} {board.family}".lower()
    ]
    if not found:
        raise ConfigurationError(f"no board has {only!r} in its name, title or FPGA", "trifactor boards lists all")
    rows = [
        (
            board.name,
            board.title,
            board.fpga,
            f"{board.array.cores} x {board.array.lanes}",
            thousands(board.array.weight_words * board.array.parallel),
            f"{board.clock / 1e6:g} MHz",
            board.status,
        )
        for board in found
    ]
    columns = ("board", "", "FPGA", "cores x lanes", "synapses", "clock", "status")
    output.table("Boards", columns, rows, left=True)
    output.result(
        {
            "boards": [
                {
                    "name": board.name,
                    "title": board.title,
                    "fpga": board.fpga,
                    "family": board.family,
                    "clock_hz": board.clock,
                    "baud": board.baud,
                    "usb": [f"{vendor:04x}:{product:04x} interface {number}" for vendor, product, number in board.usb],
                    "status": board.status,
                    "array": board.array.model_dump(mode="json"),
                }
                for board in found
            ]
        }
    )


def build(
    board: BoardName,
    config: ConfigFile = None,
    model: Annotated[Path | None, typer.Option(help="Model file: the array it was made for.")] = None,
    freq: Annotated[float | None, typer.Option(help="Clock in MHz.", show_default="the board's")] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Placements; the fastest becomes the bitstream.")] = 1,
    out: Folder = None,
    json_output: Json = False,
    verbose: Verbose = 0,
) -> None:
    """Make the bitstream of a board, if timing closes, and report.json. What was made before comes from a cache."""
    from ..boards import build as maker
    from ..boards.catalog import board_named

    output = Output(as_json=json_output, verbosity=verbose)
    row = board_named(board)
    array = _array(config, model)
    clock = None if freq is None else _hertz(freq)
    folder = out or FOLDER / row.name
    with output.progress(f"build {row.name}", seeds + 3) as update:
        said = count()
        try:
            report = maker.build(
                row,
                array,
                folder=folder,
                version=__version__,
                clock=clock,
                seeds=seeds,
                progress=lambda text: update(next(said), note=text, say=True),
            )
        except OSError as error:
            raise maker.disk_error(error, folder) from error
        update(seeds + 3)
    _show(output, report)
    output.line(f"{folder / report.bitstream}: trifactor upload --board {row.name}")
    output.result(_plain(report))


def _hertz(freq: float) -> int:
    """A clock given in MHz."""
    if not 1 <= freq <= FREQ_MAX:
        raise ConfigurationError(f"--freq {freq:g}: a clock has 1 to {FREQ_MAX} MHz", "give it in MHz")
    return round(freq * 1e6)


def report(
    board: Annotated[str | None, typer.Option("--board", help="Board whose build in build/BOARD is meant.")] = None,
    path: Annotated[Path | None, typer.Option("--report", help="Any report.json.")] = None,
    compare: Annotated[Path | None, typer.Option(help="Report of an earlier build to set beside it.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write it as a page, too.")] = None,
    json_output: Json = False,
    verbose: Verbose = 0,
) -> None:
    """What a build takes of its FPGA, what its block RAM holds, how fast it is and along which path."""
    output = Output(as_json=json_output, verbosity=verbose)
    if (board is None) == (path is None):
        raise ConfigurationError("which build?", "name --board, or a file with --report, one of them")
    if board is not None:
        from ..boards.catalog import board_named

        path = FOLDER / board_named(board).name / "report.json"
    assert path is not None
    found = _load(path)
    earlier = _load(compare) if compare else None
    _show(output, found, earlier)
    if html is not None:
        from .page import write_page

        before = {item.name: thousands(item.used) for item in earlier.resources} if earlier else {}
        write_page(html, "build.html.jinja", report=found, earlier=earlier, before=before)
        output.note(f"written: {html}")
    output.result({**_plain(found), **({"earlier": _plain(earlier)} if earlier else {})})


def upload(
    board: BoardName,
    out: Folder = None,
    flash: Annotated[bool, typer.Option("--flash", help="Into the flash memory: stays when the power goes.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the command and do nothing.")] = False,
    json_output: Json = False,
    verbose: Verbose = 0,
) -> None:
    """Load a bitstream into a board with openFPGALoader; its command is shown."""
    from ..boards import upload as loader
    from ..boards.catalog import board_named

    output = Output(as_json=json_output, verbosity=verbose)
    row = board_named(board)
    bitstream = loader.bitstream_of(row, out or FOLDER / row.name)
    words = loader.command(row, bitstream, flash=flash)
    output.line(" ".join(words))
    if not dry_run:
        loader.run(row, words)
        output.line(f"loaded; now: trifactor ping --port {row.name}")
    output.result({"board": row.name, "command": words, "done": not dry_run})


def _array(config: Path | None, model: Path | None) -> ArrayConfig | None:
    """The array that was asked for; None: the board's own."""
    if config is not None and model is not None:
        raise ConfigurationError("--config and --model both say which array", "leave one of them out")
    if model is not None:
        from ..golden.checkpoint import load_model

        return load_model(model).array
    settings = load_config(config)
    return settings.array if settings.array_given else None


def _load(path: Path) -> Any:
    from ..boards.build_report import BuildReport

    try:
        return BuildReport.model_validate_json(path.read_bytes())
    except FileNotFoundError as error:
        raise ConfigurationError(f"{path}: there is no such report", "trifactor build makes it") from error
    except ValidationError as error:
        raise ConfigurationError(f"{path}: not the report of a build", "trifactor build makes report.json") from error


def _plain(report: Any) -> dict[str, Any]:
    """A report with what is derived from it."""
    derived = ("clock_mhz", "median_mhz", "met", "neurons", "synapses", "operations_per_second", "updates_per_second")
    return {
        **report.model_dump(mode="json"),
        **{name: getattr(report, name) for name in derived},
        "fmax_mhz": report.chosen.fmax_mhz,
    }


def _show(output: Output, report: Any, earlier: Any = None) -> None:
    def rows(one: Any) -> dict[str, str]:
        return {
            **{
                item.title: f"{thousands(item.used)} of {thousands(item.available)}  {percent(item.share, 0)}"
                for item in one.resources
            },
            "clock wanted": f"{one.clock_mhz:g} MHz",
            "fmax, best seed": f"{one.chosen.fmax_mhz:.1f} MHz",
            f"fmax, median of {one.seeds}": f"{one.median_mhz:.1f} MHz",
            **({"seeds that did not route": str(one.unrouted)} if one.unrouted else {}),
            "neurons": thousands(one.neurons),
            "synapses": thousands(one.synapses),
            "synaptic operations, peak": f"{thousands(one.operations_per_second / 1e6)} M/s",
            "weight updates, peak": f"{thousands(one.updates_per_second / 1e6)} M/s",
        }

    array = report.array
    title = f"{array.cores} x {array.lanes} lanes, {array.weight_bits}-bit weights, on {report.board} ({report.fpga})"
    now, before = rows(report), rows(earlier) if earlier else {}
    if earlier:
        names = dict.fromkeys((*now, *before))
        lines = [(name, now.get(name, "-"), before.get(name, "-")) for name in names]
        output.table(title, ("", "this build", "the earlier one"), lines)
    else:
        output.table(title, ("", "value"), list(now.items()))
    uses = dict.fromkeys((*report.memories, *(earlier.memories if earlier else ())))
    columns = ("block RAM by purpose", "cells", *(("earlier",) if earlier else ()))
    output.table(
        "Memories",
        columns,
        [
            (use, str(report.memories.get(use, 0)), *((str(earlier.memories.get(use, 0)),) if earlier else ()))
            for use in uses
        ],
    )
    path = report.chosen.critical_path
    output.line(
        f"critical path: {path.start} to {path.end}, {path.delay_ns:.1f} ns, "
        f"{path.logic_ns:.1f} of them logic, by {', '.join(path.through[:4])}"
    )
