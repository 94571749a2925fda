# SPDX-License-Identifier: Apache-2.0
"""`trifactor demo`: the whole idea once through, on real digits."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer

from ..arch.array import ArrayConfig
from ..arch.device import DeviceState, IntArray
from ..arch.errors import ConfigurationError
from ..arch.registers import COUNTERS, CYCLE_COUNTERS
from .config import Config, LearnConfig
from .learn import train
from .options import Json, Seed, Verbose
from .output import Interrupted, Output, percent, thousands
from .plan import Plan, new_plan
from .report import ReportData, Sample, write_report
from .utilisation import phases, rates, utilisation
from .verify import result_of, stop_if_different

if TYPE_CHECKING:
    from ..cosim.verify import VerifyResult
    from ..golden.checkpoint import Model
    from ..golden.train import History

LAYERS = "64-32-10"
ARRAY = ArrayConfig(lanes=4)
"""A small array for a small network: more lanes would be idle more often."""

SAMPLES = 100
SHOWN = 6
"""Unseen samples in the report's rasters."""

GOLDEN = "golden model, integers, OTTT"
FLOATS = {"float, OTTT": ("ottt-o", 0.5, 1), "float, BPTT": ("bptt", 1.0, 8)}
"""Name -> rule of `golden/floating`, learning rate, samples per update: each rate the best of a coarse search."""


@dataclass(frozen=True, kw_only=True)
class Hardware:
    """What the simulated hardware did: the comparison, and a run without pauses for its counters and speed."""

    verified: VerifyResult
    counters: Mapping[str, int]
    samples_per_second: float


def demo(
    out: Annotated[Path, typer.Option(help="Folder for report.html and the model.")] = Path("trifactor-demo"),
    samples: Annotated[int, typer.Option(min=1, help="Samples that the simulated hardware learns.")] = SAMPLES,
    seed: Seed = None,
    json_output: Json = False,
    verbose: Verbose = 0,
) -> None:
    """Learn 8x8 digits on the golden model, let the simulated hardware learn them too, compare every state, report."""
    from ..golden.checkpoint import save_model

    output = Output(as_json=json_output, verbosity=verbose)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"{out}: {error.strerror}", "name a folder that can be made with --out") from error
    plan = new_plan(Config(array=ARRAY), LearnConfig(dataset="digits", layers=LAYERS, seed=seed), None)
    samples = min(samples, len(plan.dataset.train_labels))
    try:
        output.note(
            f"1/4  learn {LAYERS} on {len(plan.dataset.train_labels)} digits, one at a time, on the golden model"
        )
        path = out / "model.tri"
        model, history, _ = train(output, plan, "golden", path, 2000, begin=lambda: save_model(path, plan.model))
        output.note("2/4  the same in floating point, for comparison")
        accuracies = {GOLDEN: history.accuracies[-1], **_floats(output, plan)}
        output.note(
            f"3/4  learn the first {samples} of the same samples in simulated hardware (Verilator), and compare"
        )
        hardware = _hardware(output, plan, samples)
        output.note("4/4  report")
    except KeyboardInterrupt:
        raise Interrupted("interrupted", "the demo starts from the beginning; it takes a few minutes") from None
    report = out / "report.html"
    command = f"trifactor demo --samples {samples} --seed {plan.model.state.seed} --out {out}"
    write_report(report, _data(plan, model, history, accuracies, hardware, command))
    _show(output, plan, history, accuracies, hardware, report)
    stop_if_different(output, [hardware.verified], "see the report; trifactor verify finds more")


def _floats(output: Output, plan: Plan) -> dict[str, float]:
    """Test accuracy of the float references, with the coding, steps and epochs of the plan."""
    from ..golden.floating.network import Shape
    from ..golden.floating.train import train as train_float

    model = plan.model
    training = model.training
    if training is None:
        raise ConfigurationError("the model holds no training")
    found = {}
    for name, (rule, rate, batch) in FLOATS.items():
        with output.progress(name, training.epochs) as update:
            history = train_float(
                rule,
                plan.dataset,
                model.coding,
                Shape(model.network.sizes),
                epochs=training.epochs,
                seed=model.state.seed,
                rate=rate,
                fall=training.fall,
                batch=batch,
                progress=lambda epoch, value, update=update: update(epoch + 1, note=f"{percent(value)}"),  # type: ignore[misc]
            )
        found[name] = history.accuracies[-1]
    return found


def _hardware(output: Output, plan: Plan, samples: int) -> Hardware:
    """Let the RTL learn the first samples of the training from the same start, compared; then again without pauses."""
    from ..cosim.device import RtlDevice
    from ..cosim.verify import verify_samples

    model = plan.model
    inputs, labels = first_samples(plan, samples)
    array = model.array.model_copy(update={"signatures": True})
    with output.progress("compare", samples) as update:
        update(0, note="building the simulator's model")

        def progress(result: VerifyResult) -> None:
            update(result.samples, note=f"{thousands(result.compared)} words, {result.mismatched} mismatched")

        verified = verify_samples("verilator", array, model.network, model.state, inputs, labels, progress=progress)
    if verified.ok:
        verified.require_activity()
    with RtlDevice(array, model.network, model.state) as device:
        begun = time.perf_counter()
        _, _, record = device(inputs, labels, learn=True)
        seconds = time.perf_counter() - begun
    return Hardware(verified=verified, counters=record.counters, samples_per_second=samples / seconds)


def first_samples(plan: Plan, samples: int) -> tuple[IntArray, IntArray]:
    """The first samples that the training of `plan` learns, coded as there: (B, T, inputs) and their labels."""
    from ..golden.train import order_of

    state = plan.model.state
    chosen = order_of(state.seed, 0, len(plan.dataset.train_labels))[:samples]
    numbers = state.sample + np.arange(samples)
    return plan.model.coding.encode(plan.dataset.train_inputs[chosen], state.seed, numbers), plan.dataset.train_labels[
        chosen
    ]


def _data(
    plan: Plan, model: Model, history: History, accuracies: Mapping[str, float], hardware: Hardware, command: str
) -> ReportData:
    from ..golden.train import evaluate

    verified = hardware.verified
    start = plan.model
    untrained = evaluate(start.array, start.network, start.state, plan.dataset, start.coding)
    per_epoch = len(plan.dataset.train_labels)
    per_cycle = rates(hardware.counters, start.array)
    return ReportData(
        title="Digits, learned on the chip",
        command=command,
        network="-".join(map(str, start.network.sizes)),
        facts={
            "clock cycles per sample": thousands(hardware.counters["cycles"] / hardware.counters["samples"]),
            "synaptic operations per cycle": f"{per_cycle['synaptic_operations_per_cycle']:.2f}",
            "weight updates per cycle": f"{per_cycle['weight_updates_per_cycle']:.2f}",
            "lanes": str(start.array.parallel),
            "golden model, samples per second": thousands(history.samples_per_second),
            "in Verilator, samples per second": thousands(hardware.samples_per_second, 1),
        },
        curve=[(0, untrained), *((per_epoch * (n + 1), value) for n, value in enumerate(history.accuracies))],
        accuracies=accuracies,
        samples=_samples(plan, model.state),
        threshold=start.network.layers[0].threshold,
        weight_bits=start.array.weight_bits,
        weights_before=start.state.weights,
        weights_after=model.state.weights,
        phases=phases(hardware.counters),
        utilisation=utilisation(hardware.counters),
        compared=verified.compared,
        mismatched=verified.mismatched,
        rtl_samples=verified.samples,
        first_mismatch=None if verified.first_mismatch is None else str(verified.first_mismatch),
        counters=hardware.counters,
        counter_docs=dict((*COUNTERS, *CYCLE_COUNTERS)),
    )


def _samples(plan: Plan, state: DeviceState) -> list[Sample]:
    """The first unseen samples, run through the trained golden model."""
    from ..golden.device import GoldenDevice
    from ..golden.train import TEST_SEED

    model = plan.model
    inputs = model.coding.encode(plan.dataset.test_inputs[:SHOWN], TEST_SEED, np.arange(SHOWN))
    device = GoldenDevice(model.array, model.network, state)
    outputs, _, record = device(inputs, record=("spikes", "membranes"))
    return [
        Sample(
            label=int(plan.dataset.test_labels[index]),
            predicted=int(outputs.predicted[index]),
            inputs=inputs[index],
            hidden=record.spikes[0][index],
            membranes=record.membranes[0][index],
        )
        for index in range(SHOWN)
    ]


def _show(
    output: Output,
    plan: Plan,
    history: History,
    accuracies: Mapping[str, float],
    hardware: Hardware,
    report: Path,
) -> None:
    verified = hardware.verified
    per_cycle = rates(hardware.counters, plan.model.array)
    busy = utilisation(hardware.counters)
    unseen = len(plan.dataset.test_labels)
    rows = [(name, percent(value)) for name, value in accuracies.items()]
    output.table(f"accuracy on {unseen} unseen digits, {LAYERS}", ("model", "accuracy"), rows)
    rows = [
        ("samples learned, state compared after every step", thousands(verified.samples)),
        ("state words compared", thousands(verified.compared)),
        ("mismatched", thousands(verified.mismatched)),
        ("clock cycles", thousands(hardware.counters["cycles"])),
        ("utilisation (cycles that do useful work)", percent(busy)),
        ("synaptic operations per cycle", f"{per_cycle['synaptic_operations_per_cycle']:.2f}"),
        ("weight updates per cycle", f"{per_cycle['weight_updates_per_cycle']:.2f}"),
    ]
    output.table(f"hardware in Verilator, {plan.model.array.parallel} lanes", ("", "value"), rows)
    output.line(f"report written to {report}")
    output.result(
        {
            "test_accuracy": accuracies[GOLDEN],
            "samples_per_second": history.samples_per_second,
            "counters": dict(hardware.counters),
            **result_of([verified]),
            "utilisation": busy,
            "report": str(report),
            "accuracies": dict(accuracies),
            "hardware_samples_per_second": hardware.samples_per_second,
            "cycles": hardware.counters["cycles"],
            **per_cycle,
        }
    )
