# SPDX-License-Identifier: Apache-2.0
"""`trifactor verify`: simulated hardware, or a board, against the golden model, bit for bit."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import numpy as np
import typer

from ..arch.errors import ConfigurationError, MismatchError
from ..arch.rules import Rule, rule_named
from .config import DATASETS, SIMULATORS, check_choice
from .options import Baud, DataDir, Json, Seed, Verbose
from .output import Output, Update, thousands
from .plan import check_samples

if TYPE_CHECKING:
    from ..arch.array import ArrayConfig
    from ..boards.gates import Family
    from ..cosim.compare import Mismatch
    from ..cosim.simulators import Simulator
    from ..cosim.verify import VerifyResult

SIMULATOR = "verilator"
RANDOM = 20
FAMILIES: dict[str, str] = {"ecp5": "ecp5", "ice40": "ice40-hx"}
"""Of netlists that can be simulated, and the flow that makes them."""
SAMPLES = 10


def verify(
    sim: Annotated[str | None, typer.Option(help="verilator or icarus.", show_default=SIMULATOR)] = None,
    random: Annotated[
        int | None,
        typer.Option(min=1, help="Random arrays, networks and data.", show_default=f"{RANDOM} without --model"),
    ] = None,
    rule: Annotated[
        str | None, typer.Option(help="Random networks of this rule.", show_default="random coefficients")
    ] = None,
    seed: Seed = None,
    model: Annotated[Path | None, typer.Option(help="Go on learning from this model, on a data set.")] = None,
    dataset: Annotated[str | None, typer.Option(help="Data set.", show_default="the model's")] = None,
    data_dir: DataDir = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Training samples of it.", show_default=str(SAMPLES))] = None,
    netlist: Annotated[
        str | None, typer.Option(help="Simulate the netlist of ecp5 or ice40 cells.", show_default="the array's RTL")
    ] = None,
    waves: Annotated[Path | None, typer.Option(help="Folder for a waveform of the first mismatch.")] = None,
    port: Annotated[
        str | None, typer.Option(help="A board, by name or port, in place of a simulator: --model.")
    ] = None,
    baud: Baud = None,
    run: Annotated[int | None, typer.Option(min=1, help="Test samples to run on the board before it learns.")] = None,
    json_output: Json = False,
    verbose: Verbose = 0,
) -> None:
    """Compare every state of the simulated hardware with the golden model, learning on. Exit code 1 on a mismatch.

    Of a board, results, counters and weights are compared.
    """
    output = Output(as_json=json_output, verbosity=verbose)
    simulator = cast("Simulator", check_choice(sim or SIMULATOR, SIMULATORS, "simulator"))
    if model is None and any(value is not None for value in (dataset, data_dir, limit)):
        raise ConfigurationError("--dataset, --data-dir and --limit belong to --model", "add --model FILE")
    if netlist is not None:
        check_choice(netlist, tuple(FAMILIES), "family")
        if model is not None:
            raise ConfigurationError("--netlist belongs to --random", "leave --model away")
    if port is not None:
        if model is None or any(value is not None for value in (sim, random, rule, seed, waves, netlist)):
            raise ConfigurationError(
                "--port compares a model on a board", "add --model FILE; leave what belongs to simulations out"
            )
        result = _on_board(output, port, baud, model, dataset, data_dir, limit or SAMPLES, run or 0)
        _show(output, port, [result])
        return
    if baud is not None or run is not None:
        raise ConfigurationError("--baud and --run belong to --port", "name the port of a board")
    if waves is not None:
        waves.mkdir(parents=True, exist_ok=True)
    if model is not None and random is None and (rule is not None or seed is not None):
        name = "rule" if rule is not None else "seed"
        raise ConfigurationError(f"--{name} belongs to --random", f"a model has its own {name}; or add --random N")
    results = []
    if model is not None:
        results.append(_samples(output, simulator, model, dataset, data_dir, limit or SAMPLES, waves))
    if random is not None or model is None:
        own = None if rule is None else rule_named(rule)
        results.append(_random(output, simulator, random or RANDOM, 1 if seed is None else seed, own, waves, netlist))
    _show(output, simulator, results)


def result_of(results: list[VerifyResult]) -> dict[str, Any]:
    """Configurations, words compared and mismatched, and the first mismatch, over all results."""
    first = next((result.first_mismatch for result in results if result.first_mismatch), None)
    return {
        "configurations": sum(result.configurations for result in results),
        "samples": sum(result.samples for result in results),
        "compared": sum(result.compared for result in results),
        "mismatched": sum(result.mismatched for result in results),
        "first_mismatch": None if first is None else {**asdict(first), "text": str(first)},
    }


def stop_if_different(output: Output, results: list[VerifyResult], hint: str) -> None:
    """End with exit code 1 after a mismatch; the result itself, which has it too, is already out."""
    first: Mismatch | None = next((result.first_mismatch for result in results if result.first_mismatch), None)
    if first is not None:
        output.note(f"error: golden model and hardware differ: {first}")
        output.note(f"hint: {hint}")
        raise typer.Exit(MismatchError.exit_code)


class _Stopped(Exception):
    """Ends a run at its first mismatch."""

    def __init__(self, result: VerifyResult) -> None:
        super().__init__()
        self.result = result


def _random(
    output: Output,
    sim: Simulator,
    count: int,
    seed: int,
    rule: Rule | None,
    waves: Path | None,
    netlist: str | None,
) -> VerifyResult:
    from ..cosim.verify import verify_random

    verilog = None if netlist is None else partial(_gates, family=cast("Family", netlist))

    def progress(result: VerifyResult) -> None:
        update(result.configurations, note=f"{thousands(result.compared)} words compared")
        if not result.ok:
            raise _Stopped(result)

    with output.progress(f"verify, {sim}", count) as update:
        update(0)
        try:
            result = verify_random(sim, count, seed, progress, rule=rule, verilog=verilog)
        except _Stopped as stopped:
            result = stopped.result
    found = result.first_mismatch
    if found is None:
        result.require_activity()
    elif waves is not None and found.configuration is not None:
        file = waves / f"seed-{seed}-configuration-{found.configuration}"
        verify_random(sim, 1, seed, first=found.configuration, rule=rule, waves=file, verilog=verilog)
        output.note(f"waveform of the mismatch: {_written(file)}")
    return result


def _gates(array: ArrayConfig, family: Family) -> str:
    """Verilog of the array's netlist."""
    from ..boards.gates import to_verilog
    from ..boards.netlist import synthesise_netlist, to_rtlil
    from ..rtl.array import Array

    return to_verilog(synthesise_netlist(to_rtlil(Array(array)), family=FAMILIES[family]), family)


def _samples(
    output: Output, sim: Simulator, path: Path, name: str | None, data_dir: Path | None, limit: int, waves: Path | None
) -> VerifyResult:
    from ..cosim.verify import verify_samples
    from ..golden.checkpoint import load_model
    from ..golden.data import load

    model = load_model(path)
    dataset = load(check_choice(name or model.dataset, DATASETS, "data set"), data_dir, limit, steps=model.coding.steps)
    check_samples(dataset, model.network.sizes, str(path))
    numbers = (model.state.sample + np.arange(len(dataset.train_labels))) & 0xFFFFFFFF
    inputs = model.coding.encode(dataset.train_inputs, model.state.seed, numbers)
    array = model.array.model_copy(update={"signatures": True})
    with output.progress(f"verify, {sim}", len(inputs)) as update:
        update(0)
        result = verify_samples(
            sim, array, model.network, model.state, inputs, dataset.train_labels, progress=_report(update)
        )
    found = result.first_mismatch
    if found is None:
        result.require_activity()
    elif waves is not None and found.sample is not None:
        from ..cosim.device import RtlDevice
        from ..golden.device import GoldenDevice

        golden = GoldenDevice(array, model.network, model.state)
        before, at = slice(0, found.sample), slice(found.sample, found.sample + 1)
        if found.sample:
            golden(inputs[before], dataset.train_labels[before], learn=True)
        file = waves / f"{path.stem}-sample-{found.sample}"
        with RtlDevice(array, model.network, golden.state, sim=sim, waves=file) as device:
            device(inputs[at], dataset.train_labels[at], learn=True)
        output.note(f"waveform of the sample with the mismatch: {_written(file)}")
    return result


def _on_board(
    output: Output,
    port: str,
    baud: int | None,
    path: Path,
    name: str | None,
    data_dir: Path | None,
    limit: int,
    run: int,
) -> VerifyResult:
    from ..golden.checkpoint import load_model
    from ..golden.data import load
    from ..golden.device import GoldenDevice
    from ..golden.train import TEST_SEED
    from .board import BoardDevice
    from .verify_board import Samples, verify_board

    model = load_model(path)
    dataset = load(check_choice(name or model.dataset, DATASETS, "data set"), data_dir, limit, steps=model.coding.steps)
    check_samples(dataset, model.network.sizes, str(path))
    tests = np.arange(min(run, len(dataset.test_labels)))
    first = model.state.sample + len(tests)
    numbers = (first + np.arange(len(dataset.train_labels))) & 0xFFFFFFFF
    encode = model.coding.encode
    work = [
        Samples(inputs=encode(dataset.train_inputs, model.state.seed, numbers), labels=dataset.train_labels, learn=True)
    ]
    if len(tests):
        inputs = encode(dataset.test_inputs[tests], TEST_SEED, tests)
        work.insert(0, Samples(inputs=inputs, labels=dataset.test_labels[tests], learn=False))
    with (
        BoardDevice(model.array, model.network, model.state, port=port, baud=baud) as device,
        output.progress(f"verify, {port}", sum(len(samples.inputs) for samples in work)) as update,
    ):
        golden = GoldenDevice(device.array, model.network, model.state)
        result = verify_board(device, golden, work, _report(update))
    if result.ok:
        result.require_activity()
    return result


def _report(update: Update) -> Any:
    def progress(result: VerifyResult) -> None:
        update(result.samples, note=f"{thousands(result.compared)} words compared")

    return progress


def _written(file: Path) -> str:
    """The waveform's name: the simulator decides its suffix."""
    return ", ".join(sorted(str(path) for path in file.parent.glob(f"{file.name}.*"))) or "none was written"


def _show(output: Output, sim: str, results: list[VerifyResult]) -> None:
    values = result_of(results)
    rows = [
        ("configurations", thousands(values["configurations"])),
        ("samples", thousands(values["samples"])),
        ("state words compared", thousands(values["compared"])),
        ("mismatched", thousands(values["mismatched"])),
    ]
    output.table(f"golden model and hardware, {sim}", ("", "count"), rows)
    output.result({**values, "sim": sim})
    stop_if_different(output, results, "the same command finds it again; a simulator's --waves DIR shows it")
