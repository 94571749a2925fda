# SPDX-License-Identifier: Apache-2.0
"""Networks of the Neuromorphic Intermediate Representation: nodes, loops and nesting; dt and reset, which it lacks."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast, get_args

import numpy as np

from ..arch.errors import ConfigurationError, DoesNotFitError, brief, did_you_mean
from ..arch.graph import Graph, Node, Reset
from ..arch.graph_order import Edge, ordered
from .nir_file import DEPTH_MAX, read_file
from .nir_nodes import NEURONS, NODES, built_node, check_late, type_of, values_of

if TYPE_CHECKING:
    import nir

NODES_MAX = 1 << 10
EDGES_MAX = 1 << 12


def from_nir(source: str | Path | nir.NIRGraph, *, dt: float | None = None, reset: Reset | None = None) -> Graph:
    """The network of a NIR file or graph, its time constants made decays of steps of `dt` seconds by forward Euler::

        LIF      decay 1 - dt / tau, gain r dt / tau             IF    decay 1, gain r dt
        CubaLIF  also current_decay 1 - dt / tau_syn, current_gain w_in dt / tau_syn
        LI, I, CubaLI  as these, without threshold               Threshold  decay 0

    NIR says neither dt nor what a spike does to the membrane; where neither is given, what `to_nir` says of them in the
    nodes' metadata is taken. `dt` may be left out where the file tells: where every
    gain is 1 for one round dt, as snnTorch writes it, or where no node has a time constant (then a step is the unit of
    time, and `r` the gain of a step). `reset` may be left out where nothing spikes. What was found is in the graph's
    `notes`.

    Nested graphs are opened, their nodes named `outer.inner`. A loop is cut as `arch/graph_order.py` says: own spikes
    arrive a step later. Lenient where files are sloppy: leading dimensions of 1, scalars for all neurons, shapes of
    inputs and outputs that differ by such, `bias = False`.

    Raises `ConfigurationError` (exit 2) for what is no NIR file, for a parameter that is not finite or has a wrong
    shape, and where `dt` or `reset` is missing or wrong; `DoesNotFitError` (exit 3) for a node that is unknown or means
    what nothing here does; `ToolError` (exit 4) without the package `nir`.
    """
    graph = read_file(source) if isinstance(source, str | Path) else source
    if type_of(graph) != "NIRGraph":
        raise ConfigurationError(f"a {type_of(graph)}, not a NIR graph", "a file, *.nir, or a nir.NIRGraph")
    nodes: dict[str, Any] = {}
    edges: list[Edge] = []
    _open("", graph, nodes, edges)
    origin = str(source) if isinstance(source, str | Path) else "NIR graph"
    notes: list[str] = []
    told = _told_resets(nodes, notes) if reset is None else {}
    reset = "none" if told else _checked_reset(reset, nodes, notes)
    dt = _checked_dt(dt, nodes, notes)
    fed = {target for _, target in edges}
    feeding = {source for source, _ in edges}
    inputs = [name for name, node in nodes.items() if type_of(node) == "Input" and name not in fed]
    outputs = [name for name, node in nodes.items() if type_of(node) == "Output" and name not in feeding]
    for what, found in (("input", inputs), ("output", outputs)):
        if not found:
            raise ConfigurationError(f"{origin}: the graph has no {what}", f"add a nir.{what.title()} node")
    populations = [name for name, node in nodes.items() if type_of(node) in NEURONS]
    built: dict[str, Node] = {}
    for name, sources in ordered(list(nodes), edges, populations, inputs).items():
        if not sources and name not in inputs:
            raise ConfigurationError(f"node {name!r}: nothing leads to it", "connect it, or leave it out")
        if name not in feeding and name not in outputs:
            raise ConfigurationError(f"node {name!r}: nothing comes of it", "connect it, or leave it out")
        built[name] = built_node(
            name, nodes[name], sources, built, dt=dt, reset=told.get(name, reset), last=name in outputs
        )
    for node in built.values():
        for start in (one.name for one in node.sources if one.late):
            notes.append(f"{start} -> {node.name}: a loop, cut here: the value of the step before")
            check_late(node, built[start])
    return Graph(nodes=tuple(built.values()), origin=origin, dt=dt, notes=tuple(notes))


def _open(prefix: str, graph: Any, nodes: dict[str, Any], edges: list[Edge], depth: int = 0) -> None:
    """Nodes and edges of a graph and of all graphs in it; an edge to a nested graph leads to its only input."""
    inner: dict[str, tuple[list[str], list[str]]] = {}
    names = {}
    if depth > DEPTH_MAX:
        raise DoesNotFitError(f"node {prefix[:40]!r}: more than {DEPTH_MAX} graphs in each other", "open them")
    for key, node in graph.nodes.items():
        name = f"{prefix}{key}"
        if type_of(node) not in NODES:
            raise DoesNotFitError(f"node {name!r}: unknown type {type_of(node)}", f"known: {', '.join(NODES)}")
        names[str(key)] = name
        if type_of(node) == "NIRGraph":
            _open(f"{name}.", node, nodes, edges, depth + 1)
            ends = ([], [])  # type: tuple[list[str], list[str]]
            for end, kind in zip(ends, ("Input", "Output"), strict=True):
                end.extend(f"{name}.{own}" for own, one in node.nodes.items() if type_of(one) == kind)
            inner[name] = ends
        elif name in nodes:
            raise ConfigurationError(f"node {name!r}: there twice, nested and not", "rename one of them")
        else:
            nodes[name] = node
        if len(nodes) > NODES_MAX:
            raise DoesNotFitError(f"more than {NODES_MAX} nodes", "no array holds such a network")
    for pair in graph.edges:
        edges.append(_edge(pair, names, inner))
        if len(edges) > EDGES_MAX:
            raise DoesNotFitError(f"more than {EDGES_MAX} edges", "no array holds such a network")
    if len(set(edges)) < len(edges):
        double = next(edge for edge in edges if edges.count(edge) > 1)
        raise ConfigurationError(f"edge {double[0]!r} -> {double[1]!r}: there twice", "leave one of them out")


def _edge(pair: Any, names: Mapping[str, str], inner: Mapping[str, tuple[list[str], list[str]]]) -> Edge:
    """An edge from node to node; `inner` has the inputs and outputs of nested graphs."""
    if not isinstance(pair, tuple | list) or len(pair) != 2:
        raise ConfigurationError(f"edge {brief(repr(pair))}: not from one node to another", "write the graph anew")
    found_ends = []
    for side, key in enumerate(pair):
        if str(key) not in names:
            raise ConfigurationError(
                f"edge {pair[0]!r} -> {pair[1]!r}: there is no node {key!r}", did_you_mean(str(key), names)
            )
        name = names[str(key)]
        found = inner[name][1 - side] if name in inner else [name]
        if len(found) != 1:
            what = ("outputs", "inputs")[side]
            raise DoesNotFitError(
                f"node {name!r}: a nested graph with {len(found)} {what} does not say which an edge means",
                "put its nodes into the outer graph",
            )
        found_ends.append(found[0])
    return found_ends[0], found_ends[1]


def _told_resets(nodes: Mapping[str, Any], notes: list[str]) -> dict[str, Reset]:
    """The reset of each population by its metadata, if all that spike have one."""
    spiking = [name for name, node in nodes.items() if type_of(node) in ("IF", "LIF", "CubaLIF", "Threshold")]
    told = {name: _metadata(nodes[name]).get("trifactor_reset") for name in spiking}
    if not told or None in told.values():
        return {}
    for name, reset in told.items():
        if reset not in get_args(Reset):
            raise ConfigurationError(f"node {name!r}: reset {reset!r} is not known", "its metadata are damaged")
    notes.append(f"reset = {', '.join(sorted(set(map(str, told.values()))))}: as the nodes' metadata say")
    return cast("dict[str, Reset]", told)


def _metadata(node: Any) -> Mapping[str, Any]:
    found = getattr(node, "metadata", None)
    return found if isinstance(found, Mapping) else {}


def _checked_reset(reset: Reset | None, nodes: Mapping[str, Any], notes: list[str]) -> Reset:
    """The reset given, or none where nothing spikes."""
    known = get_args(Reset)
    if reset is not None and reset not in known:
        raise ConfigurationError(f"reset {reset!r} is not known", did_you_mean(reset, known))
    spiking = [name for name, node in nodes.items() if type_of(node) in ("IF", "LIF", "CubaLIF")]
    if not spiking:
        return "none"
    away = [
        name for name in spiking if hasattr(nodes[name], "v_reset") and np.any(values_of(name, nodes[name], "v_reset"))
    ]
    if away and reset not in (None, "zero"):
        raise DoesNotFitError(
            f"node {away[0]!r}: v_reset is not 0, and reset is {reset!r}", "reset = 'zero' goes there"
        )
    if away and reset is None:
        notes.append(f"reset = zero: node {away[0]!r} has a v_reset, which a spike sets the membrane to")
        return "zero"
    if reset is None:
        raise ConfigurationError(
            "reset is missing: a NIR file does not say what a spike does to the membrane",
            f"say what it was trained with: reset = {' | '.join(known)}",
        )
    notes.append(f"reset = {reset}: as told")
    return reset


def _checked_dt(dt: float | None, nodes: Mapping[str, Any], notes: list[str]) -> float:
    """The step given, or the one that the file tells, in seconds."""
    constants = {
        (name, key): values_of(name, node, key)
        for name, node in nodes.items()
        for key in ("tau", "tau_mem", "tau_syn")
        if hasattr(node, key)
    }
    for (name, key), values in constants.items():
        if values.min(initial=1) <= 0:
            raise ConfigurationError(
                f"node {name!r}: {key} has values that are not positive ({values.min():g})", "a time constant is > 0"
            )
    if dt is not None:
        if not (math.isfinite(dt) and dt > 0):
            raise ConfigurationError(f"dt is {dt:g}", "a time step in seconds, > 0")
        for (name, key), values in constants.items():
            if values.min(initial=dt) < dt:
                raise ConfigurationError(
                    f"node {name!r}: {key} is {values.min():g} s, less than dt = {dt:g} s", "is dt in seconds?"
                )
        notes.append(f"dt = {dt:g} s: as told")
        return dt
    told = {float(_metadata(node)["trifactor_dt"]) for node in nodes.values() if "trifactor_dt" in _metadata(node)}
    if len(told) == 1:
        return _checked_dt(told.pop(), nodes, notes)
    if not constants and not any(type_of(node) == "Delay" for node in nodes.values()):
        notes.append("dt = 1: no node has a time constant, a step is the unit of time")
        return 1.0
    found = []
    for (name, key), values in constants.items():
        gain = values_of(name, nodes[name], "w_in" if key == "tau_syn" else "r")
        with np.errstate(divide="ignore", invalid="ignore"):
            found.append(np.ravel(values / gain))
    steps = np.concatenate(found) if found else np.array([np.nan])
    with np.errstate(over="ignore", invalid="ignore"):
        guess = float(np.median(steps))
    rounded = float(f"{guess:.1e}") if math.isfinite(guess) and guess > 0 else math.nan
    # Where dt = tau nothing is kept from step to step: then r = 1 is a gain and not tau / dt.
    keeps = all(values.min(initial=math.inf) > rounded * 1.000001 for values in constants.values())
    if keeps and np.allclose(steps, rounded, rtol=1e-5, atol=0):
        notes.append(f"dt = {rounded:g} s: with it every gain r dt / tau is 1, as snnTorch writes it")
        return rounded
    raise ConfigurationError(
        "dt is missing: the file does not tell how long a step is", "say what it was trained with, as dt = 1e-4"
    )
