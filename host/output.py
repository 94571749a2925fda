# SPDX-License-Identifier: Apache-2.0
"""Where a command's words go: results to stdout, everything else to stderr; bars on a terminal, lines in a pipe."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from ..arch.errors import TrifactorError

Update = Callable[..., None]
"""`update(done, total=None, note=None, say=False)`: how far a piece of work is; `say`: worth a line of its own."""

LINE_SECONDS = 10.0
PIPE_WIDTH = 1000
"""A pipe gets whole lines, whatever width a terminal would have."""


class Interrupted(TrifactorError):
    """Ctrl-C, with a hint about what survived."""

    exit_code = 130


class Output:
    """One command's output. With `as_json` stdout carries exactly one JSON object."""

    def __init__(self, *, as_json: bool = False, verbosity: int = 0) -> None:
        self.as_json = as_json
        self.verbosity = verbosity
        self.results = Console(file=sys.stdout, width=None if sys.stdout.isatty() else PIPE_WIDTH, highlight=False)
        self.notes = Console(file=sys.stderr, width=None if sys.stderr.isatty() else PIPE_WIDTH, highlight=False)

    def note(self, text: str, *, level: int = 0) -> None:
        """A line about what is going on, on stderr, from verbosity `level` up."""
        if self.verbosity >= level:
            self.notes.print(text, markup=False)

    def line(self, text: str = "", style: str | None = None) -> None:
        """A line of the result for a person; silent with `--json`."""
        if not self.as_json:
            self.results.print(text, style=style, markup=False)

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], *, left: bool = False) -> None:
        """A table of the result for a person; the first column is text, the others align right unless `left`."""
        if self.as_json:
            return
        self.results.print(f"\n{title}", style="bold", markup=False)
        table = Table()
        for index, column in enumerate(columns):
            table.add_column(column, justify="right" if index and not left else "left", overflow="fold")
        for row in rows:
            table.add_row(*map(escape, row))
        self.results.print(table)

    def result(self, values: Mapping[str, Any]) -> None:
        """The machine-readable result: printed with `--json`, else not at all."""
        if self.as_json:
            print(json.dumps(values, default=_plain), flush=True)  # noqa: T201 - stdout is the interface here

    @contextmanager
    def progress(self, title: str, total: int | None = None) -> Iterator[Update]:
        """A bar on a terminal, a line every few seconds in a pipe, always on stderr."""
        if self.notes.is_terminal:
            with self._bar(title, total) as update:
                yield update
        else:
            yield _Lines(self, title, total)

    @contextmanager
    def _bar(self, title: str, total: int | None) -> Iterator[Update]:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
        )
        with Progress(*columns, console=self.notes, transient=False) as bar:
            task = bar.add_task(title, total=total, note="")

            def update(done: int, total: int | None = None, note: str | None = None, say: bool = False) -> None:
                fields: dict[str, Any] = {"total": total, "note": note}
                bar.update(task, completed=done, **{name: value for name, value in fields.items() if value is not None})

            yield update


class _Lines:
    """Progress as plain lines: the first, the last, and one every `LINE_SECONDS` between."""

    def __init__(self, output: Output, title: str, total: int | None) -> None:
        self.output = output
        self.title = title
        self.total = total
        self.said = 0.0

    def __call__(self, done: int, total: int | None = None, note: str | None = None, say: bool = False) -> None:
        """Say it if it is due."""
        self.total = self.total if total is None else total
        now = time.monotonic()
        if say or done == self.total or now - self.said >= LINE_SECONDS:
            self.said = now
            of = f"/{self.total}" if self.total else ""
            self.output.note(f"{self.title}: {done}{of}" + (f"  {note}" if note else ""))


def _plain(value: Any) -> Any:
    """What JSON lacks: numpy scalars and arrays, paths, dataclasses with `to_dict`."""
    for method in ("to_dict", "item", "tolist"):
        if hasattr(value, method):
            try:
                return getattr(value, method)()
            except ValueError:
                continue
    return str(value)


def thousands(value: float, digits: int = 0) -> str:
    """`1234567` as `1 234 567`, with `digits` behind the point."""
    return f"{value:,.{digits}f}".replace(",", " ")


def percent(value: float, digits: int = 1) -> str:
    """A share of 1 as `97.3 %`."""
    return f"{100 * value:.{digits}f} %"
