# SPDX-License-Identifier: Apache-2.0
"""The shapes of graphs that NIR's own tests have: each is read, and placed on the array or refused with the reason."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

nir = pytest.importorskip("nir", reason="needs nir: pip install trifactor[nir]")

from trifactor.arch.errors import TrifactorError  # noqa: E402
from trifactor.golden.chain import chain  # noqa: E402
from trifactor.golden.floating.device import FloatDevice  # noqa: E402
from trifactor.golden.quantise import quantise  # noqa: E402
from trifactor.host.nir import from_nir  # noqa: E402


def affine(outputs: int, inputs: int) -> Any:
    rng = np.random.default_rng(10 * outputs + inputs)
    return nir.Affine(weight=rng.normal(size=(outputs, inputs)), bias=rng.normal(size=outputs))


def lif(size: int) -> Any:
    return nir.LIF(tau=np.full(size, 1e-3), r=np.ones(size), v_leak=np.zeros(size), v_threshold=np.full(size, 0.1))


def ends(inputs: int, outputs: int) -> dict[str, Any]:
    return {"i": nir.Input(np.array([inputs])), "o": nir.Output(np.array([outputs]))}


def row(*nodes: Any) -> Any:
    return nir.NIRGraph.from_list(*nodes, type_check=False)


def graph(nodes: dict[str, Any], *edges: str) -> Any:
    """Edges as `a-b`."""
    return nir.NIRGraph(nodes, [tuple(edge.split("-")) for edge in edges], type_check=False)


def block() -> Any:
    return row(affine(3, 3), lif(3))


def two_ended() -> Any:
    """A graph with two inputs and two outputs."""
    nodes = {"i1": nir.Input(np.array([3])), "i2": nir.Input(np.array([3])), "a": affine(3, 3), "l": lif(3)}
    nodes |= {"o1": nir.Output(np.array([3])), "o2": nir.Output(np.array([3]))}
    return graph(nodes, "i1-a", "a-l", "i2-l", "l-o1", "a-o2")


PLACED: dict[str, Callable[[], Any]] = {
    "sequential": lambda: row(affine(3, 2), lif(3), affine(2, 3), lif(2)),
    "one population": lambda: row(lif(3)),
    "recurrent": lambda: graph(
        ends(3, 3) | {"a": affine(3, 3), "l": lif(3), "r": affine(3, 3)}, "i-a", "a-l", "l-r", "r-l", "l-o"
    ),
    "to itself": lambda: graph(ends(3, 3) | {"l": lif(3)}, "i-l", "l-l", "l-o"),
    "nested": lambda: row(block(), affine(2, 3), lif(2)),
    "nested in nested": lambda: row(row(row(block(), block()), affine(2, 3)), lif(2)),
    "recurrent, nested": lambda: graph(
        ends(2, 3)
        | {"a": affine(3, 2), "s": graph(ends(3, 3) | {"l": lif(3), "r": affine(3, 3)}, "i-l", "l-r", "r-l", "l-o")},
        "i-a", "a-s", "s-o",
    ),
    "split and merge without neurons": lambda: graph(
        ends(3, 3) | {"a": affine(3, 3), "b": affine(3, 3), "l": lif(3)}, "i-a", "i-b", "a-l", "b-l", "i-l", "l-o"
    ),
}  # fmt: skip

READ: dict[str, tuple[Callable[[], Any], str]] = {
    "two branches": (lambda: graph({"x": block(), "y": block()}), "G01 the graph has several inputs"),
    "two branches merging": (
        lambda: graph(ends(3, 3) | {"x": block(), "y": block(), "l": lif(3)}, "i-x", "i-y", "x-l", "y-l", "l-o"),
        "G02 hears ",
    ),
    "split, each with an output": (
        lambda: graph(ends(3, 3) | {"x": block(), "p": nir.Output(np.array([3]))}, "i-x", "x-o", "i-p"),
        "G01 the graph has several outputs",
    ),
    "merge and split": (
        lambda: graph(
            ends(3, 2) | {"p": block(), "x": block(), "y": block(), "j": affine(2, 3)},
            "i-p", "p-x", "p-y", "x-j", "y-j", "j-o",
        ),
        "G02 hears ",
    ),
    "residual": (
        lambda: graph(
            ends(3, 3)
            | {"a": affine(3, 3), "b": lif(3), "c": affine(3, 3), "d": lif(3), "e": affine(3, 3), "f": lif(3)},
            "i-a", "a-b", "b-c", "c-d", "d-e", "a-e", "e-f", "f-o",
        ),
        "G02 hears ",
    ),
    "with a delay": (lambda: row(affine(3, 2), nir.Delay(np.full(3, 2e-4)), lif(3)), "G05 delay has no place"),
    "several inputs and outputs": (two_ended, "G01 the graph has several inputs"),
    "without neurons": (lambda: row(affine(3, 2)), "G02 no population is on the way"),
}  # fmt: skip

REFUSED: dict[str, tuple[Callable[[], Any], int, str]] = {
    "a graph of two inputs and outputs in another": (
        lambda: graph(ends(3, 3) | {"s": two_ended()}, "i-s", "s-o"),
        3,
        "node 's': a nested graph with 2 inputs",
    ),
    "a loop without a neuron": (
        lambda: graph(ends(3, 3) | {"a": affine(3, 3), "b": affine(3, 3)}, "i-a", "a-b", "b-a", "b-o"),
        3,
        "a loop without a neuron",
    ),
    "a loop of inputs": (
        lambda: graph({"i": nir.Input(np.array([3])), "k": nir.Input(np.array([3])), "o": nir.Output(np.array([3]))},
                      "i-k", "k-i", "k-o"),
        2,
        "the graph has no input",
    ),
    "an output that leads on": (
        lambda: graph(ends(3, 3) | {"l": lif(3), "a": affine(3, 3)}, "i-l", "l-o", "o-a"),
        2,
        "the graph has no output",
    ),
    "a node that nothing leads to": (
        lambda: graph(ends(3, 3) | {"l": lif(3), "a": affine(3, 3)}, "i-l", "a-l", "l-o"),
        2,
        "node 'a': nothing leads to it",
    ),
    "sizes that differ": (
        lambda: graph(ends(3, 3) | {"a": affine(2, 3), "l": lif(3)}, "i-a", "a-l", "l-o"),
        2,
        "node 'l': tau has shape",
    ),
    "nothing": (lambda: graph({}), 2, "the graph has no input"),
    "ends alone": (lambda: graph(ends(3, 3)), 2, "node 'i': nothing comes of it"),
}  # fmt: skip


def imported(made: Any, tmp_path: Path) -> Any:
    """What it becomes, the same from a file."""
    found = from_nir(made, dt=1e-4, reset="zero")
    nir.write(tmp_path / "again.nir", made)
    again = from_nir(tmp_path / "again.nir", dt=1e-4, reset="zero")
    # A file has its nodes by name, so that those which wait for nothing of each other may change places.
    assert {node.name: set(node.sources) for node in found.nodes} == {n.name: set(n.sources) for n in again.nodes}
    samples = {n.name: np.ones((4, int(np.prod(n.shape)))) for n in found.of_kind("input")}
    outputs = FloatDevice(found)(samples)[0].readout
    assert np.isfinite(outputs).all()
    return found


@pytest.mark.parametrize("name", PLACED)
def test_placed(name: str, tmp_path: Path) -> None:
    made = quantise(imported(PLACED[name](), tmp_path))
    assert len(made.layers) >= 2
    assert not any(one.fidelity == "unsupported" for one in made.findings)


@pytest.mark.parametrize("name", READ)
def test_read_and_not_placed(name: str, tmp_path: Path) -> None:
    make, reason = READ[name]
    stages, findings = chain(imported(make(), tmp_path))
    assert not stages
    said = [f"{one.rule} {one.reason}" for one in findings if one.fidelity == "unsupported"]
    assert any(one.startswith(reason) for one in said), said


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str) -> None:
    make, code, message = REFUSED[name]
    with pytest.raises(TrifactorError) as caught:
        from_nir(make(), dt=1e-4, reset="zero")
    assert message in caught.value.message
    assert caught.value.exit_code == code
    assert caught.value.hint
