# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("sklearn")

from trifactor.arch.array import ArrayConfig
from trifactor.golden.checkpoint import Training, load_model, save_model
from trifactor.golden.defaults import DEFAULTS
from trifactor.golden.device import GoldenDevice
from trifactor.host.cli import call
from trifactor.host.config import Config, LearnConfig
from trifactor.host.plan import network_of, new_plan, resolved
from trifactor.host.training import learn_on

SMALL = ["--layers", "64-16-10", "--steps", "3", "--epochs", "2", "--limit", "60"]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def learned(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    code = call(["learn", *words, "--json"])
    captured = capsys.readouterr()
    assert code == 0, captured.err
    result: dict[str, Any] = json.loads(captured.out)
    return result


def same_weights(left: str, right: str) -> bool:
    pairs = zip(load_model(left).state.weights, load_model(right).state.weights, strict=True)
    return all(np.array_equal(one, other) for one, other in pairs)


def test_learning_reports_what_scripts_rely_on(capsys: pytest.CaptureFixture[str]) -> None:
    result = learned(capsys, *SMALL)
    assert 0.1 < result["test_accuracy"] <= 1
    assert result["samples_per_second"] > 0
    assert result["counters"]["weight_updates"] > 0
    assert (result["dataset"], result["rule"], result["layers"]) == ("digits", "ottt-o", [64, 16, 10])
    assert len(result["accuracies"]) == 2
    assert load_model("model.tri").state.sample == 120


def test_the_seed_decides_every_bit(capsys: pytest.CaptureFixture[str]) -> None:
    for name, seed in (("a", "7"), ("b", "7"), ("c", "8")):
        learned(capsys, *SMALL, "--seed", seed, "--out", f"{name}.npz")
    assert same_weights("a.npz", "b.npz")
    assert not same_weights("a.npz", "c.npz")


def test_a_configuration_file_is_the_same_as_options(capsys: pytest.CaptureFixture[str]) -> None:
    text = '[learn]\nlayers = "64-16-10"\nsteps = 3\nepochs = 2\nlimit = 60\nseed = 3\n'
    text += "[array]\nlanes = 4\nweight_bits = 12\n"
    Path("c.toml").write_text(text)
    learned(capsys, "--config", "c.toml", "--out", "a.npz")
    model = load_model("a.npz")
    assert (model.array.lanes, model.array.weight_bits, model.state.seed) == (4, 12, 3)
    result = learned(capsys, "--config", "c.toml", "--seed", "4", "--rule", "sltt", "--out", "b.npz")
    assert (result["seed"], result["rule"]) == (4, "sltt")


def test_recurrence_bias_and_a_leaky_readout_reach_the_network() -> None:
    plain = network_of(resolved(LearnConfig(layers="64-16-10"), ArrayConfig()))
    assert not any(layer.recurrent or layer.bias for layer in plain.layers)
    assert plain.error_on == "current"
    learn = LearnConfig(layers="64-16-10", recurrent=True, bias=True, readout_decay=0.5)
    network = network_of(resolved(learn, ArrayConfig()))
    assert [layer.recurrent for layer in network.layers] == [True, False]
    assert [layer.bias for layer in network.layers] == [True, True]
    assert (network.layers[-1].decay, network.error_on) == (128, "membrane")


def test_leak_and_gate_take_the_place_of_the_rules() -> None:
    own = network_of(resolved(LearnConfig(rule="sltt-k"), ArrayConfig()))
    assert (own.layers[0].decay, own.gate, own.gate_steps) == (128, "random", 2)
    asked = LearnConfig(decay=0.75, gate="last", gate_steps=5)
    network = network_of(resolved(asked, ArrayConfig()))
    assert (network.layers[0].decay, network.layers[0].trace_decay) == (192, 192)
    assert (network.gate, network.gate_steps) == ("last", 5)
    assert network_of(resolved(LearnConfig(rule="sltt-k", gate_steps=3), ArrayConfig())).gate_steps == 3
    assert (own.error, network_of(resolved(LearnConfig(error="mse"), ArrayConfig())).error) == ("softmax", "mse")


def test_recordings_are_learned_as_steps_with_the_leak_of_their_defaults() -> None:
    for name in ("fsdd", "braille", "braille-12"):
        settings = resolved(LearnConfig(dataset=name, coding="graded"), ArrayConfig())
        assert (settings.coding, settings.decay) == ("events", DEFAULTS[name].decay)
        assert resolved(LearnConfig(dataset=name, recurrent=True), ArrayConfig()).recurrent


def test_recordings_from_a_folder_are_learned(capsys: pytest.CaptureFixture[str]) -> None:
    Path("Braille").mkdir()
    events = {"ev_t": np.arange(40), "ev_ch": np.arange(40) % 24, "ev_offset": 2 * np.arange(21)}
    repetitions = {"label": np.repeat([0, 1], 10), "repetition": np.tile(np.arange(10), 2)}
    np.savez("Braille/letters.npz", classes=np.array(["A", "B"]), **events, **repetitions)
    result = learned(capsys, "--dataset", "braille-12", "--data-dir", ".", "--layers", "12-8-2", "--epochs", "1")
    assert (result["dataset"], result["samples"], result["steps"]) == ("braille-12", 16, 39)


def test_a_leaky_readout_is_learned_and_resumed(capsys: pytest.CaptureFixture[str]) -> None:
    leaks = ["--readout-decay", "0.75", "--decay", "0.9", "--gate", "after", "--gate-steps", "1", "--weight-range", "4"]
    learned(capsys, *SMALL, *leaks)
    network = load_model("model.tri").network
    assert network.layers[0].threshold == 32
    assert (network.layers[-1].decay, network.layers[0].decay, network.gate) == (192, 230, "after")
    learned(capsys, "--resume", *leaks, "--rate", "0")


def test_graded_coding_uses_the_bits_of_the_array(capsys: pytest.CaptureFixture[str]) -> None:
    Path("c.toml").write_text('[learn]\ncoding = "graded"\n[array]\nevent_bits = 4\n')
    learned(capsys, *SMALL, "--config", "c.toml")
    assert load_model("model.tri").coding.bits == 4


def test_interrupted_learning_goes_on_to_the_same_bits(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--layers", "64-16-10", "--steps", "3", "--epochs", "2", "--limit", "400", "--checkpoint-every", "50"]
    code = "from trifactor.host.cli import main; main()"
    command = [sys.executable, "-u", "-c", code, "learn", *words, "--out", "stopped.npz"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("learn:"):
                break
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read()
        assert process.wait(timeout=60) == 130, rest
    assert "Traceback" not in rest
    assert "error: interrupted; stopped.npz has what was learned up to sample " in rest
    assert "hint: go on with: trifactor learn --resume --out stopped.npz" in rest
    training = load_model("stopped.npz").training
    assert training is not None
    assert 0 < training.epoch * training.samples + training.position < 800
    learned(capsys, "--resume", "--out", "stopped.npz")
    learned(capsys, *words, "--out", "whole.npz")
    assert same_weights("stopped.npz", "whole.npz")
    stopped, whole = load_model("stopped.npz"), load_model("whole.npz")
    assert stopped.training == whole.training
    assert stopped.state.sample == whole.state.sample == 800


def test_any_device_learns_the_same_and_can_take_over(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    learned(capsys, *SMALL, "--out", "golden.npz")
    settings = LearnConfig(layers="64-16-10", steps=3, epochs=2, limit=60)
    plan = new_plan(Config(), settings, None)
    calls = 0

    def make(network: Any, state: Any) -> GoldenDevice:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise KeyboardInterrupt
        return GoldenDevice(plan.model.array, network, state)

    arguments = {"progress": lambda at: None, "checkpoint": folder / "any.npz", "checkpoint_every": 20}
    with pytest.raises(KeyboardInterrupt):
        learn_on(make, plan.model, plan.dataset, **arguments)  # type: ignore[arg-type]
    half = load_model("any.npz")
    assert half.training is not None
    assert half.training.epoch == 1
    save_model("other.npz", half)
    model, history = learn_on(make, half, plan.dataset, **arguments)  # type: ignore[arg-type]
    assert same_weights("any.npz", "golden.npz")
    assert model.training == load_model("golden.npz").training
    assert history.counters["samples"] == history.samples == 60
    learned(capsys, "--resume", "--out", "other.npz")
    assert same_weights("other.npz", "golden.npz")


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["--epochs", "3"], "epochs"),
        (["--seed", "9"], "seed"),
        (["--rule", "sltt"], "rule"),
        (["--layers", "64-8-10"], "layers"),
        (["--limit", "61"], "limit"),
        (["--steps", "4"], "steps"),
        (["--rate", "9"], "rate"),
        (["--recurrent"], "recurrent"),
        (["--bias"], "bias"),
        (["--readout-decay", "0.5"], "readout_decay"),
        (["--weight-range", "2"], "weight_range"),
        (["--decay", "0.75"], "decay"),
        (["--gate", "last"], "gate"),
        (["--gate-steps", "3"], "gate_steps"),
        (["--dataset", "mnist"], "dataset"),
    ],
)
def test_other_settings_are_no_resumption(capsys: pytest.CaptureFixture[str], words: list[str], what: str) -> None:
    learned(capsys, *SMALL)
    before = Path("model.tri").read_bytes()
    assert call(["learn", "--resume", *words]) == 2
    stderr = capsys.readouterr().err
    assert f"model.tri: its training was started with another {what}" in stderr
    assert Path("model.tri").read_bytes() == before


def test_finished_learning_can_be_resumed_to_no_effect(capsys: pytest.CaptureFixture[str]) -> None:
    first = learned(capsys, *SMALL)
    again = learned(capsys, "--resume", *SMALL)
    assert again["test_accuracy"] == first["test_accuracy"]
    assert again["samples"] == 0


def test_unfinished_learning_is_set_aside(capsys: pytest.CaptureFixture[str]) -> None:
    learned(capsys, *SMALL)
    model = load_model("model.tri")
    assert model.training is not None
    half = model.training.model_copy(update={"epoch": 1, "accuracies": model.training.accuracies[:1]})
    save_model("model.tri", type(model)(**{**vars(model), "training": half}))
    learned(capsys, *SMALL)
    assert load_model("model.tri.unfinished").training == half
    later = half.model_copy(update={"position": 7})
    save_model("model.tri", type(model)(**{**vars(model), "training": later}))
    learned(capsys, *SMALL)
    assert load_model("model.tri.unfinished").training == half
    assert load_model("model.tri.unfinished.2").training == later


def test_what_was_learned_stays_until_there_is_a_device_to_learn_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    learned(capsys, *SMALL)
    before = Path("model.tri").read_bytes()
    assert call(["learn", *SMALL, "--seed", "2", "--device", "socket://127.0.0.1:1"]) == 6
    assert Path("model.tri").read_bytes() == before

    def interrupted(*words: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("trifactor.host.learn.make_device", interrupted)
    assert call(["learn", *SMALL, "--seed", "2", "--device", "icarus"]) == 130
    assert "interrupted before anything was learned" in capsys.readouterr().err
    assert Path("model.tri").read_bytes() == before


def test_ctrl_c_between_a_chunk_and_its_position_loses_the_chunk(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    plan = new_plan(Config(), LearnConfig(layers="64-16-10", steps=3, epochs=1, limit=60), None)
    copied = Training.model_copy

    def interrupted(training: Training, **words: Any) -> Training:
        if words["update"].get("position", 0) > 16:
            raise KeyboardInterrupt
        return copied(training, **words)

    monkeypatch.setattr(Training, "model_copy", interrupted)
    with pytest.raises(KeyboardInterrupt):
        learn_on(
            lambda network, state: GoldenDevice(plan.model.array, network, state),
            plan.model, plan.dataset, progress=lambda at: None, checkpoint=folder / "any.tri", checkpoint_every=1000,
        )  # fmt: skip
    half = load_model("any.tri")
    assert half.training is not None
    assert half.training.position == half.state.sample == 16


@pytest.mark.parametrize(
    "words",
    [
        ["--layers", "64-10", "--decay", "0.5"],
        ["--layers", "64-10", "--weight-range", "2", "--rate", "0"],
        ["--layers", "64-8-10", "--readout-decay", "0.999", "--rate", "1"],
        ["--layers", "64-8-10", "--rule", "e-prop", "--rate", "0", "--config", "c.toml"],
        ["--layers", "64-8-10", "--limit", "100000"],
    ],
)
def test_the_settings_it_was_started_with_are_no_others(capsys: pytest.CaptureFixture[str], words: list[str]) -> None:
    Path("c.toml").write_text("[array]\ndecay_bits = 4\n")
    words = [*words, "--steps", "1", "--epochs", "1", *(() if "--limit" in words else ("--limit", "20"))]
    learned(capsys, *words)
    assert learned(capsys, "--resume", *words)["samples"] == 0


def test_a_network_in_which_nothing_learns_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["learn", "--rule", "dalton", "--layers", "64-10", "--limit", "20"]) == 2
    assert "dalton with 64-10: no layer learns" in capsys.readouterr().err
    assert not Path("model.tri").exists()


def test_a_file_that_is_no_model_is_not_overwritten(capsys: pytest.CaptureFixture[str]) -> None:
    Path("thesis.npz").write_text("important")
    assert call(["learn", *SMALL, "--out", "thesis.npz"]) == 2
    assert "exists and is not a model" in capsys.readouterr().err
    assert Path("thesis.npz").read_text() == "important"


def test_a_damaged_checkpoint_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    learned(capsys, *SMALL)
    data = Path("model.tri").read_bytes()
    for damaged in (data[: len(data) // 2], b"", data[:200] + b"\0" * 400 + data[600:]):
        Path("model.tri").write_bytes(damaged)
        assert call(["learn", "--resume"]) == 2
        stderr = capsys.readouterr().err
        assert stderr.startswith("error: model.tri: ")
        assert len(stderr.splitlines()) <= 2


def test_inference_gives_what_learning_measured(capsys: pytest.CaptureFixture[str]) -> None:
    result = learned(capsys, *SMALL)
    assert call(["run", "--model", "model.tri", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["test_accuracy"] == result["test_accuracy"]
    assert found["counters"]["samples"] == found["samples"] == 359
    assert found["counters"]["weight_updates"] == 0


def test_records_are_written(capsys: pytest.CaptureFixture[str]) -> None:
    learned(capsys, *SMALL)
    words = ["--record", "spikes,membranes", "--record", "signatures", "--limit", "5", "--out", "r.npz", "--json"]
    assert call(["run", "--model", "model.tri", *words]) == 0
    capsys.readouterr()
    with np.load("r.npz") as found:
        assert set(found.files) == {
            "labels", "predicted", "readout", "spikes_0", "spikes_1", "membranes_0", "membranes_1", "signatures"
        }  # fmt: skip
        assert found["spikes_0"].shape == (5, 3, 16)
        assert np.array_equal(found["membranes_1"][:, -1], found["readout"])
        assert found["spikes_0"].sum() > 0


def test_a_model_of_another_data_set_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    plan = new_plan(Config(), LearnConfig(layers="64-16-10", steps=3), None)
    network = plan.model.network
    wide = network.model_copy(
        update={"layers": (network.layers[0].model_copy(update={"inputs": 65}), *network.layers[1:])}
    )
    state = plan.model.state
    state.weights[0] = np.vstack([state.weights[0], state.weights[0][:1]])
    save_model("wide.npz", type(plan.model)(**{**vars(plan.model), "network": wide, "state": state}))
    assert call(["run", "--model", "wide.npz"]) == 2
    assert "65-16-10 has 65 inputs" in capsys.readouterr().err
