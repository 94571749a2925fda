# SPDX-License-Identifier: Apache-2.0
"""`trifactor export`: the array as files for other people's systems."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Annotated, Any

import typer

from ..arch.array import ArrayConfig
from ..arch.c_header import c_header
from ..arch.errors import ConfigurationError
from ..arch.link import Depths
from ..arch.register_map import register_map
from .config import check_choice, load_config, overridden
from .export_files import core_file, readme, smoke_test, waivers
from .export_ports import Port, port
from .options import ConfigFile, Json, Verbose
from .output import Output

BUSES = ("stream", "axi-lite", "wishbone")
STEM = "trifactor"

app = typer.Typer(
    help="The array for other systems: Verilog, register map, C header, FuseSoC core. A network as NIR.",
    no_args_is_help=True,
)


@app.command("verilog")
def verilog(
    bus: Annotated[str, typer.Option(help="What it is reached by: stream, axi-lite or wishbone.")] = "stream",
    out: Annotated[Path, typer.Option(help="Folder for the files: a new or an empty one.")] = Path("export"),
    name: Annotated[str, typer.Option(help="Where a system has several: trifactor_NAME.", show_default=False)] = "",
    force: Annotated[bool, typer.Option("--force", help="Write into a folder that is not empty.")] = False,
    lanes: Annotated[int | None, typer.Option(help="Lanes per core: 1, 2, 4, 8 or 16.", show_default="16")] = None,
    cores: Annotated[int | None, typer.Option(help="Cores: 1, 2, 4 or 8.", show_default="1")] = None,
    weight_bits: Annotated[int | None, typer.Option(help="Bits of a stored weight, 4 to 16.", show_default="8")] = None,
    weight_words: Annotated[int | None, typer.Option(help="Weight words per core.", show_default="4096")] = None,
    items: Annotated[int | None, typer.Option(help="Items that wait behind a bus.", show_default="4096")] = None,
    results: Annotated[int | None, typer.Option(help="Results that wait there.", show_default="512")] = None,
    events: Annotated[int | None, typer.Option(help="Recorded spikes that wait there.", show_default="512")] = None,
    config: ConfigFile = None,
    json_output: Json = False,
    verbose: Verbose = 0,
) -> None:
    """Write the array as one plain Verilog file, with its register map, a C header and a FuseSoC core."""
    output = Output(as_json=json_output, verbosity=verbose)
    check_choice(bus, BUSES, "bus")
    module = _module(name)
    settings = load_config(config)
    given = {"lanes": lanes, "cores": cores, "weight_bits": weight_bits, "weight_words": weight_words}
    array = overridden(settings.array if settings.array_given else ArrayConfig(weight_bits=8), given)
    waiting = {"items": items, "results": results, "events": events}
    if bus == "stream" and any(waiting.values()):
        raise ConfigurationError("streams have no --items, --results, --events", "those are of a bus: --bus axi-lite")
    depths = None if bus == "stream" else overridden(Depths(), waiting)
    _prepare_folder(out, force=force)
    output.note("making Verilog; a large array takes a minute or two")
    files = texts(array, depths, bus=bus, name=module)
    for file, text in files.items():
        (out / file).write_text(text, encoding="utf-8")
    output.line(f"{len(files)} files in {out}; begin with {out / 'README.md'}")
    output.result(
        {"out": str(out), "files": list(files), "bus": bus, "module": module, "array": array.model_dump(mode="json")}
    )


@app.command("nir")
def nir(
    model: Annotated[Path, typer.Argument(help="Model file.", metavar="MODEL", show_default=False)],
    out: Annotated[Path, typer.Option(help="NIR file to write.")] = Path("network.nir"),
    dt: Annotated[float, typer.Option(help="Seconds a step.")] = 1e-4,
    json_output: Json = False,
    verbose: Verbose = 0,
) -> None:
    """Write the network of a model file as NIR, for snnTorch, Norse, Lava and others; say what NIR cannot."""
    output = Output(as_json=json_output, verbosity=verbose)
    from ..golden.checkpoint import load_model
    from .learn import check_output
    from .nir_export import left_out, to_nir

    check_output(out)
    stored = load_model(model)
    graph = to_nir(stored, dt=dt)
    import nir as package

    package.write(out, graph)
    missing = left_out(stored.network)
    for one in missing:
        output.line(f"left out: {one}")
    output.line(f"written: {out}")
    output.result({"out": str(out), "nodes": list(graph.nodes), "dt": dt, "left_out": missing})


def texts(array: ArrayConfig, depths: Depths | None, *, bus: str, name: str) -> dict[str, str]:
    """Every file of an export and what is in it; `depths` is None for streams. Raises `ToolError` without Yosys."""
    from .. import __version__
    from ..cosim.verilog import LINT_WAIVERS, to_verilog

    component = _component(array, depths, bus)
    known = register_map(array, depths)
    names = [f"{name}{suffix}" for suffix in (".v", ".vlt", "_smoke.v", "_registers.h", "_registers.json", ".core")]
    banner = f"// SPDX-License-Identifier: Apache-2.0\n// Generated by trifactor {__version__}.\n"
    address_bits = known["address_shift"] + 4
    contents = (
        banner + to_verilog(component, name=name, separator="_"),
        waivers(LINT_WAIVERS),
        smoke_test(name=name, bus=bus, address_bits=address_bits),
        c_header(known, name=name),
        json.dumps({"name": name, "version": __version__, "bus": bus, **known}, indent=2) + "\n",
        core_file(name=name, version=__version__, files=names),
    )
    page = readme(known, name=name, bus=bus, version=__version__, ports=_ports(component))
    return {**dict(zip(names, contents, strict=True)), "README.md": page}


def _component(array: ArrayConfig, depths: Depths | None, bus: str) -> Any:
    from .. import __version__
    from ..rtl.array import Array
    from ..rtl.peripheral import Peripheral

    if depths is None:
        return Array(array)
    return Peripheral(array, depths, "wishbone" if bus == "wishbone" else "axi-lite", version=__version__)


def _ports(component: Any) -> list[Port]:
    from ..cosim.verilog import ports

    own = [port(name, is_input=is_input, bits=len(signal)) for name, is_input, signal in ports(component, "_")]
    return [port("clk", is_input=True, bits=1), port("rst", is_input=True, bits=1), *own]


def _module(name: str) -> str:
    """The module's name."""
    if not re.fullmatch(r"[a-z0-9_]{0,40}", name):
        raise ConfigurationError(f"name {name!r} is not small letters, digits and _", "as in --name left")
    return f"{STEM}_{name}" if name else STEM


def _prepare_folder(folder: Path, *, force: bool) -> None:
    """Make `folder`; raise `ConfigurationError`, or `OSError`, unless files can go into it."""
    if folder.exists() and not folder.is_dir():
        raise ConfigurationError(f"{folder}: not a folder", "name another with --out")
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()) and not force:
        raise ConfigurationError(f"{folder}: not empty", "name another with --out, or write into it with --force")
    if not os.access(folder, os.W_OK):
        raise ConfigurationError(f"{folder}: not writable", "name another with --out, or change its permissions")
