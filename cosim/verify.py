# SPDX-License-Identifier: Apache-2.0
"""Verification runs: random configurations, and given networks on given samples, golden model against hardware."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..arch.array import ArrayConfig
from ..arch.device import RECORDABLE, DeviceState, IntArray
from ..arch.errors import DeviceError, MismatchError
from ..arch.network import Network
from ..arch.rules import Rule
from ..golden.device import GoldenDevice
from .compare import SIGNATURE_NAMES, Comparison, Mismatch
from .device import RtlDevice
from .driven import Peekable
from .harness import build_array
from .random_configurations import NETWORKS_PER_ARRAY, Call, Configuration, configurations, stall_seed
from .simulators import Build, Simulator

BUSY_COUNTERS = ("scatter_words", "fire_groups", "gather_words", "update_words")


@dataclass(kw_only=True)
class VerifyResult:
    """What was compared, and the first word that differed; `counters` are the golden model's, over all of it.

    `cycles` are the hardware's while a step was in work. `utilisation` is the words that the three verbs and FIRE had
    to visit over those cycles.
    """

    seed: int
    configurations: int = 0
    samples: int = 0
    compared: int = 0
    mismatched: int = 0
    first_mismatch: Mismatch | None = None
    counters: dict[str, int] = field(default_factory=dict)
    cycles: int = 0
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether everything was equal."""
        return self.mismatched == 0

    @property
    def utilisation(self) -> float:
        """Busy words over cycles: 1.0 is one word a cycle."""
        return sum(self.counters.get(name, 0) for name in BUSY_COUNTERS) / self.cycles if self.cycles else 0.0

    def take(self, comparison: Comparison) -> None:
        """Add what one comparison counted."""
        self.compared += comparison.compared
        self.mismatched += comparison.mismatched
        self.first_mismatch = self.first_mismatch or comparison.first

    def count(self, golden: dict[str, int], rtl: dict[str, int]) -> None:
        """Add the counters of one call."""
        for name, value in golden.items():
            self.counters[name] = self.counters.get(name, 0) + value
        self.cycles += rtl.get("cycles", 0)

    def require_activity(self) -> None:
        """Raise `MismatchError` if so little happened that a dead design could have passed."""
        idle = [name for name in ("spikes", "weight_updates", "gather_rows") if not self.counters.get(name)]
        if idle or not self.compared:
            raise MismatchError(f"nothing to compare: no {' and no '.join(idle or ['words'])}", "run more samples")


Progress = Callable[[VerifyResult], None]


def verify_random(
    sim: Simulator,
    count: int,
    seed: int,
    progress: Progress | None = None,
    *,
    first: int = 0,
    rule: Rule | None = None,
    waves: Path | None = None,
    verilog: Callable[[ArrayConfig], str] | None = None,
) -> VerifyResult:
    """Compare `count` random configurations, from number `first` on, in `sim`.

    Each is a network of 1 to 4 layers on one of many arrays, with random settings, or those of `rule`, and random
    weights, inputs and gaps on the streams. In some samples every membrane, spike, trace and weight is compared after
    every step, others are streamed without a pause, some of them while the host reads in between, and compared at their
    end. A configuration is left at its first mismatch. `verilog`, say of a netlist, replaces the array's.
    The same `seed`, `rule` and number give the same configuration:
    to replay one, and write its waveform, call with `first` its number, `count = 1` and `waves` a file.
    """
    result = VerifyResult(seed=seed)
    started = time.monotonic()
    last = first + count
    for block in range(first // NETWORKS_PER_ARRAY, -(-last // NETWORKS_PER_ARRAY)):
        wanted = [made for made in configurations(seed, block, rule) if first <= made.number < last]
        if verilog is not None:
            # Memories of a netlist have no names: all that is compared comes by requests.
            wanted = [replace(made, array=made.array.model_copy(update={"probes": True})) for made in wanted]
        array = wanted[0].array
        text = None if verilog is None else verilog(array)
        build = build_array(array, sim=sim, waves=waves is not None, fast=False, verilog=text)
        with closing(_on_one_array(wanted, build, stall_seed(seed, block), waves)) as ready:
            for device, configuration in ready:
                golden = GoldenDevice(configuration.array, configuration.network, configuration.state)
                comparison = Comparison(seed=seed, configuration=configuration.number)
                _verify_configuration(_Pair(device, golden, comparison, result), configuration)
                result.take(comparison)
                result.configurations += 1
                result.seconds = time.monotonic() - started
                if comparison.mismatched:
                    device.close()
                if progress is not None:
                    progress(result)
    return result


def verify_samples(
    sim: Simulator,
    array: ArrayConfig,
    network: Network,
    state: DeviceState,
    inputs: IntArray,
    labels: IntArray,
    *,
    learn: bool = True,
    every_step: bool = True,
    progress: Progress | None = None,
    stall: int = 0,
    build: Build | None = None,
) -> VerifyResult:
    """Compare samples of shape (B, T, inputs) of one network, one at a time, up to the first mismatch.

    Membranes, spikes, results and counters are compared of every sample, and every weight after it; after every step
    the write signatures, if the array has them, and with `every_step` every membrane, spike and trace.
    """
    result = VerifyResult(seed=state.seed, configurations=1)
    started = time.monotonic()
    golden = GoldenDevice(array, network, state)
    record = {name for name in RECORDABLE if (every_step or name == "signatures") and _has(array, name)}
    with RtlDevice(array, network, state, sim=sim, stall=stall, build=build) as device:
        for number, (sample, label) in enumerate(zip(inputs, labels, strict=True)):
            comparison = Comparison(seed=state.seed)
            call = Call(inputs=sample[None], labels=np.asarray([label]), learn=learn)
            _verify_call(_Pair(device, golden, comparison, result), call, number, record)
            result.take(comparison)
            result.seconds = time.monotonic() - started
            if progress is not None:
                progress(result)
            if not result.ok:
                break
    return result


class _Pair(NamedTuple):
    """The two sides of a comparison, and where it is counted."""

    device: RtlDevice
    golden: GoldenDevice
    comparison: Comparison
    result: VerifyResult


def _on_one_array(
    wanted: Sequence[Configuration], build: Build, stall: int, waves: Path | None
) -> Generator[tuple[RtlDevice, Configuration]]:
    """Each configuration with a device to put it on: one simulation for all, a new one after one was closed."""
    device: RtlDevice | None = None
    try:
        for configuration in wanted:
            if device is None or device.closed:
                device = RtlDevice(configuration.array, configuration.network, build=build, stall=stall, waves=waves)
            yield device, configuration
    finally:
        if device is not None:
            device.close()


def _verify_configuration(pair: _Pair, configuration: Configuration) -> None:
    """Run one configuration up to its first mismatch."""
    number = 0
    try:
        pair.device.configure(configuration.network, configuration.state)
        for call, record in (
            *((call, (*RECORDABLE, "weights")) for call in configuration.stepwise),
            *((call, ()) for call in configuration.streamed),
        ):
            _verify_call(pair, call, number, record)
            number += len(call.inputs)
            if pair.comparison.mismatched:
                return
        if configuration.number % NETWORKS_PER_ARRAY == 0:
            _verify_front_door(pair, number - 1)
    except DeviceError as error:
        pair.comparison.trouble(f"{error.message}: {error.hint}", sample=number)


def _verify_front_door(pair: _Pair, number: int) -> None:
    """What requests answer is what the memories hold, which was compared before."""
    array = pair.device.array
    names: list[Peekable] = ["weights"]
    if array.probes:
        names += ["membranes", "traces"]
        names += ["currents"] if array.has("cuba") else []
        names += ["post_traces"] if array.has("post-trace") else []
    names += ["active"] if array.has("shadow") else []
    for name in names:
        held, answered = pair.device.peek(name), pair.device.peek(name, front=True)
        for layer, (expected, seen) in enumerate(zip(held, answered, strict=True)):
            pair.comparison.values(f"{name} by request", expected, seen, sample=number, layer=layer)


def _verify_call(pair: _Pair, call: Call, number: int, record: Collection[str]) -> None:
    """Samples, the first of them number `number` of the run.

    One sample: what `record` names after every step. Any number: readouts, counters, and at the end all states.
    """
    device, golden, comparison, result = pair
    moving = "weights" in record and call.learn
    weights = _weights_by_step(golden, call) if moving else []
    known = [name for name in RECORDABLE if _has(device.array, name)]
    outputs, state, kept = golden(call.inputs, call.labels, learn=call.learn, record=known)
    asked = {name for name in record if name in known or (name == "weights" and moving)}
    seen = device.observe(call.inputs, call.labels, learn=call.learn, record=asked, disturb=call.disturb)
    if asked:
        comparison.steps(kept, seen, sample=number, weights=weights)
    for index, (expected, answered) in enumerate(zip(outputs.readout, seen["readout"], strict=True)):
        comparison.values("result", expected, answered, sample=number + index)
    last = {"sample": number + len(call.inputs) - 1, "step": call.inputs.shape[1] - 1}
    for layer, values in enumerate(device.peek("membranes")):
        comparison.values("membrane", kept.membranes[layer][-1, -1], values, **last, layer=layer)
    for layer, values in enumerate(device.peek("post_traces") if kept.post_traces else ()):
        comparison.values("post_trace", kept.post_traces[layer][-1, -1], values, **last, layer=layer)
    for layer, values in enumerate(device.peek("traces") if call.learn else ()):
        comparison.values("trace", kept.traces[layer][-1, -1], values, **last, layer=layer)
    if kept.signatures is not None:
        written = zip(SIGNATURE_NAMES, kept.signatures[-1, -1], device.signatures(), strict=True)
        for name, term, answered in written:
            comparison.values(f"signature_{name}", int(term), int(answered), **last)
    for layer, values in enumerate(device.peek("weights")):
        comparison.values("weight", state.weights[layer], values, **last, layer=layer)
    down = device.array.weight_bits - device.array.synapse_bits
    for layer, values in enumerate(device.peek("active") if device.array.has("shadow") else ()):
        comparison.values("active weight", state.weights[layer] >> down, values, **last, layer=layer)
    comparison.counters(kept.counters, seen["counters"], sample=last["sample"])
    result.samples += len(call.inputs)
    result.count(kept.counters, seen["counters"])


def _has(array: ArrayConfig, name: str) -> bool:
    """Whether `name` of `RECORDABLE` is there to be compared."""
    has = {"spikes": array.probes, "signatures": array.signatures, "post_traces": array.has("post-trace")}
    return has.get(name, True)


def _weights_by_step(golden: GoldenDevice, call: Call) -> list[list[IntArray]]:
    """The golden weights after each step of one sample."""
    probe = GoldenDevice(golden.array, golden.network, golden.state)
    return probe.weights_by_step(call.inputs[0], int(call.labels[0]))
