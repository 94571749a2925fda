# SPDX-License-Identifier: Apache-2.0
"""The rule table as Markdown, for docs/rules.md: `python -m trifactor.arch.rule_page`."""

from __future__ import annotations

import sys

from .array import ArrayConfig
from .placement import fitted
from .rules import RULES, Rule, network_for

_NETWORK = (32, 32, 16, 4)


def table() -> str:
    """All rows of the table, what differs between them, and the units that they take of an array."""
    lines = [
        "| rule | neuron | a_p: first, hidden, readout | post term | ψ | signal | error | steps, apply | units |",
        "|---|---|---|---|---|---|---|---|---|",
        *(_row(rule) for rule in RULES.values()),
        "",
        *(f"- `{rule.name}`: {rule.source}" for rule in RULES.values()),
    ]
    return "\n".join(lines) + "\n"


def _row(rule: Rule) -> str:
    first = rule.hidden_trace_decay if rule.first_trace_decay is None else rule.first_trace_decay
    decays = (first, rule.hidden_trace_decay, rule.readout_trace_decay)
    array = ArrayConfig()
    units = fitted(network_for(rule, _NETWORK, array), array).units
    cells = (
        f"`{rule.name}`",
        _neuron(rule),
        "E, per synapse" if rule.eligibility else ", ".join(f"{decay:g}" for decay in decays),
        f"{rule.post_gain:+g} q, a_q {rule.post_decay:g}, {rule.post_read}" if rule.post_gain else "",
        rule.surrogate if rule.peak == 1.0 else f"{rule.peak:g} {rule.surrogate}",
        rule.signal + (", square wave" if rule.fixed == "square-wave" else "") + (", scaled" if rule.scaled else ""),
        rule.error + ("" if rule.readout_learns else ", readout frozen"),
        f"{rule.gate} {rule.gate_steps or ''}".strip() + f", {rule.apply}",
        ", ".join(units),
    )
    return "| " + " | ".join(cells) + " |"


def _neuron(rule: Rule) -> str:
    parts = [f"λ {rule.decay:g}", rule.reset, ">" if rule.strict else "≥"]
    if rule.current_decay:
        parts.insert(0, f"β {rule.current_decay:.3f}")
    return ", ".join([*parts, "u ≥ 0"] if rule.clamp else parts)


if __name__ == "__main__":
    sys.stdout.write(table())
