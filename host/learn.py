# SPDX-License-Identifier: Apache-2.0
"""`trifactor learn`: train a network one sample at a time, resumable to the same bits."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from ..arch.array import ErrorKind
from ..arch.device import Device as AnyDevice
from ..arch.device import DeviceState
from ..arch.errors import ConfigurationError
from ..arch.network import Gate, Network
from ..arch.rules import RULES, rule_named
from .config import DATASETS, check_choice, load_config, overridden, parse_sizes
from .devices import check_device, make_device, with_array_of
from .options import Baud, ConfigFile, DataDir, Device, Json, Seed, Verbose
from .output import Interrupted, Output, percent, thousands
from .plan import DATASET, Plan, new_plan, relearning_plan, resumed_plan
from .training import learn_on
from .utilisation import limits_text, utilisation

if TYPE_CHECKING:
    from ..golden.checkpoint import Model
    from ..golden.train import History, Progress

CHECKPOINT_EVERY = 2000


def learn(
    dataset: Annotated[str | None, typer.Option(help=f"{', '.join(DATASETS)}.", show_default=DATASET)] = None,
    data_dir: DataDir = None,
    layers: Annotated[
        str | None, typer.Option(help="Widths from the input to the readout.", metavar="784-256-10")
    ] = None,
    rule: Annotated[
        str | None, typer.Option(help=f"Learning rule: {', '.join(RULES)}.", show_default="the data's")
    ] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Times through the training samples.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Training samples per epoch.", show_default="all")] = None,
    seed: Seed = None,
    out: Annotated[Path, typer.Option(help="Model file; also the checkpoint.")] = Path("model.tri"),
    steps: Annotated[int | None, typer.Option(min=1, max=1024, help="Time steps per sample.")] = None,
    rate: Annotated[int | None, typer.Option(min=-8, max=24, help="The learning rate is 2**-rate.")] = None,
    recurrent: Annotated[
        bool | None, typer.Option("--recurrent/--no-recurrent", help="Hidden layers see their own spikes.")
    ] = None,
    bias: Annotated[bool | None, typer.Option("--bias/--no-bias", help="A row of weights that always fires.")] = None,
    decay: Annotated[
        float | None, typer.Option(min=0, max=1, help="Leak of hidden membranes.", show_default="the rule's")
    ] = None,
    readout_decay: Annotated[float | None, typer.Option(min=0, max=1, help="Leak of the readout; 1: none.")] = None,
    weight_range: Annotated[
        int | None, typer.Option(min=1, max=8, help="Greatest hidden weight, in thresholds: 1, 2, 4 or 8.")
    ] = None,
    error: Annotated[
        str | None, typer.Option(help=f"At the readout: {', '.join(get_args(ErrorKind))}.", show_default="the rule's")
    ] = None,
    gate: Annotated[
        str | None, typer.Option(help=f"Steps that learn: {', '.join(get_args(Gate))}.", show_default="the rule's")
    ] = None,
    gate_steps: Annotated[int | None, typer.Option(min=0, max=1024, help="How many those are.")] = None,
    model: Annotated[
        Path | None, typer.Option(help="Model file to learn on from: its network, rule and weights.", metavar="FILE")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the checkpoint in --out.")] = False,
    config: ConfigFile = None,
    device: Device = "golden",
    baud: Baud = None,
    checkpoint_every: Annotated[
        int | None, typer.Option(min=1, help="Samples between checkpoints.", show_default=str(CHECKPOINT_EVERY))
    ] = None,
    json_output: Json = False,
    verbose: Verbose = 0,
) -> None:
    """Train a network by a three-factor rule in fixed point, one sample at a time. Ctrl-C keeps what was learned."""
    output = Output(as_json=json_output, verbosity=verbose)
    check_device(device, baud)
    if dataset is not None:
        check_choice(dataset, DATASETS, "data set")
    if rule is not None:
        rule_named(rule)
    if error is not None:
        check_choice(error, get_args(ErrorKind), "error")
    if gate is not None:
        check_choice(gate, get_args(Gate), "gate")
    if layers is not None:
        parse_sizes(layers)
    from ..golden.checkpoint import save_model

    if resume and model is not None:
        raise ConfigurationError("--resume goes on from --out, --model begins anew", "leave one of them out")
    from_file = resume or model is not None
    loaded = load_config(config) if from_file else with_array_of(device, load_config(config))
    given = {
        "dataset": dataset, "layers": layers, "rule": rule, "epochs": epochs, "limit": limit, "seed": seed,
        "steps": steps, "rate": rate, "recurrent": recurrent, "bias": bias, "decay": decay,
        "readout_decay": readout_decay, "weight_range": weight_range, "error": error, "gate": gate,
        "gate_steps": gate_steps, "checkpoint_every": checkpoint_every,
    }  # fmt: skip
    check_output(out)
    settings = overridden(loaded.learn, given)
    if resume:
        plan = resumed_plan(out, loaded, settings, data_dir)
    elif model is not None:
        plan = relearning_plan(model, loaded, settings, data_dir)
    else:
        plan = new_plan(loaded, settings, data_dir)
    unfinished = not resume and _unfinished(out)
    begun = resume

    def begin() -> None:
        nonlocal begun
        if unfinished:
            _set_aside(output, out)
        save_model(out, plan.model)
        begun = True

    _announce(output, plan, device)
    every = settings.checkpoint_every or CHECKPOINT_EVERY
    try:
        learned, history, limits = train(output, plan, device, out, every, begin=begin, baud=baud)
    except KeyboardInterrupt:
        raise _interrupted(out, data_dir, begun=begun) from None
    _show(output, learned, history, limits, device, out)


def train(
    output: Output,
    plan: Plan,
    device: str,
    out: Path,
    every: int,
    *,
    begin: Callable[[], None],
    baud: int | None = None,
) -> tuple[Model, History, dict[str, float] | None]:
    """Do all that is left of the plan's training on the device called `device`; checkpoints go to `out`.

    `begin` is called once, when the device is there: it writes the plan's model to `out`. The last of what is returned
    are the limits of samples a second, of a device that knows them (`BoardDevice.limits`).
    """
    training = plan.model.training
    if training is None:
        raise ConfigurationError("the model holds no training")
    with output.progress("learn", training.epochs * training.samples) as update:

        def progress(at: Progress) -> None:
            note = None if at.accuracy is None else f"epoch {at.epoch + 1}: {percent(at.accuracy)} on unseen samples"
            update(at.epoch * at.samples + at.done, note=note, say=note is not None)

        if device != "golden":
            make = _Reused(device, plan, baud, begin)
            try:
                model, history = learn_on(
                    make, plan.model, plan.dataset, progress=progress, checkpoint=out, checkpoint_every=every
                )
                return model, history, make.limits(history)
            finally:
                make.close()
        from ..golden.checkpoint import load_model
        from ..golden.device import GoldenDevice
        from ..golden.train import learn as golden_learn

        golden = GoldenDevice(plan.model.array, plan.model.network, plan.model.state)
        begin()
        history = golden_learn(
            golden,
            plan.dataset,
            coding=plan.model.coding,
            epochs=training.epochs,
            fall=training.fall,
            rule=plan.model.rule,
            progress=progress,
            checkpoint=out,
            checkpoint_every=every,
            resume=True,
        )
        return replace(load_model(out), state=golden.state), history, None


def check_output(path: Path) -> None:
    """Refuse a file that could not be written, before hours of work and not after."""
    folder = path.parent
    if path.is_dir() or not folder.is_dir() or not os.access(folder, os.W_OK):
        reason = "is a folder" if path.is_dir() else f"{folder} is not a folder that can be written"
        raise ConfigurationError(f"{path}: {reason}", "name a file in a folder that exists")


class _Reused:
    """Makes devices for `learn_on`: one is made and started once, and configured anew for each epoch."""

    def __init__(self, name: str, plan: Plan, baud: int | None, begin: Callable[[], None]) -> None:
        self._name = name
        self._baud = baud
        self._begin = begin
        self._array = plan.model.array
        self._device: Any = None

    def __call__(self, network: Network, state: DeviceState) -> AnyDevice:
        """The device with another network."""
        if self._device is None:
            self._device = make_device(self._name, self._array, network, state, self._baud)
            self._begin()
        else:
            self._device.configure(network, state)
        device: AnyDevice = self._device
        return device

    def close(self) -> None:
        """End the simulation, or let go of the port."""
        if self._device is not None:
            self._device.close()

    def limits(self, history: History) -> dict[str, float] | None:
        """Of samples a second, if the device knows them and something was learned."""
        if not history.samples or not hasattr(self._device, "limits"):
            return None
        limits: dict[str, float] = self._device.limits(history.samples, history.counters.get("cycles", 0))
        return limits


def _unfinished(out: Path) -> bool:
    """Whether `out` holds a training that was interrupted. Raises `ConfigurationError` for a file that is no model."""
    from ..golden.checkpoint import load_model

    if not out.exists():
        return False
    try:
        training = load_model(out).training
    except ConfigurationError:
        raise ConfigurationError(f"{out}: exists and is not a model", "choose another name for --out") from None
    return training is not None and training.epoch < training.epochs and bool(training.epoch or training.position)


def _set_aside(output: Output, out: Path) -> None:
    """Give an unfinished training a name that no file has."""
    endings = itertools.chain([""], (f".{number}" for number in itertools.count(2)))
    aside = next(path for end in endings if not (path := out.with_name(f"{out.name}.unfinished{end}")).exists())
    out.replace(aside)
    output.note(f"{out} held an unfinished training: it is now {aside} (--resume would have gone on)")


def _interrupted(out: Path, data_dir: Path | None, *, begun: bool) -> Interrupted:
    """What Ctrl-C leaves behind, as the file has it."""
    from ..golden.checkpoint import load_model

    training = load_model(out).training if begun else None
    if training is None:
        return Interrupted("interrupted before anything was learned", "nothing was written")
    again = f"trifactor learn --resume --out {out}" + (f" --data-dir {data_dir}" if data_dir else "")
    return Interrupted(
        f"interrupted; {out} has what was learned up to sample {training.position} of epoch {training.epoch + 1}",
        f"go on with: {again}",
    )


def _announce(output: Output, plan: Plan, device: str) -> None:
    model = plan.model
    training = model.training
    if training is None:
        return
    sizes = "-".join(map(str, model.network.sizes))
    output.note(
        f"{model.dataset}, {sizes}, {model.rule}, {model.coding.steps} steps, seed {model.state.seed}, "
        f"{training.epochs} epochs of {thousands(training.samples)} samples, on {device}"
    )
    if training.epoch or training.position:
        output.note(f"going on after epoch {training.epoch}, sample {training.position} of the next")
    output.note(f"array: {model.array}", level=1)


def _show(
    output: Output, model: Model, history: History, limits: dict[str, float] | None, device: str, out: Path
) -> None:
    accuracy = history.accuracies[-1]
    rows = [
        ("accuracy on unseen samples", percent(accuracy, 2)),
        ("samples per second", thousands(history.samples_per_second, 1)),
        (f"weight updates per sample (of {history.counted})", _per_sample(history, "weight_updates")),
        (f"spikes per sample (of {history.counted})", _per_sample(history, "spikes")),
    ]
    result: dict[str, Any] = {
        "test_accuracy": accuracy,
        "samples_per_second": history.samples_per_second,
        "counters": history.counters,
        "counted_samples": history.counted,
        "accuracies": history.accuracies,
        "samples": history.samples,
        "seconds": history.seconds,
        "dataset": model.dataset,
        "layers": list(model.network.sizes),
        "rule": model.rule,
        "steps": model.coding.steps,
        "seed": model.state.seed,
        "device": device,
        "model": str(out),
    }
    if history.counters.get("cycles"):
        result["utilisation"] = utilisation(history.counters)
        rows.append(("cycles busy", percent(result["utilisation"])))
    if limits:
        result["limits"] = limits
        rows.insert(2, ("samples per second at most, by line and array", limits_text(limits)))
    output.table(f"learned {'-'.join(map(str, model.network.sizes))} by {model.rule}", ("", "value"), rows)
    output.line(f"model written to {out}")
    output.result(result)


def _per_sample(history: History, name: str) -> str:
    return thousands(history.counters.get(name, 0) / max(1, history.counted), 1)
