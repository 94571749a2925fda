# SPDX-License-Identifier: Apache-2.0
"""Word-by-word comparison of the golden model and the hardware, and where they first differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..arch.device import IntArray, Record

SIGNATURE_NAMES = ("weights", "neurons", "traces")
_PLURAL = {"membrane": "membranes", "spike": "spikes", "trace": "traces", "post_trace": "post_traces"}


@dataclass(frozen=True, kw_only=True)
class Mismatch:
    """The first word that differs.

    `field` is membrane, spike, trace, post_trace, weight, active weight, result, signature, a counter's name, or
    `answer` when the hardware gave none (`detail` says what). `sample` and `step` count from 0 in the run; None where
    the field has no such coordinate. `row` is set for weights, `configuration` is the number of the random
    configuration of `seed`.
    """

    field: str
    golden: int | None = None
    rtl: int | None = None
    sample: int | None = None
    step: int | None = None
    layer: int | None = None
    row: int | None = None
    neuron: int | None = None
    seed: int | None = None
    configuration: int | None = None
    detail: str = ""

    def __str__(self) -> str:
        names = ("sample", "step", "layer", "row", "neuron")
        place = " ".join(f"{name}={value}" for name in names if (value := getattr(self, name)) is not None)
        replay = f" (seed {self.seed}, configuration {self.configuration})" if self.configuration is not None else ""
        said = self.detail or f"golden={self.golden} rtl={self.rtl}"
        return f"{place} {self.field}: {said}{replay}".strip()


@dataclass
class Comparison:
    """Counts words compared and words that differ, keeps the first mismatch, and labels it."""

    seed: int | None = None
    configuration: int | None = None
    compared: int = 0
    mismatched: int = 0
    first: Mismatch | None = None
    fields: dict[str, int] = field(default_factory=dict)

    def values(
        self,
        name: str,
        golden: IntArray | int,
        rtl: IntArray | int,
        *,
        sample: int | None = None,
        step: int | None = None,
        layer: int | None = None,
    ) -> bool:
        """Compare arrays of one field: the last axis is the neuron, one before it the row. True if they are equal."""
        expected, seen = np.atleast_1d(np.asarray(golden)), np.atleast_1d(np.asarray(rtl))
        if expected.shape != seen.shape:
            raise ValueError(f"{name}: golden has shape {expected.shape}, the hardware {seen.shape}")
        self.compared += expected.size
        self.fields[name] = self.fields.get(name, 0) + expected.size
        wrong = np.argwhere(expected != seen)
        if not len(wrong):
            return True
        self.mismatched += len(wrong)
        if self.first is None:
            at = tuple(wrong[0])
            single = np.ndim(golden) == 0
            self.first = Mismatch(
                field=name,
                golden=int(expected[at]),
                rtl=int(seen[at]),
                sample=sample,
                step=step,
                layer=layer,
                row=int(at[-2]) if len(at) > 1 else None,
                neuron=None if single else int(at[-1]),
                seed=self.seed,
                configuration=self.configuration,
            )
        return False

    def trouble(self, detail: str, *, sample: int | None = None) -> None:
        """The hardware gave no answer where it should have: counts as one word that differs."""
        self.compared += 1
        self.mismatched += 1
        if self.first is None:
            self.first = Mismatch(
                field="answer", sample=sample, detail=detail, seed=self.seed, configuration=self.configuration
            )

    def counters(self, golden: Mapping[str, int], rtl: Mapping[str, int], *, sample: int | None = None) -> bool:
        """Compare every counter that the golden model has, if the array has any. True if all are equal."""
        return all([self.values(name, count, rtl[name], sample=sample) for name, count in golden.items() if rtl])

    def steps(
        self, golden: Record, rtl: Mapping[str, Any], *, sample: int, weights: Sequence[Sequence[IntArray]] = ()
    ) -> bool:
        """Compare what was recorded of one sample, in the order of events: the first mismatch comes first.

        `golden` has all that `rtl` has. `weights[t]` are those after step `t`; none to leave them out. True
        if all are equal.
        """
        before = self.mismatched
        recorded = {name: getattr(golden, plural) for name, plural in _PLURAL.items()}
        layered = {name: layers for name, layers in recorded.items() if _PLURAL[name] in rtl}
        signatures = golden.signatures if "signatures" in rtl else None
        steps = signatures.shape[1] if signatures is not None else len(next(iter(layered.values()))[0][0])
        for step in range(steps):
            for name, layers in layered.items():
                for layer, values in enumerate(layers):
                    seen = rtl[_PLURAL[name]][layer][0, step]
                    self.values(name, values[0, step], seen, sample=sample, step=step, layer=layer)
            for layer, values in enumerate(weights[step] if weights else ()):
                self.values("weight", values, rtl["weights"][layer][0, step], sample=sample, step=step, layer=layer)
            if signatures is not None:
                for index, name in enumerate(SIGNATURE_NAMES):
                    expected, seen = signatures[0, step, index], rtl["signatures"][0, step, index]
                    self.values(f"signature_{name}", int(expected), int(seen), sample=sample, step=step)
        return self.mismatched == before
