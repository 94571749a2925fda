# SPDX-License-Identifier: Apache-2.0
"""`trifactor info`: a board's configuration, beside what this program would build."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..arch.array import ArrayConfig
from ..arch.errors import ConfigurationError, DeviceError
from ..arch.link import build_hash
from .config import load_config
from .identify import check_version, recognise
from .options import Baud, ConfigFile, Json, Port, Verbose
from .output import Output, thousands
from .ping import asked, begun, rows
from .ports import resolved


def info(
    port: Port,
    model: Annotated[Path | None, typer.Option(help="Model file: the board must have its array.")] = None,
    config: ConfigFile = None,
    baud: Baud = None,
    json_output: Json = False,
    verbose: Verbose = 0,
) -> None:
    """Show a board's configuration and counters; an error if it is of another version, or not what is asked for."""
    from .board import loaded

    output = Output(as_json=json_output, verbosity=verbose)
    wanted = _wanted(model, config)
    url, rate = resolved(port, baud)
    session = begun(url, rate)
    try:
        found, own = asked(session, url, rate)
        check_version(own)
        known = recognise(own, [wanted] if wanted else [], rate)
        content = loaded(session, *known) if known else ""
    finally:
        session.line.close()
    if wanted is not None and (known is None or known[0] != wanted):
        meant = build_hash(wanted, own.link(max(4, round(own.clock / rate))))
        raise DeviceError(
            f"the board holds build {own.build:016x}, not {meant:016x}", "upload the bitstream of this configuration"
        )
    lines = rows(found)
    lines.append(("waiting packets, items, results, spikes", ", ".join(
        f"{thousands(own.depths[name])}" for name in ("packets", "items", "results", "events")
    )))  # fmt: skip
    if known is None:
        lines.append(("configuration", "none of this version's boards: compare it by --model or --config"))
    else:
        array = known[0]
        lines.append(("loaded with", "not to be read: it is at work" if content is None else content or "nothing"))
        lines.append(("same build as", f"this version's, {'as asked for' if wanted else _name(array)}"))
        lines += [(name.replace("_", " "), _text(value)) for name, value in array.model_dump(mode="json").items()]
    output.table(f"the board at {url}", ("what", "value"), lines)
    output.result(
        {
            **found,
            "depths": own.depths,
            "recognised": known is not None,
            "loaded": content or None,
            "array": known[0].model_dump(mode="json") if known else None,
        }
    )


def _wanted(model: Path | None, config: Path | None) -> ArrayConfig | None:
    if model is not None and config is not None:
        raise ConfigurationError("--model has its own array", "leave --config out")
    if model is not None:
        from ..golden.checkpoint import load_model

        return load_model(model).array
    return load_config(config).array if config is not None else None


def _name(array: ArrayConfig) -> str:
    from ..boards.catalog import BOARDS

    return "default of " + ", ".join(board.name for board in BOARDS.values() if board.array == array)


def _text(value: object) -> str:
    return ", ".join(map(str, value)) or "none" if isinstance(value, list) else str(value)
