# SPDX-License-Identifier: Apache-2.0
"""Every row of the rule table is there, unchanged, and a few that only floating point can do."""

from __future__ import annotations

import pytest

from trifactor.arch.errors import ConfigurationError
from trifactor.arch.rules import RULES, Rule
from trifactor.golden.floating.rules import FLOAT_RULES, FloatRule, float_rule


@pytest.mark.parametrize("name", RULES)
def test_rows_of_the_table_are_taken_as_they_are(name: str) -> None:
    row, ours = RULES[name], float_rule(name)
    assert {field: getattr(ours, field) for field in vars(row)} == vars(row)
    assert (ours.second_trace_decay, ours.psi_decay, ours.backward) == (0.0, 0.0, "step")
    assert float_rule(row) == ours
    assert float_rule(ours) is ours


def test_floating_point_adds_a_few() -> None:
    assert set(FLOAT_RULES) - set(RULES) == {"bptt", "bptt-attached", "stbp", "yang", "otpe"}
    assert all(rule.name == name and rule.source for name, rule in FLOAT_RULES.items())


def test_a_new_row_needs_no_name_here() -> None:
    rule = float_rule(Rule(name="mine", source="a test", decay=0.25))
    assert isinstance(rule, FloatRule)
    assert rule.decay == 0.25


def test_an_unknown_rule_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="no rule is called 'bppt'") as caught:
        float_rule("bppt")
    assert caught.value.hint == "did you mean 'bptt'?"
