# SPDX-License-Identifier: Apache-2.0
"""All rules by name: the rows of `arch.rules.RULES`, and those that only floating point can do."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

from ...arch.errors import ConfigurationError, did_you_mean
from ...arch.rules import RULES, Rule

Backward = Literal["step", "detached", "attached"]


@dataclass(frozen=True, kw_only=True)
class FloatRule(Rule):
    """A row of the rule table, and three coefficients more; their defaults change nothing.

    `second_trace_decay` a makes `z = a z + p` take the place of p in hidden layers. `psi_decay` r makes the normalised
    running mean `psi' = (1 - 1/c) psi' + psi / c`, `c = r c + 1`, take the place of psi in G. `backward` says how far
    gradients go: within the `step`, which is the law; or by autograd through all steps of the sample, the reset's spike
    being a constant (`detached`) or not (`attached`). Of a rule through time only the neuron, the surrogate, the error,
    the gate and `readout_learns` matter.
    """

    second_trace_decay: float = 0.0
    psi_decay: float = 0.0
    backward: Backward = "step"


_BPTT = FloatRule(
    name="bptt",
    source="back-propagation through time with surrogate derivatives: ottt's neurons, the reset's spike a constant",
    apply="sample",
    backward="detached",
)
_OTPE_DECAY = 1.0 / (1.0 + math.exp(-3.0))

FLOAT_RULES: dict[str, FloatRule] = {
    **{name: FloatRule(**vars(rule)) for name, rule in RULES.items()},
    **{
        rule.name: rule
        for rule in (
            _BPTT,
            replace(
                _BPTT,
                name="bptt-attached",
                source="as bptt, with the derivative of the reset: du[t+1]/du[t] = lambda (1 - psi)",
                backward="attached",
            ),
            replace(
                _BPTT,
                name="stbp",
                source="as bptt, reset to zero: du[t+1]/du[t] = lambda (1 - s)",
                reset="hard",
            ),
            replace(
                _BPTT,
                name="yang",
                source="Yang, arXiv 2011.09964: as stbp, with the reset's derivative: lambda ((1 - s) - u psi)",
                reset="hard",
                backward="attached",
            ),
            FloatRule(
                name="otpe",
                source="Summe, Schaefer & Joshi 2023, arXiv 2311.16151, approximate: the trace filtered once more, psi "
                "averaged, the error sent down through the average; the output layer as ottt",
                decay=_OTPE_DECAY,
                hidden_trace_decay=_OTPE_DECAY,
                second_trace_decay=_OTPE_DECAY,
                psi_decay=_OTPE_DECAY,
                surrogate="fast-sigmoid-25",
                apply="sample",
            ),
        )
    },
}


def float_rule(rule: str | Rule) -> FloatRule:
    """The row called so, or the given one as a `FloatRule`; a `ConfigurationError` names the nearest of unknown ones.

    `dataclasses.replace` of what is returned makes variants: of any rule with `backward="detached"`, its own neurons
    trained through time.
    """
    if isinstance(rule, FloatRule):
        return rule
    if isinstance(rule, Rule):
        return FloatRule(**vars(rule))
    if rule not in FLOAT_RULES:
        raise ConfigurationError(f"no rule is called {rule!r}", did_you_mean(rule, FLOAT_RULES))
    return FLOAT_RULES[rule]
