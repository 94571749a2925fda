# SPDX-License-Identifier: Apache-2.0
"""Training: pure permutations, resuming to the same bits, interrupts, and accuracy on the digits."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trifactor.arch.array import ArrayConfig
from trifactor.arch.device import DeviceState
from trifactor.arch.errors import ConfigurationError
from trifactor.arch.formats import RATE_SHIFT_MAX
from trifactor.arch.network import Network
from trifactor.arch.placement import fitted
from trifactor.arch.rules import network_for, rule_named
from trifactor.golden import train
from trifactor.golden.checkpoint import load_model
from trifactor.golden.coding import Coding
from trifactor.golden.data import LOADERS, Dataset, load
from trifactor.golden.defaults import DEFAULTS
from trifactor.golden.device import GoldenDevice
from trifactor.golden.initial import initial_state
from trifactor.golden.train import Progress, learn

CODING = Coding(steps=3)
SAMPLES = 50
EPOCHS = 3
ORDER = [2, 4, 7, 5, 0, 6, 3, 1]
"""The order of eight samples with seed 1 in epoch 0: a change here breaks resuming."""
PLAN: dict[str, Any] = {"coding": CODING, "epochs": EPOCHS, "fall": 2, "rule": "ottt-o"}


@pytest.fixture(scope="module")
def digits() -> Dataset:
    whole = load("digits", limit=SAMPLES)
    return replace(whole, test_inputs=whole.test_inputs[:60], test_labels=whole.test_labels[:60])


def small_device(seed: int = 5, rate: int = 1) -> GoldenDevice:
    array = ArrayConfig(lanes=4)
    network = network_for(rule_named("ottt-o"), (64, 16, 10), array, rate=rate)
    array = fitted(network, array)
    return GoldenDevice(array, network, initial_state(network, array, seed))


def assert_same_state(left: DeviceState, right: DeviceState) -> None:
    assert (left.seed, left.sample) == (right.seed, right.sample)
    for a, b in zip(left.weights, right.weights, strict=True):
        assert np.array_equal(a, b)


@pytest.fixture(scope="module")
def uninterrupted(digits: Dataset) -> tuple[DeviceState, list[float]]:
    device = small_device()
    history = learn(device, digits, **PLAN)
    return device.state, history.accuracies


def test_order_is_a_permutation_that_depends_on_seed_and_epoch() -> None:
    orders = [train.order_of(seed, epoch, 1000) for seed, epoch in ((1, 0), (1, 1), (2, 0))]
    for order in orders:
        assert sorted(order.tolist()) == list(range(1000))
    assert np.array_equal(orders[0], train.order_of(1, 0, 1000))
    assert len({tuple(order[:10].tolist()) for order in orders}) == 3
    assert train.order_of(1, 0, 8).tolist() == ORDER


def test_the_rate_falls_evenly() -> None:
    assert [train.rate_fall(epoch, 6, 4) for epoch in range(6)] == [0, 0, 1, 2, 3, 4]
    assert train.rate_fall(0, 1, 4) == 0
    network = small_device().network
    shifts = [layer.rate_shift for layer in network.layers]
    assert [layer.rate_shift for layer in train.slowed(network, 2).layers] == [shift + 2 for shift in shifts]
    assert {layer.rate_shift for layer in train.slowed(network, 99).layers} == {RATE_SHIFT_MAX}


def test_learning_moves_weights_and_counts(digits: Dataset) -> None:
    device = small_device()
    before = device.state
    reports: list[Progress] = []
    history = learn(device, digits, **PLAN, progress=reports.append)
    after = device.state
    assert history.samples == after.sample == EPOCHS * SAMPLES
    assert after.seed == before.seed
    assert all((a != b).mean() > 0.3 for a, b in zip(before.weights, after.weights, strict=True))
    assert len(history.accuracies) == EPOCHS
    assert [report.accuracy for report in reports if report.accuracy is not None] == history.accuracies
    assert max(report.done for report in reports) == SAMPLES
    assert history.samples_per_second > 0
    assert history.counters["samples"] == history.counted == 32
    assert history.counters["weight_updates"] > 1000


def test_the_same_seed_gives_the_same_bits(digits: Dataset, uninterrupted: tuple[DeviceState, list[float]]) -> None:
    device = small_device()
    history = learn(device, digits, **PLAN)
    assert_same_state(device.state, uninterrupted[0])
    assert history.accuracies == uninterrupted[1]
    other = small_device(seed=6)
    learn(other, digits, **PLAN)
    assert (other.state.weights[0] != device.state.weights[0]).mean() > 0.5


class Stopper:
    """Sends Ctrl-C to this process as the `number`-th sample begins."""

    def __init__(self, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
        self.left = number
        inner = GoldenDevice.learn_sample

        def learn_sample(device: GoldenDevice, events: Any, label: int) -> int:
            self.left -= 1
            if self.left == 0:
                signal.raise_signal(signal.SIGINT)
            return inner(device, events, label)

        monkeypatch.setattr(GoldenDevice, "learn_sample", learn_sample)


@pytest.mark.parametrize("number", [1, 37, SAMPLES, SAMPLES + 1, 2 * SAMPLES + 13, EPOCHS * SAMPLES])
def test_an_interrupted_training_resumes_to_the_same_bits(
    number: int,
    digits: Dataset,
    uninterrupted: tuple[DeviceState, list[float]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = tmp_path / "run.tri"
    with monkeypatch.context() as patch:
        Stopper(number, patch)
        with pytest.raises(KeyboardInterrupt):
            learn(small_device(), digits, **PLAN, checkpoint=path)
    stored = load_model(path)
    assert stored.state.sample == number
    assert stored.training is not None
    device = small_device()
    history = learn(device, digits, **PLAN, checkpoint=path, resume=True)
    assert history.samples == EPOCHS * SAMPLES - number
    assert_same_state(device.state, uninterrupted[0])
    assert history.accuracies == uninterrupted[1]
    assert_same_state(load_model(path).state, uninterrupted[0])


def test_an_interrupt_during_evaluation_loses_nothing(
    digits: Dataset, uninterrupted: tuple[DeviceState, list[float]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run.tri"

    def interrupted(*_: Any, **__: Any) -> float:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(train, "evaluate", interrupted)
        with pytest.raises(KeyboardInterrupt):
            learn(small_device(), digits, **PLAN, checkpoint=path)
    device = small_device()
    history = learn(device, digits, **PLAN, checkpoint=path, resume=True)
    assert_same_state(device.state, uninterrupted[0])
    assert history.accuracies == uninterrupted[1]


@pytest.fixture
def _interruptible() -> Iterator[None]:
    """Python's own handler of Ctrl-C: a shell that starts tests in the background has them ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_interruptible")
def test_a_second_interrupt_keeps_the_last_periodic_checkpoint(
    digits: Dataset, uninterrupted: tuple[DeviceState, list[float]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run.tri"
    inner = GoldenDevice.learn_sample
    calls = 0

    def learn_sample(device: GoldenDevice, events: Any, label: int) -> int:
        nonlocal calls
        calls += 1
        predicted = inner(device, events, label)
        if calls == 27:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
        return predicted

    with monkeypatch.context() as patch:
        patch.setattr(GoldenDevice, "learn_sample", learn_sample)
        with pytest.raises(KeyboardInterrupt):
            learn(small_device(), digits, **PLAN, checkpoint=path, checkpoint_every=10)
    assert load_model(path).state.sample == 20
    device = small_device()
    learn(device, digits, **PLAN, checkpoint=path, resume=True)
    assert_same_state(device.state, uninterrupted[0])


def test_the_interrupt_handler_is_put_back(digits: Dataset) -> None:
    before = signal.getsignal(signal.SIGINT)
    learn(small_device(), digits, coding=CODING, epochs=1)
    assert signal.getsignal(signal.SIGINT) is before


def test_a_complete_training_resumes_to_itself(digits: Dataset, tmp_path: Path) -> None:
    path = tmp_path / "run.tri"
    device = small_device()
    first = learn(device, digits, **PLAN, checkpoint=path)
    again = small_device()
    second = learn(again, digits, **PLAN, checkpoint=path, resume=True)
    assert second.samples == 0
    assert second.accuracies == first.accuracies
    assert_same_state(again.state, device.state)


@pytest.mark.parametrize(
    ("what", "change"),
    [
        ("epochs", {"epochs": 4}),
        ("coding", {"coding": Coding(steps=4)}),
        ("rule", {"rule": "sltt"}),
        ("fall of the rate", {"fall": 1}),
    ],
)
def test_resuming_with_other_settings_is_refused(
    what: str, change: dict[str, Any], digits: Dataset, tmp_path: Path
) -> None:
    path = tmp_path / "run.tri"
    learn(small_device(), digits, **PLAN, checkpoint=path)
    with pytest.raises(ConfigurationError, match=f"another {what} "):
        learn(small_device(), digits, **(PLAN | change), checkpoint=path, resume=True)


def test_resuming_another_device_or_nothing_is_refused(digits: Dataset, tmp_path: Path) -> None:
    path = tmp_path / "run.tri"
    with pytest.raises(ConfigurationError, match="no such file"):
        learn(small_device(), digits, **PLAN, checkpoint=path, resume=True)
    with pytest.raises(ConfigurationError, match="needs a checkpoint"):
        learn(small_device(), digits, **PLAN, resume=True)
    learn(small_device(), digits, **PLAN, checkpoint=path)
    with pytest.raises(ConfigurationError, match="another seed "):
        learn(small_device(seed=6), digits, **PLAN, checkpoint=path, resume=True)
    with pytest.raises(ConfigurationError, match="another network "):
        learn(small_device(rate=3), digits, **PLAN, checkpoint=path, resume=True)


def test_data_that_does_not_fit_is_refused_before_it_starts(digits: Dataset) -> None:
    wide = replace(digits, train_inputs=np.zeros((4, 70), np.uint8))
    with pytest.raises(ConfigurationError, match="70 inputs, the network takes 64"):
        learn(small_device(), wide, **PLAN)
    with pytest.raises(ConfigurationError, match="11 classes, the network 10"):
        learn(small_device(), replace(digits, classes=11), **PLAN)
    with pytest.raises(ConfigurationError, match="epochs"):
        learn(small_device(), digits, coding=CODING, epochs=0)


def test_a_checkpoint_that_cannot_be_written_is_one_line(digits: Dataset, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be written"):
        learn(small_device(), digits, **PLAN, checkpoint=tmp_path / "missing" / "run.tri")


def test_evaluation_does_not_depend_on_the_training_seed(digits: Dataset) -> None:
    device = small_device()
    state = device.state
    accuracy = train.evaluate(device.array, device.network, state, digits, CODING)
    moved = DeviceState(weights=state.weights, seed=99, sample=1234)
    assert train.evaluate(device.array, device.network, moved, digits, CODING) == accuracy
    assert_same_state(device.state, state)


@pytest.mark.parametrize("kind", ["graded", "events"])
def test_other_codings_train(kind: str, digits: Dataset) -> None:
    array = ArrayConfig(lanes=4, event_bits=4)
    network = network_for(rule_named("ottt-o"), (64, 16, 10), array, event_value_bits=4)
    array = fitted(network, array)
    coding = Coding.model_validate({"kind": kind, "steps": 3, "bits": 4})
    if kind == "events":
        spikes = [
            (part[:, None] > np.array([[64], [128], [192]])).astype(np.uint8)
            for part in (digits.train_inputs, digits.test_inputs)
        ]
        digits = replace(digits, kind="events", train_inputs=spikes[0], test_inputs=spikes[1])
    device = GoldenDevice(array, network, initial_state(network, array, 1))
    history = learn(device, digits, coding=coding, epochs=1)
    assert history.counters["weight_updates"] > 1000
    with pytest.raises(ConfigurationError, match="dimensions"):
        coding.encode(np.zeros(3, np.uint8), 0, 0)
    if kind == "events":
        with pytest.raises(ConfigurationError, match="3 steps, the coding 5"):
            Coding(kind="events", steps=5).encode(digits.train_inputs, 0, 0)


def test_defaults_name_every_data_set() -> None:
    assert set(DEFAULTS) == set(LOADERS)
    for name, defaults in DEFAULTS.items():
        network = network_for(
            rule_named(defaults.rule),
            defaults.layers,
            ArrayConfig(),
            rate=defaults.rate,
            recurrent=defaults.recurrent,
            bias=defaults.bias,
            decay=defaults.decay,
            readout_decay=defaults.readout_decay,
        )
        assert isinstance(network, Network)
        assert network.outputs == (27 if "braille" in name else 10)
        assert (network.layers[0].decay == 192) == (name in {"fsdd", "braille", "braille-12"})


@pytest.mark.slow
def test_digits_reach_95_percent() -> None:
    digits = load("digits")
    defaults = DEFAULTS["digits"]
    array = ArrayConfig()
    network = network_for(rule_named("ottt-o"), defaults.layers, array, rate=defaults.rate)
    array = fitted(network, array)
    device = GoldenDevice(array, network, initial_state(network, array, 1))
    coding = Coding(steps=defaults.steps)
    history = learn(device, digits, coding=coding, epochs=defaults.epochs, fall=defaults.fall)
    assert history.accuracies[-1] >= 0.95
    assert history.accuracies[-1] > history.accuracies[0]
