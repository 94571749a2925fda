# SPDX-License-Identifier: Apache-2.0
"""NIR graphs of others and of our own: what they become, what is told apart, what is refused."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

nir = pytest.importorskip("nir", reason="needs nir: pip install trifactor[nir]")

from trifactor.arch.errors import ConfigurationError, DoesNotFitError  # noqa: E402
from trifactor.arch.graph import Graph  # noqa: E402
from trifactor.golden.floating.device import FloatDevice  # noqa: E402
from trifactor.host.nir import from_nir  # noqa: E402

EXAMPLES = Path(__file__).parents[2] / "host" / "examples"
GRAPHS = Path(os.environ.get("TRIFACTOR_DATA", "nowhere")).parent / "vectors" / "nir" / "graphs"
needs_vectors = pytest.mark.skipif(
    not GRAPHS.is_dir(), reason="no third-party graphs: TRIFACTOR_DATA names a folder with ../vectors/nir beside it"
)


def affine(outputs: int, inputs: int, seed: int = 1) -> Any:
    rng = np.random.default_rng(seed)
    return nir.Affine(weight=rng.normal(size=(outputs, inputs)), bias=rng.normal(size=outputs))


def lif(size: int, tau: float = 1e-3, **words: Any) -> Any:
    return nir.LIF(tau=np.full(size, tau), r=np.ones(size), v_leak=np.zeros(size), v_threshold=np.ones(size), **words)


def chained(*nodes: Any) -> Any:
    return nir.NIRGraph.from_list(*nodes, type_check=False)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_one_neuron_spikes_as_five_backends_recorded(dtype: torch.dtype) -> None:
    graph = from_nir(EXAMPLES / "lif.nir", dt=1e-4, reset="zero")
    with np.load(EXAMPLES / "lif_sample.npz") as sample:
        _, _, record = FloatDevice(graph, dtype=dtype)(sample["input"][:, None], record=("spikes",))
        for backend in ("exact", "norse", "snntorch", "nengo", "spinnaker2"):
            assert np.array_equal(record.spikes[0][:, 0], sample[backend]), backend
        assert record.spikes[0].sum() == 4


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_braille_has_the_hidden_spikes_that_snntorch_recorded(dtype: torch.dtype) -> None:
    graph = from_nir(EXAMPLES / "braille.nir", reset="zero")
    assert graph.dt == 1e-4
    assert any("every gain r dt / tau is 1" in note for note in graph.notes)
    assert any("lif1.lif -> lif1.w_rec: a loop, cut here" in note for note in graph.notes)
    with np.load(EXAMPLES / "braille_sample.npz") as sample:
        _, _, record = FloatDevice(graph, dtype=dtype)(sample["input"], record=("spikes",))
        assert record.spikes[0].shape == (256, 38)
        assert record.spikes[0].sum() == 119
        assert np.array_equal(record.spikes[0], sample["snntorch"])


@needs_vectors
def test_the_nested_graph_of_another_framework_is_the_same_network() -> None:
    ours = from_nir(EXAMPLES / "braille.nir", reset="zero")
    nested = from_nir(GRAPHS / "spyx_braille_noDelay_bias_zero_subgraph.nir", reset="zero")
    with np.load(EXAMPLES / "braille_sample.npz") as sample:
        spikes = [FloatDevice(one)(sample["input"], record=("spikes",))[2].spikes for one in (ours, nested)]
    assert all(np.array_equal(a, b) for a, b in zip(*spikes, strict=True))


@needs_vectors
@pytest.mark.parametrize(
    ("name", "words", "message"),
    [
        ("nirviz_srnn", {"reset": "zero"}, "node 'cu1': tau_mem has values that are not positive"),
        (
            "paper_01_lif_debug_spike_representation_two_lif_neurons",
            {"reset": "zero", "dt": 1e-4},
            "'lif1': v_leak is 1.2",
        ),
        ("paper_01_lif_lif_rockpool", {"reset": "zero"}, "dt is missing"),
    ],
)
def test_graphs_of_others_that_mean_something_else_are_refused(name: str, words: Any, message: str) -> None:
    with pytest.raises((ConfigurationError, DoesNotFitError), match=message):
        from_nir(GRAPHS / f"{name}.nir", **words)


@needs_vectors
def test_graphs_of_others_are_read(tmp_path: Path) -> None:
    assert [len(node.shape) for node in from_nir(GRAPHS / "paper_02_cnn_cnn_sinabs.nir", reset="zero").nodes][:3] == [
        3
    ] * 3
    from_nir(GRAPHS / "paper_01_lif_lif_rockpool.nir", reset="zero", dt=1e-4)
    from_nir(GRAPHS / "nirtorch_braille.nir", reset="subtract")


def run(graph: Graph, steps: int = 30) -> list[Any]:
    rng = np.random.default_rng(3)
    inputs = {node.name: rng.random((2, steps, int(np.prod(node.shape)))) for node in graph.of_kind("input")}
    out, _, record = FloatDevice(graph)(inputs, record=("spikes",))
    return [out.readout, *record.spikes]


TOPOLOGIES = {
    "sequential": lambda: chained(affine(3, 2), nir.Delay(np.array([5e-4, 1e-4, 2e-4])), lif(3), affine(2, 3)),
    "recurrent": lambda: nir.NIRGraph(
        nodes={
            "i": nir.Input(np.array([2])),
            "a": affine(3, 2),
            "l": lif(3),
            "r": affine(3, 3),
            "o": nir.Output(np.array([3])),
        },
        edges=[("i", "a"), ("a", "l"), ("l", "r"), ("r", "l"), ("l", "o")],
    ),
    "two branches": lambda: nir.NIRGraph(
        nodes={"x": chained(affine(3, 2), lif(3)), "y": chained(affine(4, 2), lif(4))}, edges=[], type_check=False
    ),
    "merge": lambda: nir.NIRGraph(
        nodes={
            "x": chained(affine(3, 2), lif(3)),
            "y": chained(affine(3, 2, 2), lif(3)),
            "j": affine(2, 3),
            "o": nir.Output(np.array([2])),
        },
        edges=[("x", "j"), ("y", "j"), ("j", "o")],
        type_check=False,
    ),
    "residual": lambda: nir.NIRGraph(
        nodes={
            "i": nir.Input(np.array([2])),
            "a": affine(3, 2),
            "l": lif(3),
            "c": affine(3, 3),
            "o": nir.Output(np.array([3])),
        },
        edges=[("i", "a"), ("a", "l"), ("l", "c"), ("a", "c"), ("c", "o")],
    ),
    "several inputs": lambda: nir.NIRGraph(
        nodes={
            "i": nir.Input(np.array([2])),
            "k": nir.Input(np.array([4])),
            "a": affine(3, 2),
            "b": affine(3, 4),
            "l": lif(3),
            "o": nir.Output(np.array([3])),
            "p": nir.Output(np.array([3])),
        },
        edges=[("i", "a"), ("k", "b"), ("a", "l"), ("b", "l"), ("l", "o"), ("a", "p")],
    ),
}


@pytest.mark.parametrize("name", TOPOLOGIES)
def test_topologies_are_imported_and_run(name: str, tmp_path: Path) -> None:
    made = TOPOLOGIES[name]()
    graph = from_nir(made, dt=1e-4, reset="subtract")
    found = run(graph)
    assert all(np.isfinite(array).all() for array in found)
    nir.write(tmp_path / "again.nir", made)
    again = run(from_nir(tmp_path / "again.nir", dt=1e-4, reset="subtract"))
    assert all(np.array_equal(a, b) for a, b in zip(found, again, strict=True))


def test_a_residual_way_adds_up_before_the_bias_acts_once() -> None:
    weight, bias = np.eye(2), np.array([1.0, 2.0])
    nodes = {
        "i": nir.Input(np.array([2])),
        "s": nir.Scale(np.array([2.0, 2.0])),
        "a": nir.Affine(weight=weight, bias=bias),
        "o": nir.Output(np.array([2])),
    }
    graph = from_nir(nir.NIRGraph(nodes=nodes, edges=[("i", "s"), ("s", "a"), ("i", "a"), ("a", "o")]))
    assert graph.dt == 1
    out, _, _ = FloatDevice(graph)(np.array([[1.0, 1.0]]))
    assert out.readout.tolist() == [[4.0, 5.0]]


def test_each_neuron_is_its_equation() -> None:
    """One step of the input 1, another without: forward Euler by hand, dt = 1 ms."""
    ones = np.ones(1)
    tau, tau_syn, r, w_in = 4e-3 * ones, 2e-3 * ones, 3 * ones, 5 * ones
    still = {"v_leak": 0 * ones}
    membranes = {
        "I": (nir.I(r=r), [0.003, 0.003]),
        "LI": (nir.LI(tau=tau, r=r, **still), [0.75, 0.5625]),
        "IF": (nir.IF(r=r, v_threshold=ones), [0.003, 0.003]),
        "LIF": (nir.LIF(tau=tau, r=r, v_threshold=ones, **still), [0.75, 0.5625]),
        "CubaLI": (nir.CubaLI(tau_mem=tau, tau_syn=tau_syn, r=r, w_in=w_in, **still), [1.875, 2.34375]),
        "CubaLIF": (
            nir.CubaLIF(tau_mem=tau, tau_syn=tau_syn, r=r, w_in=w_in, v_threshold=9 * ones, **still),
            [1.875, 2.34375],
        ),
        "Threshold": (nir.Threshold(threshold=0.5 * ones), [1.0, 0.0]),
    }
    for name, (node, wanted) in membranes.items():
        graph = from_nir(chained(nir.Linear(weight=np.ones((1, 1))), node), dt=1e-3, reset="zero")
        _, _, record = FloatDevice(graph)(np.array([[1.0], [0.0]]), record=("membranes", "spikes"))
        assert np.allclose(record.membranes[0][:, 0], wanted), name
        assert len(record.spikes) == (name in ("IF", "LIF", "CubaLIF", "Threshold")), name
    assert record.spikes[0][:, 0].tolist() == [1, 0]


def test_sloppy_files_are_read() -> None:
    """Leading dimensions of 1, one value for all neurons, a bias that is False."""
    one = {"tau": 1e-3, "r": 1.0, "v_leak": 0.0, "v_threshold": 1.0}
    made = nir.NIRGraph(
        nodes={
            "i": nir.Input(np.array([1, 2])),
            "a": nir.Affine(weight=np.ones((3, 2)), bias=np.array(False)),
            "l": nir.LIF(**{key: np.array(value) for key, value in one.items()}),
            "o": nir.Output(np.array([1, 3])),
        },
        edges=[("i", "a"), ("a", "l"), ("l", "o")],
        type_check=False,
    )
    graph = from_nir(made, dt=1e-4, reset="zero")
    node = next(node for node in graph.nodes if node.name == "l")
    assert node.shape == (3,)
    assert np.allclose(node.neuron.decay, 0.9)
    assert "bias" not in next(node for node in graph.nodes if node.name == "a").parameters
    assert run(graph)[0].shape == (2, 3)


def broken(**words: Any) -> Any:
    """A chain with one thing wrong."""
    neuron = lif(3)
    for key, value in words.items():
        setattr(neuron, key, value)
    return chained(affine(3, 2), neuron)


@pytest.mark.parametrize(
    ("made", "words", "error", "message"),
    [
        (lambda: broken(tau=np.array([1e-3, -1e-3, 1e-3])), {}, ConfigurationError, "node 'lif': tau .* not positive"),
        (lambda: broken(tau=np.full(3, np.nan)), {}, ConfigurationError, "node 'lif': tau .* not finite"),
        (lambda: broken(r=np.full(3, np.inf)), {}, ConfigurationError, "node 'lif': r .* not finite"),
        (lambda: broken(r=np.full(4, 1.0)), {}, ConfigurationError, r"node 'lif': r has shape \(4,\)"),
        (lambda: broken(r=np.array(["x"])), {}, ConfigurationError, "node 'lif': r is no array of numbers"),
        (lambda: broken(v_threshold=np.zeros(3)), {}, DoesNotFitError, "v_threshold has values that are not positive"),
        (lambda: broken(v_reset=np.full(3, 0.5)), {"reset": "subtract"}, DoesNotFitError, "v_reset is not 0"),
        (broken, {"dt": 1.0}, ConfigurationError, "less than dt = 1 s"),
        (broken, {"dt": -1.0}, ConfigurationError, "dt is -1"),
        (broken, {"reset": "soft"}, ConfigurationError, "reset 'soft' is not known"),
        (lambda: chained(affine(3, 4), lif(3), affine(2, 4)), {}, ConfigurationError, "takes 4 values"),
        (lambda: chained(nir.Conv1d(None, np.ones((1, 1, 1)), 1, 0, 1, 1, np.zeros(1))),
         {}, DoesNotFitError, "unknown type Conv1d"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_by_the_node_s_name(made: Any, words: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        from_nir(made(), **{"dt": 1e-4, "reset": "zero", **words})


@pytest.mark.parametrize(
    ("nodes", "edges", "message"),
    [
        ({}, [("i", "nobody")], "there is no node 'nobody'"),
        ({}, [("i", "o"), ("i", "o")], "there twice"),
        ({"a": affine(2, 2)}, [("i", "o")], "node 'a': nothing leads to it"),
        ({"a": affine(2, 2)}, [("i", "a"), ("i", "o")], "node 'a': nothing comes of it"),
    ],
)
def test_edges_that_hang_in_the_air_are_refused(nodes: Any, edges: Any, message: str) -> None:
    everything = {"i": nir.Input(np.array([2])), **nodes, "o": nir.Output(np.array([2]))}
    with pytest.raises(ConfigurationError, match=message):
        from_nir(nir.NIRGraph(nodes=everything, edges=edges, type_check=False))


def test_files_that_are_none_are_refused_in_one_line(tmp_path: Path) -> None:
    whole = (EXAMPLES / "lif.nir").read_bytes()
    for name, content in {"empty": b"", "text": b"hello", "cut": whole[: len(whole) // 2]}.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ConfigurationError, match="not a NIR graph") as caught:
            from_nir(tmp_path / name, dt=1e-4, reset="zero")
        assert "\n" not in caught.value.message
    with pytest.raises(ConfigurationError, match="no such file"):
        from_nir(tmp_path / "nowhere.nir")


def test_dt_is_told_only_where_the_file_tells_it() -> None:
    told = nir.LIF(tau=np.full(2, 1e-3), r=np.full(2, 10.0), v_leak=np.zeros(2), v_threshold=np.ones(2))
    assert from_nir(chained(affine(2, 2), told), reset="zero").dt == 1e-4
    with pytest.raises(ConfigurationError, match="dt is missing"):
        from_nir(chained(affine(2, 2), lif(2)), reset="zero")  # r = 1 is a gain, not tau / dt
    with pytest.raises(ConfigurationError, match="dt is missing"):
        from_nir(chained(affine(2, 2), told, affine(2, 2), lif(2, 7e-3)), reset="zero")
