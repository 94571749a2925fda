# SPDX-License-Identifier: Apache-2.0
"""`trifactor costs`: what each rule costs in state, operations and cycles, counted, beside the papers' formulas."""

from __future__ import annotations

from contextlib import AbstractContextManager, ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from ..arch.array import ArrayConfig
from ..arch.costs import PAPER_CASES, operations, state_of
from ..arch.rules import RULES, network_for, rule_named
from .config import DEVICES, LearnConfig, check_choice
from .devices import make_device
from .options import DataDir, Json, Verbose
from .output import Output, thousands
from .plan import Plan, plan_of, resolved

MEMORY_STEPS = (5, 10, 20, 50, 100)
SPOKEN_DIGITS = (700, 450, 20)
"""The recurrent network of S-TLLR's paper that the memory is counted for."""

FLOATS = ("bptt", "ottt-a", "s-tllr", "temporal-sbp")
"""Rules whose memory in floating point is measured against the number of steps."""


def costs(
    rules: Annotated[str | None, typer.Option(help="Rules, with commas.", metavar="RULE,RULE")] = None,
    dataset: Annotated[str, typer.Option(help="Data set that is learned while counting.")] = "digits",
    data_dir: DataDir = None,
    layers: Annotated[
        str | None, typer.Option(help="Widths from the input to the readout.", metavar="64-64-10")
    ] = None,
    train: Annotated[int, typer.Option(min=0, help="Samples learned before counting.")] = 200,
    samples: Annotated[int, typer.Option(min=1, help="Samples counted.")] = 20,
    device: Annotated[str, typer.Option(help="golden, or verilator or icarus, which have cycles.")] = "golden",
    out: Annotated[Path | None, typer.Option(help="Picture of the memory against the number of steps.")] = None,
    json_output: Json = False,
    verbose: Verbose = 0,
) -> None:
    """Count what learning costs by each rule: state, operations per synapse and step, cycles of the hardware."""
    output = Output(as_json=json_output, verbosity=verbose)
    check_choice(device, DEVICES, "device")
    names = [rule_named(name.strip()).name for name in rules.split(",")] if rules else list(RULES)
    rows = []
    with output.progress("costs", len(names)) as update:
        for number, name in enumerate(names):
            learn = LearnConfig(dataset=dataset, layers=layers, rule=name, limit=train + samples)  # type: ignore[arg-type]
            rows.append(_count(plan_of(resolved(learn, ArrayConfig()), data_dir), train, device))
            update(number + 1, note=name)
    memory = _float_memory(rows[0]["layers"])
    _show(output, rows, memory)
    if out is not None:
        _draw(out, memory)
        output.note(f"drawn in {out}")
    output.result({"rules": rows, "papers": _papers(), "float_training_bytes": memory})


def _count(plan: Plan, train: int, device: str) -> dict[str, Any]:
    """One rule: its training's first samples learned, then others counted, learning and not."""
    from ..golden.device import GoldenDevice

    model, data = plan.model, plan.dataset
    inputs = model.coding.encode(data.train_inputs, model.state.seed, range(len(data.train_labels)))
    golden = GoldenDevice(model.array, model.network, model.state)
    for sample, label in zip(inputs[:train], data.train_labels[:train], strict=True):
        golden.learn_sample(sample, int(label))
    counted, labels = inputs[train:], data.train_labels[train:]
    with ExitStack() as stack:
        backend = make_device(device, model.array, model.network, golden.state)
        if isinstance(backend, AbstractContextManager):
            stack.enter_context(backend)
        _, _, still = backend(counted)
        _, _, record = backend(counted, labels, learn=True)
    state = state_of(model.network, model.array)
    steps = record.counters["steps"]
    row: dict[str, Any] = {
        "rule": model.rule,
        "layers": list(model.network.sizes),
        "units": list(model.array.units),
        "state": asdict(state),
        "bits_per_neuron": state.per_neuron,
        "bits_per_synapse": state.per_synapse,
        "operations": operations(model.network, model.array, record.counters),
        "words_per_step": {verb: record.counters[f"{verb}_words"] / steps for verb in ("scatter", "gather", "update")},
    }
    if "cycles" in record.counters:
        row["cycles_inference"] = still.counters["cycles"] / steps
        row["cycles_learning"] = record.counters["cycles"] / steps
        row["cycles_ratio"] = row["cycles_learning"] / row["cycles_inference"]
    return row


def _float_memory(sizes: list[int]) -> dict[str, dict[int, int]]:
    """Bytes that floating-point training keeps of one sample, by rule and number of steps."""
    from ..golden.floating.memory import training_memory
    from ..golden.floating.network import Shape

    shape = Shape(tuple(sizes))
    return {name: {steps: training_memory(name, shape, steps) for steps in MEMORY_STEPS} for name in FLOATS}


def _draw(path: Path, memory: dict[str, dict[int, int]]) -> None:
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    from . import plots

    style: Any = plots.STYLE
    with rc_context(style):
        figure = Figure(figsize=(6.4, 3.6), layout="constrained")
        plots.memory_over_steps(figure.subplots(), memory)
        figure.savefig(path, dpi=150)


def _papers() -> list[dict[str, Any]]:
    """S-TLLR's claims over BPTT, by its formulas, and counted on its network for spoken digits."""
    array = ArrayConfig()
    network = network_for(rule_named("s-tllr-shd"), SPOKEN_DIGITS, array, recurrent=True)
    return [
        {
            **asdict(case),
            "memory_ratio": case.memory_ratio,
            "counted_memory_ratio": case.counted_memory_ratio(network, array),
            "operation_ratio": case.operation_ratio,
            "shallow_operation_ratio": case.shallow_operation_ratio,
        }
        for case in PAPER_CASES
    ]


def _show(output: Output, rows: list[dict[str, Any]], memory: dict[str, dict[int, int]]) -> None:
    """Three tables: the rules, the papers, memory against time."""
    cycles = "cycles_ratio" in rows[0]
    columns = ("rule", "bits/neuron", "bits/synapse", "adds", "products", "moved", *(("cycles", "x") if cycles else ()))
    lines = []
    for row in rows:
        counts = row["operations"]
        lines.append(
            (
                row["rule"],
                f"{row['bits_per_neuron']:.1f}",
                f"{row['bits_per_synapse']:.1f}",
                f"{counts['adds']:.3f}",
                f"{counts['gather products'] + counts['update products']:.3f}",
                f"{counts['weights moved']:.3f}",
                *((thousands(row["cycles_learning"]), f"{row['cycles_ratio']:.2f}") if cycles else ()),
            )
        )
    sizes = "-".join(map(str, rows[0]["layers"]))
    output.table(f"what learning adds to {sizes}; operations per synapse and step", columns, lines)
    output.table(
        "S-TLLR against BPTT, by its paper's formulas: T/2 and 2T/(3(T - T_l))",
        ("case", "T", "T - T_l", "memory", "counted here", "operations", "one hidden layer"),
        [
            (
                case["name"],
                str(case["steps"]),
                str(case["learned"]),
                *(f"{case[name]:.2f}" for name in ("memory_ratio", "counted_memory_ratio")),
                *(f"{case[name]:.2f}" for name in ("operation_ratio", "shallow_operation_ratio")),
            )
            for case in _papers()
        ],
    )
    output.table(
        "bytes of a sample in floating-point training, by steps",
        ("rule", *map(str, MEMORY_STEPS)),
        [(name, *map(thousands, kept.values())) for name, kept in memory.items()],
    )
