# SPDX-License-Identifier: Apache-2.0
"""`trifactor run --input`: samples of one's own, as a person types it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

nir = pytest.importorskip("nir", reason="needs nir: pip install trifactor[nir]")

from trifactor.golden.checkpoint import load_model  # noqa: E402
from trifactor.golden.device import GoldenDevice  # noqa: E402
from trifactor.golden.floating.device import FloatDevice  # noqa: E402
from trifactor.host.cli import call  # noqa: E402
from trifactor.host.nir import from_nir  # noqa: E402

EXAMPLES = Path(__file__).parents[2] / "host" / "examples"
BRAILLE, SAMPLE = str(EXAMPLES / "braille.nir"), str(EXAMPLES / "braille_sample.npz")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("model") / "braille.npz"
    assert call(["quantize", BRAILLE, "--reset", "zero", "--out", str(path)]) == 0
    return str(path)


@pytest.fixture(scope="module")
def sample() -> dict[str, np.ndarray]:
    with np.load(SAMPLE) as file:
        return dict(file)


def said(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    """What was printed with --json, of a command that ends well."""
    capsys.readouterr()
    code = call([*words, "--json"])
    shown = capsys.readouterr()
    assert code == 0, shown.err
    return json.loads(shown.out)


def test_braille_from_the_file_to_nirdata(
    model: str, sample: dict[str, np.ndarray], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "results.nir")
    words = ["--record", "spikes,membranes", "--out", out, "--dt", "1e-4"]
    found = said(capsys, "run", "--model", model, "--input", SAMPLE, *words)
    data = nir.read_data(out)
    spikes = data.nodes["layer0"].observables["spikes"]
    stored = load_model(model)
    golden = GoldenDevice(stored.array, stored.network, stored.state)
    outputs, _, record = golden(sample["input"][None].astype(np.int64), record=("spikes", "membranes"))
    assert np.array_equal(spikes.data, record.spikes[0])
    assert np.array_equal(data.nodes["layer1"].observables["membranes"].data, record.membranes[1])
    assert spikes.dt == 1e-4
    assert found["predicted"] == outputs.predicted.tolist()
    assert found["samples"] == 1
    assert found["counters"]["spikes"] > 500
    assert found["test_accuracy"] is None
    # The integers have the spikes of the floating form but for one in a hundred, and that has snnTorch's.
    _, _, real = FloatDevice(from_nir(BRAILLE, reset="zero"))(sample["input"], record=("spikes",))
    assert np.array_equal(real.spikes[0], sample["snntorch"])
    assert (spikes.data[0] == sample["snntorch"]).mean() == pytest.approx(0.9907, abs=5e-5)
    assert spikes.data.sum() > 100


def test_every_form_of_the_same_sample_runs_alike(
    model: str, sample: dict[str, np.ndarray], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    raster = sample["input"].astype(bool)
    np.save(tmp_path / "a.npy", raster)
    torch.save(torch.tensor(raster), tmp_path / "a.pt")
    gridded = nir.TimeGriddedData(raster[None], 1e-4)
    for name, data in (("gridded.nir", gridded), ("events.h5", gridded.to_event(int(raster.sum())))):
        nir.write_data(tmp_path / name, nir.NIRGraphData({"input": nir.NIRNodeData({"spikes": data})}))
    steps, channels = np.nonzero(raster)
    events = np.zeros(len(steps), [("t", np.int64), ("x", np.int16)])
    events["t"], events["x"] = steps * 100, channels
    np.save(tmp_path / "events.npy", events[::-1])
    readouts = []
    for name in ("a.npy", "a.pt", "gridded.nir", "events.h5", "events.npy"):
        out = str(tmp_path / "r.npz")
        words = ["--dt", "1e-4", "--steps", "256", "--out", out]
        said(capsys, "run", "--model", model, "--input", str(tmp_path / name), *words)
        with np.load(out) as file:
            readouts.append(file["readout"])
    assert readouts[0].any()
    assert all(np.array_equal(one, readouts[0]) for one in readouts)


def test_labels_make_an_accuracy_and_a_limit_is_kept(
    model: str, sample: dict[str, np.ndarray], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    samples = np.stack([np.roll(sample["input"], shift, axis=1) for shift in range(6)])
    first = said(capsys, "run", "--model", model, "--input", save(tmp_path, samples))["predicted"]
    wrong = [first[0], (first[1] + 1) % 7, *first[2:]]
    words = ["run", "--model", model, "--input", save(tmp_path, samples, wrong), "--limit", "4"]
    found = said(capsys, *words)
    assert found["predicted"] == first[:4]
    assert found["samples"] == 4
    assert found["test_accuracy"] == 0.75
    assert call(words) == 0
    shown = capsys.readouterr().out
    assert "75.00 %" in shown
    assert ", ".join(map(str, first[:4])) in shown
    wrong[0] = 7
    assert call(["run", "--model", model, "--input", save(tmp_path, samples, wrong)]) == 2
    assert "a label is 7, the network has 7 outputs" in capsys.readouterr().err


def test_shorter_samples_are_padded_and_that_is_said(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    generator = np.random.default_rng(1)
    short, long = (generator.integers(0, 2, (steps, 12)).astype(np.uint8) for steps in (20, 30))
    torch.save([torch.tensor(short), torch.tensor(long)], tmp_path / "a.pt")
    found = said(capsys, "run", "--model", model, "--input", str(tmp_path / "a.pt"))
    assert found["notes"] == ["1 of 2 samples are padded with silence at the end, to 30 steps"]
    assert call(["run", "--model", model, "--input", str(tmp_path / "a.pt")]) == 0
    assert "padded with silence" in capsys.readouterr().err


def save(folder: Path, samples: np.ndarray, labels: list[int] | None = None) -> str:
    np.savez(folder / "own.npz", inputs=samples, **({} if labels is None else {"labels": labels}))
    return str(folder / "own.npz")


def test_counts_of_other_commands(
    tmp_path: Path, sample: dict[str, np.ndarray], capsys: pytest.CaptureFixture[str]
) -> None:
    """`check` and `quantize` read samples the same way."""
    torch.save([torch.tensor(sample["input"][:steps]) for steps in (20, 30)], tmp_path / "own.pt")
    path = save(tmp_path, 3 * sample["input"])
    for words in (
        ["check", BRAILLE, "--reset", "zero", "--input"],
        ["quantize", BRAILLE, "--reset", "zero", "--calib"],
    ):
        assert call([*words, path]) == 2
        assert call([*words, path, "--clip"]) == 0
        assert "padded" not in capsys.readouterr().err
        assert call([*words, str(tmp_path / "own.pt")]) == 0
        assert "1 of 2 samples are padded with silence" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        ([], 2, "names no data set"),
        (["--dt", "1e-3"], 2, "belong to --input"),
        (["--clip"], 2, "belong to --input"),
        (["--input", SAMPLE, "--dataset", "digits"], 2, "leave one of them out"),
        (["--input", "nowhere.npz"], 2, "no such file"),
        (["--input", BRAILLE], 2, "another layout"),
        (["--input", "wide.npy"], 2, "the network has 12 inputs"),
        (["--input", "counts.npy"], 2, "sample 0, step 0, input 0: 2 is more than 1"),
        (["--input", SAMPLE, "--sensor-size", "4,3"], 2, "sensor size '4,3'"),
        (["--input", SAMPLE, "--dt", "0"], 2, "dt is 0"),
        (["--input", SAMPLE, "--out", "r.csv"], 2, "unknown kind of file"),
        (["--input", SAMPLE, "--record", "spikes"], 2, "--record needs a file"),
    ],
)
def test_errors_are_one_line(
    words: list[str],
    code: int,
    says: str,
    model: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("wide.npy", np.zeros((2, 3, 13)))
    np.save("counts.npy", np.full((2, 3, 12), 2))
    capsys.readouterr()
    assert call(["run", "--model", model, *words]) == code
    found = capsys.readouterr().err
    assert says in found
    assert found.startswith("error: ")
    assert len(found.splitlines()) == 2


def test_without_nir_nothing_is_run(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "nir", None)
    assert call(["run", "--model", model, "--input", SAMPLE, "--out", str(tmp_path / "r.nir")]) == 4
    assert "pip install trifactor[nir]" in capsys.readouterr().err
    assert call(["run", "--model", model, "--input", SAMPLE, "--out", str(tmp_path / "r.npz")]) == 0


@pytest.mark.slow
@pytest.mark.parametrize("device", ["verilator", "icarus"])
def test_the_hardware_gives_the_same_file(
    device: str, model: str, sample: dict[str, np.ndarray], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("cocotb", reason="needs cocotb: pip install trifactor[cosim]")
    path = save(tmp_path, np.stack([sample["input"][:64], sample["input"][64:128]]))
    found = {}
    for name in ("golden", device):
        out = str(tmp_path / f"{name}.nir")
        words = ["--record", "spikes,membranes", "--out", out]
        said(capsys, "run", "--model", model, "--input", path, "--device", name, *words)
        found[name] = nir.read_data(out)
    assert set(found["golden"].nodes) == set(found[device].nodes)
    compared = 0
    for node, held in found["golden"].nodes.items():
        for name, wanted in held.observables.items():
            assert np.array_equal(wanted.data, found[device].nodes[node].observables[name].data), (node, name)
            compared += wanted.data.size
    assert compared > 10_000
    assert found[device].nodes["layer0"].observables["spikes"].data.sum() > 10
