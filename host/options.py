# SPDX-License-Identifier: Apache-2.0
"""Command-line options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

SEED_MAX = (1 << 32) - 1

Json = Annotated[bool, typer.Option("--json", help="One JSON object on stdout; everything else goes to stderr.")]
Verbose = Annotated[
    int, typer.Option("--verbose", "-v", count=True, help="Say more; -vv also shows tracebacks.", show_default=False)
]
DataDir = Annotated[Path | None, typer.Option(help="Folder that holds the data sets' folders; else $TRIFACTOR_DATA.")]
SensorSize = Annotated[
    str | None, typer.Option(help="Of events: width x height x polarities, or channels.", metavar="34x34x2")
]
Clip = Annotated[bool, typer.Option("--clip", help="Counts above what the array takes become the greatest.")]
SAMPLES = "npy, npz, pt, NIRData, or a folder of tonic's cache"
"""What the options say that take samples."""
Seed = Annotated[int | None, typer.Option(min=0, max=SEED_MAX, help="Seed of every random bit.", show_default="1")]
Device = Annotated[
    str, typer.Option(help="Where it runs: golden, verilator, icarus, or a board: its name or its port.")
]
Port = Annotated[
    str, typer.Option(help="A board's name if it is plugged in; or /dev/ttyUSB1, COM3, socket://HOST:PORT.")
]
Baud = Annotated[int | None, typer.Option(min=300, help="Bits a second.", show_default="the board's, or 3000000")]
ConfigFile = Annotated[Path | None, typer.Option("--config", help=r"TOML file with \[array], \[learn], \[sweep].")]
