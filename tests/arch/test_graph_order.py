# SPDX-License-Identifier: Apache-2.0
"""The order of nodes, and where loops are cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trifactor.arch.errors import DoesNotFitError
from trifactor.arch.graph import Source
from trifactor.arch.graph_order import ordered


def test_a_chain_is_visited_from_its_input() -> None:
    found = ordered(["b", "a", "in"], [("a", "b"), ("in", "a")], {"b"}, ["in"])
    assert list(found) == ["in", "a", "b"]
    assert found["b"] == (Source("a"),)


def test_a_loop_is_cut_where_own_spikes_begin_their_way_back() -> None:
    edges = [("rec", "lif"), ("lif", "rec"), ("fc", "lif"), ("in", "fc"), ("lif", "out")]
    found = ordered(["in", "fc", "lif", "rec", "out"], edges, {"lif"}, ["in"])
    assert found["rec"] == (Source("lif", late=True),)
    assert set(found["lif"]) == {Source("rec"), Source("fc")}
    assert found["out"] == (Source("lif"),)
    assert list(found).index("rec") < list(found).index("lif")


def test_a_neuron_that_feeds_itself_and_its_early_sources_come_first() -> None:
    found = ordered(["in", "lif"], [("lif", "lif"), ("in", "lif")], {"lif"}, ["in"])
    assert found["lif"] == (Source("in"), Source("lif", late=True))


def test_of_two_populations_in_a_loop_the_nearer_one_hears_the_other_late() -> None:
    edges = [("in", "a"), ("a", "w"), ("w", "b"), ("b", "back"), ("back", "a"), ("b", "out")]
    found = ordered(["in", "a", "w", "b", "back", "out"], edges, {"a", "b"}, ["in"])
    assert found["back"] == (Source("b", late=True),)
    assert found["w"] == (Source("a"),)


def test_loops_that_cannot_be_cut_are_refused() -> None:
    with pytest.raises(DoesNotFitError, match="x, y: a loop without a neuron"):
        ordered(["in", "x", "y"], [("in", "x"), ("x", "y"), ("y", "x")], set(), ["in"])
    edges = [("in", "lif"), ("lif", "w"), ("w", "lif"), ("w", "out")]
    with pytest.raises(DoesNotFitError, match="'w' leads back to 'lif' and on to 'out'"):
        ordered(["in", "lif", "w", "out"], edges, {"lif"}, ["in"])


def test_a_population_between_loops_without_a_neuron_does_not_hide_them() -> None:
    """Each loop waits for itself; the population is on none of them, so nothing of them can be cut."""
    edges = [("in", "x"), ("x", "y"), ("y", "x"), ("y", "p"), ("p", "z"), ("z", "z"), ("z", "out")]
    with pytest.raises(DoesNotFitError, match="x, y: a loop without a neuron"):
        ordered(["in", "x", "y", "p", "z", "out"], edges, {"p"}, ["in"])


@given(st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)), max_size=24, unique=True))
def test_whatever_the_graph_early_sources_come_before(pairs: list[tuple[int, int]]) -> None:
    names = ["in", *(f"n{index}" for index in range(8))]
    edges = [("in", "n0"), *((f"n{a}", f"n{b}") for a, b in pairs)]
    found = ordered(names, edges, set(names[1:]), ["in"])
    order = list(found)
    assert sorted(order) == sorted(names)
    for name, sources in found.items():
        assert sorted(source.name for source in sources) == sorted(a for a, b in edges if b == name)
        assert all(source.late or order.index(source.name) < order.index(name) for source in sources)
