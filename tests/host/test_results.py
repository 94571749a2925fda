# SPDX-License-Identifier: Apache-2.0
"""What devices put out, in files that others read."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trifactor.arch.array import ArrayConfig
from trifactor.arch.device import DeviceState, Outputs, Record
from trifactor.arch.errors import ConfigurationError, ToolError
from trifactor.arch.network import SURROGATE_ENTRIES, Layer, Network
from trifactor.golden.device import GoldenDevice
from trifactor.host.rasters import read_samples
from trifactor.host.results import check_results, joined, write_results

nir = pytest.importorskip("nir", reason="needs nir: pip install trifactor[nir]")


def device() -> GoldenDevice:
    layers = (
        Layer(inputs=6, outputs=5, learns=False, threshold=20),
        Layer(inputs=5, outputs=3, spiking=False, learns=False),
    )
    weights = [
        np.random.default_rng(index).integers(0, 60, shape) * 256 for index, shape in enumerate([(6, 5), (5, 3)])
    ]
    return GoldenDevice(
        ArrayConfig(), Network(layers=layers, surrogate=(0,) * SURROGATE_ENTRIES), DeviceState(weights=weights)
    )


def ran(samples: int = 4) -> tuple[Outputs, Record]:
    inputs = np.random.default_rng(2).integers(0, 2, (samples, 7, 6))
    outputs, _, record = device()(inputs, record=("spikes", "membranes", "traces", "signatures"))
    assert 5 < record.spikes[0].sum() < record.spikes[0].size
    return outputs, record


def test_an_archive_has_all_of_it(tmp_path: Path) -> None:
    outputs, record = ran()
    names = write_results(tmp_path / "r.npz", outputs, record, labels=np.arange(4))
    with np.load(tmp_path / "r.npz") as found:
        assert set(names) == set(found.files)
        assert {"readout", "predicted", "labels", "signatures", "spikes_0", "membranes_1", "traces_0"} <= set(names)
        assert np.array_equal(found["readout"], outputs.readout)
        assert np.array_equal(found["spikes_0"], record.spikes[0])
        assert np.array_equal(found["membranes_1"], record.membranes[1])
        assert np.array_equal(found["signatures"], record.signatures)


@pytest.mark.parametrize("suffix", ["nir", "h5", "hdf5"])
def test_nirdata_is_read_by_nir_and_by_us(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"r.{suffix}"
    path.write_text("what was there before")
    outputs, record = ran()
    write_results(path, outputs, record, dt=1e-3, labels=np.arange(4))
    found = nir.read_data(path)
    assert set(found.nodes) == {"layer0", "layer1", "output", "array"}
    for layer in (0, 1):
        observables = found.nodes[f"layer{layer}"].observables
        assert observables["spikes"].data.dtype == bool
        assert observables["spikes"].dt == 1e-3
        for name in ("spikes", "membranes", "traces"):
            assert np.array_equal(observables[name].data, getattr(record, name)[layer])
    of_all = found.nodes["output"].observables
    assert np.array_equal(of_all["readout"].data[:, 0], outputs.readout)
    assert np.array_equal(of_all["predicted"].data[:, 0, 0], outputs.predicted)
    assert of_all["labels"].data[:, 0, 0].tolist() == [0, 1, 2, 3]
    assert np.array_equal(found.nodes["array"].observables["signatures"].data, record.signatures)
    again = read_samples(found.nodes["layer0"], inputs=5)
    assert np.array_equal(again.rasters, record.spikes[0])
    assert again.dt == 1e-3
    assert found.nodes["layer0"].observables["spikes"].to_event(100).n_neurons == 5
    assert list(tmp_path.iterdir()) == [path]


def test_outputs_alone(tmp_path: Path) -> None:
    outputs, _ = ran()
    assert write_results(tmp_path / "r.nir", outputs) == ["readout", "predicted"]
    found = nir.read_data(tmp_path / "r.nir")
    assert list(found.nodes) == ["output"]
    assert found.nodes["output"].observables["readout"].dt == 1.0


def test_calls_are_joined_as_if_they_were_one() -> None:
    inputs = np.random.default_rng(3).integers(0, 2, (5, 7, 6))
    record = ("spikes", "membranes", "traces", "signatures")
    whole, _, made = device()(inputs, record=record)
    golden = device()
    calls = [(out, got) for out, _, got in (golden(part, record=record) for part in (inputs[:2], inputs[2:]))]
    outputs, found = joined(calls)
    assert np.array_equal(outputs.readout, whole.readout)
    assert np.array_equal(outputs.predicted, whole.predicted)
    assert found.counters == made.counters
    assert np.array_equal(found.signatures, made.signatures)
    for name in record[:3]:
        for one, other in zip(getattr(found, name), getattr(made, name), strict=True):
            assert np.array_equal(one, other)


def test_what_was_there_stays_if_writing_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any, **__: Any) -> None:
        raise RuntimeError("half way")

    outputs, record = ran()
    for name, module, function in (("r.nir", nir, "write_data"), ("r.npz", np, "savez_compressed")):
        (tmp_path / name).write_text("before")
        monkeypatch.setattr(module, function, fails)
        with pytest.raises(RuntimeError):
            write_results(tmp_path / name, outputs, record)
        assert (tmp_path / name).read_text() == "before"
    assert len(list(tmp_path.iterdir())) == 2
    monkeypatch.undo()
    with pytest.raises(ConfigurationError, match="cannot be written"):
        write_results(tmp_path / "no" / "r.nir", outputs, record)


def test_without_nir_an_archive_can_still_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nir", None)
    outputs, record = ran()
    write_results(tmp_path / "r.npz", outputs, record)
    with pytest.raises(ToolError) as caught:
        write_results(tmp_path / "r.nir", outputs, record)
    assert caught.value.exit_code == 4
    assert "pip install trifactor[nir]" in caught.value.hint


def test_other_suffixes_are_refused() -> None:
    for name in ("r", "r.csv", "r.npy"):
        with pytest.raises(ConfigurationError, match="unknown kind of file"):
            check_results(Path(name))
