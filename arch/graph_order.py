# SPDX-License-Identifier: Apache-2.0
"""In which order a step visits the nodes of a graph, and where a loop is cut: what goes round comes a step later."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from .errors import DoesNotFitError
from .graph import Source

Edge = tuple[str, str]


def ordered(
    names: Sequence[str], edges: Collection[Edge], populations: Collection[str], inputs: Iterable[str]
) -> dict[str, tuple[Source, ...]]:
    """The sources of every node, the nodes in the order in which a step visits them.

    A loop is cut where a population's output begins its way back: at the population of the loop that is nearest to the
    inputs, so that linear nodes on the way back, biases included, act in the step in which it arrives. Early sources
    come before late ones, each in the order of `edges`.

    Raises `DoesNotFitError` for a loop without a population, and where a node on the way back is also on a way forward.
    """
    into: dict[str, list[str]] = {name: [] for name in names}
    for source, target in edges:
        into[target].append(source)
    near = _distances(edges, inputs)
    late: set[Edge] = set()
    order: list[str] = []
    waiting = dict.fromkeys(names)
    while waiting:
        ready = [name for name in waiting if all(s not in waiting or (s, name) in late for s in into[name])]
        if not ready:
            late |= _cut(_loops(waiting, into, late), into, populations, near, edges, late)
            continue
        for name in ready:
            order.append(name)
            del waiting[name]
    return {
        name: tuple(
            Source(source, is_late)
            for is_late in (False, True)
            for source in into[name]
            if ((source, name) in late) == is_late
        )
        for name in order
    }


def _distances(edges: Collection[Edge], inputs: Iterable[str]) -> dict[str, int]:
    """How many edges lie between the inputs and each node that they reach."""
    after: dict[str, list[str]] = {}
    for source, target in edges:
        after.setdefault(source, []).append(target)
    near = dict.fromkeys(inputs, 0)
    front = list(near)
    for name in front:
        for target in after.get(name, ()):
            if target not in near:
                near[target] = near[name] + 1
                front.append(target)
    return near


def _loops(waiting: Iterable[str], into: Mapping[str, Sequence[str]], late: Collection[Edge]) -> list[str]:
    """Of the nodes that wait, those on loops: nodes that only wait for a loop are left out."""
    left = dict.fromkeys(waiting)
    while True:
        feeding = {source for name in left for source in into[name] if (source, name) not in late}
        ends = [name for name in left if name not in feeding]
        if not ends:
            return list(left)
        for name in ends:
            del left[name]


def _cut(
    loop: Sequence[str],
    into: Mapping[str, Sequence[str]],
    populations: Collection[str],
    near: Mapping[str, int],
    edges: Collection[Edge],
    late: Collection[Edge],
) -> set[Edge]:
    """The edges, from populations on, by which the loop's nearest population is fed by its own loop."""
    found = [name for name in loop if name in populations]
    if not found:
        raise DoesNotFitError(f"nodes {', '.join(loop)}: a loop without a neuron", "let it pass through a population")
    first = min(found, key=lambda name: near.get(name, len(into)))
    cut: set[Edge] = set()
    back = [first]
    seen: set[str] = set()
    while back:
        target = back.pop()
        for source in into[target]:
            if source not in loop or (source, target) in late:
                continue
            if source in populations:
                cut.add((source, target))
            elif source not in seen:
                seen.add(source)
                back.append(source)
    if not cut:
        names = ", ".join(sorted(seen))
        raise DoesNotFitError(f"nodes {names}: a loop without a neuron", "let it pass through a population")
    for name in seen:
        forward = [target for source, target in edges if source == name and target not in (*seen, first)]
        if forward:
            raise DoesNotFitError(
                f"node {name!r} leads back to {first!r} and on to {forward[0]!r}",
                "give each way a node of its own: one of them is a step later than the other",
            )
    return cut
