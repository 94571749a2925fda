# SPDX-License-Identifier: Apache-2.0
"""Samples that users bring, in every form: what is read is what was there, and nothing else is read."""

from __future__ import annotations

import itertools
import math
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import trifactor
from trifactor.arch.errors import ConfigurationError, ToolError
from trifactor.host import loaded
from trifactor.host.events import parse_sensor
from trifactor.host.rasters import read_samples

nir = pytest.importorskip("nir", reason="needs nir: pip install trifactor[nir]")
import h5py  # noqa: E402 - nir brings it

FEW = settings(max_examples=40)


@st.composite
def arrays(draw: st.DrawFn, greatest: int = 255) -> np.ndarray:
    shape = draw(st.tuples(st.integers(1, 4), st.integers(1, 9), st.integers(1, 7)))
    generator = np.random.default_rng(draw(st.integers(0, 1 << 32)))
    return generator.integers(0, greatest + 1, shape)


@st.composite
def recordings(draw: st.DrawFn) -> tuple[list[tuple[int, int, int, int]], tuple[int, int, int]]:
    """Events (x, y, t in microseconds, p), in any order, and their sensor."""
    sensor = draw(st.tuples(st.integers(1, 5), st.integers(1, 5), st.integers(1, 3)))
    event = st.tuples(
        st.integers(0, sensor[0] - 1),
        st.integers(0, sensor[1] - 1),
        st.integers(0, 9_999),
        st.integers(0, sensor[2] - 1),
    )
    return draw(st.lists(event, min_size=1, max_size=60)), sensor


def structured(events: Any, names: str = "xytp") -> np.ndarray:
    kinds = {"x": np.int16, "y": np.int16, "t": np.int64, "p": np.int8}
    return np.array([tuple(event) for event in events], dtype=[(name, kinds[name]) for name in names])


def refused(source: Any, says: str, **options: Any) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read_samples(source, **options)
    assert says in f"{caught.value.message}; {caught.value.hint}"
    assert "\n" not in caught.value.message + caught.value.hint
    assert caught.value.hint


@FEW
@given(values=arrays(), kind=st.sampled_from(["uint8", "int16", "int64", "float32", "float64"]))
def test_files_hold_what_memory_held(tmp_path_factory: pytest.TempPathFactory, values: np.ndarray, kind: str) -> None:
    folder = tmp_path_factory.mktemp("files")
    labels = np.arange(len(values)) % 3
    typed = values.astype(kind)
    np.save(folder / "a.npy", typed)
    np.savez_compressed(folder / "a.npz", inputs=typed, labels=labels, other=1)
    torch.save(torch.tensor(typed), folder / "a.pt")
    torch.save((torch.tensor(typed), torch.tensor(labels)), folder / "b.pt")
    torch.save({"inputs": torch.tensor(typed), "labels": torch.tensor(labels)}, folder / "c.pt")
    sources = [typed, torch.tensor(typed, requires_grad="float" in kind), list(typed), (typed, labels)]
    sources += [folder / name for name in ("a.npy", "a.npz", "a.pt", "b.pt", "c.pt")]
    for source in sources:
        found = read_samples(source, inputs=values.shape[2])
        assert found.rasters.dtype == np.uint8
        assert np.array_equal(found.rasters, values)
        assert found.dt is None
        assert not found.notes
        if found.labels is not None:
            assert np.array_equal(found.labels, labels)
    assert read_samples(folder / "a.npz").labels is not None
    assert np.array_equal(read_samples(typed[0]).rasters, values[:1])
    limited = read_samples(folder / "a.npz", limit=1)
    assert len(limited.rasters) == len(limited.labels) == 1


@FEW
@given(values=arrays(greatest=1), dt=st.floats(1e-7, 10))
def test_nirdata_gridded_and_as_events(tmp_path_factory: pytest.TempPathFactory, values: np.ndarray, dt: float) -> None:
    folder = tmp_path_factory.mktemp("nir")
    gridded = nir.TimeGriddedData(values.astype(bool), dt)
    events = gridded.to_event(n_events=int(values.sum()) + 1)
    assert (events.idx != -1).sum() == values.sum()
    for data in (gridded, events):
        graph = nir.NIRGraphData({"input": nir.NIRNodeData({"spikes": data}), "more": nir.NIRNodeData({})})
        nir.write_data(folder / "a.nir", graph)
        for source in (folder / "a.nir", graph, graph.nodes["input"], data):
            found = read_samples(source, inputs=values.shape[2], dt=dt)
            assert np.array_equal(found.rasters, values)
            assert found.dt == dt
    assert read_samples(gridded).dt == dt


def test_events_with_values_are_counted_as_many_times() -> None:
    idx, time = np.array([[1, 0, 1, -1]]), np.array([[0.0, 0.1, 0.04, np.inf]])
    data = nir.ValuedEventData(idx=idx, time=time, n_neurons=2, t_max=0.3, value=np.array([[2.0, 3.0, 1.0, 9.0]]))
    assert read_samples(data, dt=0.1).rasters.tolist() == [[[0, 3], [3, 0], [0, 0]]]
    data.value[0, 1] = 0.5
    refused(data, "sample 0, step 1, input 0: 0.5 is no count", dt=0.1)


@FEW
@given(shape=st.tuples(*[st.integers(1, 4)] * 5), seed=st.integers(0, 1 << 32))
def test_frames_are_flattened_polarity_first_and_columns_last(shape: tuple[int, ...], seed: int) -> None:
    frames = np.random.default_rng(seed).integers(0, 5, shape).astype(np.int16)
    batch, steps, polarities, height, width = shape
    found = read_samples(frames, inputs=polarities * height * width, sensor_size=(width, height, polarities))
    assert found.rasters.shape == (batch, steps, polarities * height * width)
    for b, t, p, y, x in itertools.product(*map(range, shape)):
        assert found.rasters[b, t, (p * height + y) * width + x] == frames[b, t, p, y, x]
    assert np.array_equal(read_samples(torch.tensor(frames[0])).rasters, found.rasters[:1])
    # Swapped in memory, as torch's permute leaves it: the order is that of the dimensions, not of the memory.
    assert np.array_equal(read_samples(np.asfortranarray(frames)).rasters, found.rasters)


@FEW
@given(made=recordings(), window=st.integers(1, 3000))
def test_events_are_counted_in_steps(made: tuple[list[tuple[int, int, int, int]], Any], window: int) -> None:
    events, (width, height, polarities) = made
    wanted = Counter((t // window, (p * height + y) * width + x) for x, y, t, p in events)
    found = read_samples(structured(events), dt=window * 1e-6, sensor_size=(width, height, polarities))
    assert found.rasters.shape == (1, max(step for step, _ in wanted) + 1, width * height * polarities)
    assert {(step, cell): found.rasters[0, step, cell] for step, cell in np.argwhere(found.rasters[0])} == wanted
    once = read_samples(
        structured(events), dt=window * 1e-6, sensor_size=(width, height, polarities), event_bits=1, clip=True
    )
    assert np.array_equal(once.rasters, np.minimum(found.rasters, 1))


@FEW
@given(dt=st.floats(1e-6, 1), kind=st.sampled_from([np.float32, np.float64]))
def test_a_time_at_the_start_of_a_step_is_in_it(dt: float, kind: Any) -> None:
    events = np.zeros(2000, [("t", kind), ("x", np.int64)])
    events["t"] = np.arange(2000) * dt
    found = read_samples(events, inputs=1, dt=dt)
    assert found.rasters.shape == (1, 2000, 1)
    assert (found.rasters == 1).all()


def test_a_whole_time_just_before_a_step_is_not_in_it() -> None:
    events = structured([(0, 999_999), (0, 1_000_000)], "xt")
    assert read_samples(events, inputs=1, dt=1.0).rasters.tolist() == [[[1], [1]]]


def test_events_of_a_cochlea_have_no_rows_and_one_polarity() -> None:
    events = structured([(3, 100, 1), (0, 2500, 1)], "xtp")
    found = read_samples([events, structured([], "xtp")], inputs=4, dt=1e-3, sensor_size=(4, 1, 1))
    assert found.rasters.shape == (2, 3, 4)
    assert found.rasters.sum() == 2
    assert found.notes == ("1 of 2 samples are padded with silence at the end, to 3 steps",)
    bare = events[["x", "t"]]
    assert np.array_equal(read_samples(bare, inputs=4, dt=1e-3).rasters, found.rasters[:1])


def test_samples_are_cut_and_padded_to_the_steps_asked_for() -> None:
    events = [structured([(1, 0), (0, 2500)], "xt"), structured([(0, 9 * 10**6)], "xt"), structured([], "xt")]
    found = read_samples(events, inputs=2, dt=1e-3, steps=4)
    assert found.rasters.tolist() == [[[0, 1], [0, 0], [1, 0], [0, 0]], [[0, 0]] * 4, [[0, 0]] * 4]
    assert found.notes == (
        "1 of 3 samples are cut to 4 steps",
        "2 of 3 samples are padded with silence at the end, to 4 steps",
    )
    values = np.arange(6).reshape(3, 2)
    assert read_samples(values, steps=2).rasters.tolist() == [[[0, 1], [2, 3]]]
    assert read_samples(values, steps=4).rasters.tolist() == [[[0, 1], [2, 3], [4, 5], [0, 0]]]


def cached(path: Path, data: Any, target: Any = None) -> None:
    with h5py.File(path, "w") as file:
        file["data/0"] = data
        if target is not None:
            file["target/0"] = target


def test_a_folder_as_tonic_caches_it(tmp_path: Path) -> None:
    for index in (0, 2, 10):
        for copy in (1, 0):
            frames = np.full((index + 1, 2, 1, 3), copy + 1, np.int16)
            frames[:, 1] = 0
            cached(tmp_path / f"{index}_{copy}.hdf5", frames, np.array(index % 4))
    (tmp_path / "notes.txt").write_text("not a sample")
    found = read_samples(tmp_path, inputs=6)
    assert found.rasters.shape == (3, 11, 6)
    assert found.labels.tolist() == [0, 2, 2]
    assert [int(one.sum()) for one in found.rasters] == [3, 9, 33]
    assert not found.rasters[0, 1:].any()
    assert len(found.notes) == 2
    assert "8 of 11 samples are not in the cache" in found.notes
    assert read_samples(tmp_path, limit=2).rasters.shape == (2, 3, 6)
    assert np.array_equal(read_samples(tmp_path / "2_0.hdf5").rasters, found.rasters[1:2, :3])
    cached(tmp_path / "3_0.hdf5", np.ones((2, 6)), np.array([1.5, 2.5]))
    refused(tmp_path, "1 of 4 samples have no label")


def test_what_tonic_itself_cached(tmp_path: Path) -> None:
    tonic = pytest.importorskip("tonic", reason="needs tonic: pip install trifactor[data]")
    sensor = (5, 4, 2)
    generator = np.random.default_rng(1)
    events = []
    for _ in range(3):
        times = np.concatenate([[0], np.sort(generator.integers(0, 5000, 99)), [6000]])
        places = [generator.integers(0, size, len(times)) for size in sensor]
        events.append(structured(zip(places[0], places[1], times, places[2], strict=True)))
    framed = [tonic.transforms.ToFrame(sensor_size=sensor, time_window=1000)(one.copy()) for one in events]
    for name, samples in (("frames", framed), ("events", events)):
        cache = tonic.DiskCachedDataset(
            list(zip(samples, (4, 0, 2), strict=True)), cache_path=str(tmp_path / name), num_copies=2
        )
        for _ in range(12):
            assert [cache[number][1] for number in range(3)] == [4, 0, 2]
    frames = read_samples(tmp_path / "frames", inputs=40, sensor_size=sensor)
    binned = read_samples(tmp_path / "events", inputs=40, sensor_size=sensor, dt=1e-3)
    assert frames.labels.tolist() == binned.labels.tolist() == [4, 0, 2]
    assert frames.rasters.shape[:2] == (3, 6)
    assert np.array_equal(frames.rasters, binned.rasters[:, :6])
    assert frames.rasters.sum() == 300
    assert binned.rasters[:, 6].sum() == 3


BAD_ARRAYS: list[tuple[Any, str, dict[str, Any]]] = [
    (np.full((2, 3, 4), -1), "sample 0, step 0, input 0: -1 is no count", {}),
    (np.full((2, 3, 4), np.inf), "inf is no count", {"clip": True}),
    (np.zeros((2, 3, 4)), "4 values a step", {"inputs": 5}),
    (np.zeros((2, 3)) + 2, "sample 0, step 0, input 0: 2 is more than 1", {"event_bits": 1}),
    (np.zeros((0, 3, 4)), "holds no samples", {}),
    (np.zeros((2, 0, 4)), "none of them empty", {}),
    (np.zeros((2, 3, 0)), "none of them empty", {}),
    (np.zeros(0), "samples of shape (0,)", {}),
    (np.zeros((1,) * 6), "samples of shape", {}),
    (np.zeros((2, 3, 4), complex), "sample 0 is complex128", {}),
    (np.zeros((2, 3, 4), "M8[s]"), "datetime64", {}),
    (np.array([["a"]]), "not numbers", {}),
    (None, "no array of numbers", {}),
    ([], "holds no samples", {}),
    ([[1, 0], [1]], "sample 0 has shape (2,)", {}),
    ([np.zeros((2, 3)), np.zeros((2, 4))], "samples 0 and 1 have 3 and 4 values", {}),
    ([[[1, 0], [1]]], "sample 0: no array", {}),
    ({"a": np.zeros((2, 3)), "b": 1}, "holds a, b: which are the samples?", {}),
    ((np.zeros((2, 3)), 1, 2), "a tuple of 3", {}),
    ((np.zeros((2, 3, 4)), [1]), "labels are int64 of shape (1,) for 2 samples", {}),
    ((np.zeros((2, 3, 4)), [1.0, 2.0]), "labels are float64", {}),
    ((np.zeros((2, 3, 4)), [1, -1]), "a label is negative", {}),
    (np.zeros((3, 2, 4, 5)), "frames (P, H, W) of (2, 4, 5)", {"sensor_size": (4, 5, 2)}),
    (np.zeros((3, 4)), "dt is -1", {"dt": -1}),
    (np.zeros((3, 4)), "dt is nan", {"dt": math.nan}),
    (np.zeros((3, 4)), "steps are 0", {"steps": 0}),
    (np.zeros((3, 4)), "sensor_size is (4, 0, 1)", {"sensor_size": (4, 0, 1)}),
    (torch.zeros(1).expand(8, 1 << 20, 1 << 12), "would take 4 GiB", {}),
    (torch.zeros(2, 3).to_sparse(), "no array", {}),
    (torch.zeros(2, 3, dtype=torch.bfloat16), "no array", {}),
]


@pytest.mark.parametrize(("source", "says", "options"), BAD_ARRAYS, ids=[says for _, says, _ in BAD_ARRAYS])
def test_what_is_no_sample_is_refused(source: Any, says: str, options: dict[str, Any]) -> None:
    refused(source, says, **options)


def test_a_bad_value_is_named_by_its_place() -> None:
    values = np.zeros((3, 4, 5))
    values[2, 1, 3] = math.nan
    refused(values, "sample 2, step 1, input 3: nan is no count")
    values[2, 1, 3] = 300
    refused(values, "sample 2, step 1, input 3: 300 is more than 255")
    assert read_samples(values, clip=True).rasters[2, 1, 3] == 255


GOOD = [(0, 0, 10, 1), (3, 1, 20, 0)]
DVS = {"dt": 1e-3, "sensor_size": (4, 2, 2)}
BAD_EVENTS: list[tuple[np.ndarray, str, dict[str, Any]]] = [
    (structured([*GOOD, (4, 1, 0, 0)]), "sample 0, event 2: x = 4, y = 1, p = 0 is outside a sensor of 4x2x2", DVS),
    (structured([(0, -1, 0, 0)]), "y = -1", DVS),
    (structured([(0, 0, 0, 2)]), "p = 2", DVS),
    (structured([*GOOD, (0, 0, -5, 0)]), "sample 0, event 2: t = -5 is before time 0", DVS),
    (structured(GOOD), "dt is missing", {"sensor_size": (4, 2, 2)}),
    (structured(GOOD), "sensor_size is missing", {"dt": 1e-3, "inputs": 16}),
    (structured(GOOD), "a sensor of 4x2x2 has 16 inputs", {**DVS, "inputs": 12}),
    (structured(GOOD)[["x", "p", "t"]], "events without y, a sensor with 2", DVS),
    (structured(GOOD)[["x", "y"]], "has fields x, y", DVS),
    (structured(GOOD).astype([(name, float) for name in "xytp"]), "p is float64", DVS),
    (structured([(0, 0, 1 << 62, 0)]), "is no time within", DVS),
    (structured([(0, 0, 1 << 40, 0)]), "would take", DVS),
    (structured([]), "holds no samples", DVS),
    (structured(GOOD), "a step would take", {"dt": 1.0, "sensor_size": (65536, 65536, 2)}),
    (structured([(0, 0, 1, 0)] * 300), "sample 0, step 0, input 0: 300 is more than 255", DVS),
]


@pytest.mark.parametrize(("events", "says", "options"), BAD_EVENTS, ids=[says for _, says, _ in BAD_EVENTS])
def test_events_that_are_nowhere_are_refused(events: np.ndarray, says: str, options: dict[str, Any]) -> None:
    refused(events, says, **options)


def test_nirdata_that_does_not_say_what_is_meant() -> None:
    gridded = nir.TimeGriddedData(np.zeros((1, 2, 3), bool), 1e-3)
    node = nir.NIRNodeData({"a": gridded, "b": gridded})
    refused(node, "observables a, b: which are the samples?")
    refused(nir.NIRGraphData({"n": node, "m": node}), "nodes n, m: which are the samples?")
    refused(nir.NIRGraphData({}), "nodes nothing")
    refused(gridded, "steps of 0.001 s, asked for 0.0001 s", dt=1e-4)
    refused(nir.TimeGriddedData(np.zeros((1, 2, 3)), 0.0), "dt is 0")
    refused(nir.NIRGraph({}, [], type_check=False), "nir.NIRGraph holds no samples")
    late = nir.EventData(idx=np.array([[0]]), time=np.array([[2.0]]), n_neurons=2, t_max=1.0)
    refused(late, "dt is missing")
    refused(late, "an event in step 20 of 10", dt=0.1)
    for t_max in (math.inf, math.nan, -1.0, 0.0):
        late.t_max = t_max
        refused(late, "t_max is", dt=0.1)
    refused(nir.EventData(np.array([[5]]), np.array([[0.0]]), 2, 1.0), "x = 5 is outside", dt=0.1)
    refused(nir.EventData(np.array([[-2]]), np.array([[0.0]]), 2, 1.0), "x = -2 is outside", dt=0.1)
    refused(nir.EventData(np.array([[1]]), np.array([[np.inf]]), 2, 1.0), "t = inf is no time", dt=0.1)
    refused(nir.EventData(np.array([[1.0]]), np.array([[0.0]]), 2, 1.0), "events of float64", dt=0.1)
    refused(nir.EventData(np.array([[1]]), np.array([[0.0]]), 1 << 40, 1.0), "would take", dt=0.1)


class Trap:
    """Says so if it is ever made again from a file."""

    def __reduce__(self) -> Any:
        return (print, ("EXECUTED",))


def make_bad(folder: Path, name: str) -> Path:
    """A bad file of this name."""
    path = folder / name
    values = np.zeros((2, 3, 4), np.uint8)
    if name.startswith("empty"):
        path.write_bytes(b"")
    elif name.startswith("text"):
        path.write_text("no samples here")
    elif name == "pickled.npy":
        np.save(path, np.array([Trap()], dtype=object), allow_pickle=True)
    elif name == "pickled.npz":
        np.savez(path, inputs=np.array([Trap()], dtype=object))
    elif name == "pickled.pt":
        torch.save(Trap(), path)
    elif name == "network.nir":
        path.write_bytes((Path(trifactor.__file__).parent / "host" / "examples" / "lif.nir").read_bytes())
    elif name == "foreign.h5":
        with h5py.File(path, "w") as file:
            file["spikes"] = values
    elif name == "group.hdf5":
        with h5py.File(path, "w") as file:
            file["data/0/events"] = values
    elif name == "strings.hdf5":
        cached(path, ["a", "b"])
    elif name == "parts.nir":
        with h5py.File(path, "w") as file:
            file.attrs["__type__"] = "NIRGraphData"
    elif name == "huge.hdf5":
        with h5py.File(path, "w") as file:
            file.create_dataset("data/0", shape=(1 << 20, 1 << 20), dtype="u1", chunks=(1024, 1024))
    elif name == "huge.nir":
        with h5py.File(path, "w") as file:
            file.attrs["__type__"] = "NIRGraphData"
            file.create_dataset("nodes/a/observables/b/data", shape=(1, 1 << 20, 1 << 20), dtype="u1", chunks=True)
    elif name == "false.npy":
        np.save(path, values)
        path.write_bytes(path.read_bytes().replace(b"(2, 3, 4)", b"(9, 9, 9)"))
    else:
        nir.write_data(path, nir.NIRGraphData({"a": nir.NIRNodeData({"b": nir.TimeGriddedData(values, 1e-3)})}))
        path.write_bytes(path.read_bytes()[: 2 * path.stat().st_size // 3])
    return path


BAD_FILES = {
    "nowhere.bin": "no such file",
    "text.bin": "unknown kind of file",
    "empty.npy": "the file is empty",
    "empty.npz": "cannot be read as .npz",
    "empty.pt": "cannot be read as .pt",
    "empty.nir": "cannot be read as .nir",
    "empty.hdf5": "cannot be read as .hdf5",
    "text.npy": "cannot be read as .npy",
    "text.npz": "cannot be read as .npz",
    "text.pt": "text.pt",
    "text.h5": "cannot be read as .h5",
    "pickled.npy": "cannot be read as .npy",
    "pickled.npz": "cannot be read as .npz",
    "pickled.pt": "holds other things than tensors",
    "truncated.nir": "cannot be read as .nir",
    "network.nir": "another layout: it holds node, version",
    "foreign.h5": "another layout: it holds spikes",
    "group.hdf5": "no array data/0",
    "strings.hdf5": "sample 0 has shape (2,)",
    "parts.nir": "cannot be read as .nir",
    "huge.hdf5": "would take 1.02e+03 GiB",
    "huge.nir": "would take 1.02e+03 GiB",
    "false.npy": "cannot be read as .npy",
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_bad_files_are_one_line(tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / name if name == "nowhere.bin" else make_bad(tmp_path, name)
    refused(path, BAD_FILES[name])
    refused(path, str(path))
    assert "EXECUTED" not in capsys.readouterr().out


def test_bad_folders(tmp_path: Path) -> None:
    refused(tmp_path, "a folder without cached samples")
    cached(tmp_path / "0_0.hdf5", np.ones((2, 3)))
    (tmp_path / "1_0.hdf5").write_bytes((tmp_path / "0_0.hdf5").read_bytes()[:500])
    refused(tmp_path, "1_0.hdf5: cannot be read")
    assert read_samples(tmp_path, limit=1).rasters.shape == (1, 2, 3)


@pytest.mark.parametrize("name", ["a.npz", "a.pt", "a.nir", "0_0.hdf5", "memory"])
def test_too_much_is_refused_before_it_is_read(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loaded, "LARGEST", 10_000)
    values = np.ones((30, 20, 20), np.uint8)
    np.savez_compressed(tmp_path / "a.npz", values)
    torch.save(torch.tensor(values), tmp_path / "a.pt")
    nir.write_data(
        tmp_path / "a.nir", nir.NIRGraphData({"a": nir.NIRNodeData({"b": nir.TimeGriddedData(values, 1e-3)})})
    )
    cached(tmp_path / "0_0.hdf5", values)
    source: Any = values if name == "memory" else tmp_path / name
    refused(source, "would take")
    np.save(tmp_path / "a.npy", values)
    refused(tmp_path / "a.npy", "26 samples or more would take")
    assert len(read_samples(tmp_path / "a.npy", limit=25).rasters) == 25


def test_a_missing_package_is_a_missing_tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make_bad(tmp_path, "empty.nir")
    monkeypatch.setitem(sys.modules, "h5py", None)
    for source in (path, tmp_path):
        with pytest.raises(ToolError) as caught:
            read_samples(source)
        assert "h5py" in caught.value.message
        assert "trifactor[nir]" in caught.value.hint


@pytest.mark.parametrize(
    ("text", "size"), [("34x34x2", (34, 34, 2)), ("700", (700, 1, 1)), ("8X6", (8, 6, 1)), (None, None)]
)
def test_sensors_as_text(text: str | None, size: Any) -> None:
    assert parse_sensor(text) == size


@pytest.mark.parametrize("text", ["", "x", "34x", "1x2x3x4", "-3x4", "3.5", "a"])
def test_other_text_is_no_sensor(text: str) -> None:
    with pytest.raises(ConfigurationError, match="sensor size"):
        parse_sensor(text)


def data_folder(name: str) -> Path:
    import os

    folder = Path(os.environ.get("TRIFACTOR_DATA") or "/nonexistent") / name
    if not folder.is_dir():
        pytest.skip(f"needs {name} in the folder of TRIFACTOR_DATA")
    return folder


def test_recordings_of_an_event_camera() -> None:
    import zipfile

    read = []
    with zipfile.ZipFile(data_folder("NMNISTSmall") / "test.zip") as archive:
        for name in sorted(name for name in archive.namelist() if name.endswith(".bin"))[:5]:
            raw = np.frombuffer(archive.read(name), np.uint8).reshape(-1, 5).astype(np.int64)
            times = (raw[:, 2] & 127) << 16 | raw[:, 3] << 8 | raw[:, 4]
            read.append(structured(zip(raw[:, 0], raw[:, 1], times, raw[:, 2] >> 7, strict=True)))
    found = read_samples(read, inputs=2312, dt=0.025, sensor_size=(34, 34, 2))
    assert len(found.rasters) == 5
    for events, raster in zip(read, found.rasters, strict=True):
        wanted = np.zeros((raster.shape[0], 2, 34, 34), int)
        np.add.at(wanted, (events["t"] // 25_000, events["p"], events["y"], events["x"]), 1)
        assert np.array_equal(raster, wanted.reshape(len(raster), -1))
        assert raster.sum() == len(events) > 1000


def test_recordings_of_a_cochlea() -> None:
    import gzip
    import io

    content = gzip.decompress((data_folder("SpikingFSDD") / "sfsdd_test.h5.gz").read_bytes())
    with h5py.File(io.BytesIO(content)) as file:
        times, units = file["spikes/times"][:4], file["spikes/units"][:4]
    read = []
    for seconds, channels in zip(times, units, strict=True):
        events = np.zeros(len(seconds), [("t", np.int64), ("x", np.int16)])
        events["t"], events["x"] = np.rint(seconds.astype(float) * 1e6), channels
        read.append(events)
    found = read_samples(read, inputs=700, dt=0.01)
    assert found.rasters.sum() == sum(map(len, read)) > 4000
    for events, raster in zip(read, found.rasters, strict=True):
        wanted = Counter(zip((events["t"] // 10_000).tolist(), events["x"].tolist(), strict=True))
        assert {(step, unit): raster[step, unit] for step, unit in np.argwhere(raster)} == wanted
