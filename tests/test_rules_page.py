# SPDX-License-Identifier: Apache-2.0
"""docs/rules.md: its table is that of the package, and what it shows runs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from trifactor.arch.rule_page import table

PAGE = (Path(__file__).parents[1] / "docs" / "rules.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def test_the_table_is_the_package_s() -> None:
    assert table() in PAGE, "run `python -m trifactor.arch.rule_page` and put its output into docs/rules.md"


@pytest.mark.slow
def test_a_rule_of_one_s_own_learns_and_is_proven_as_the_page_says() -> None:
    assert len(BLOCKS) == 2
    names: dict[str, Any] = {}
    for block in BLOCKS:
        exec(compile(block, "docs/rules.md", "exec"), names)
    assert names["result"].counters["update_rows"] > 100
