# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

from trifactor.arch.register_page import page

ROOT = Path(__file__).parents[2]


def test_the_committed_page_is_the_generated_one() -> None:
    committed = (ROOT / "docs" / "registers.md").read_text(encoding="utf-8")
    assert committed == page(), "run: python -m trifactor.arch.register_page > docs/registers.md"
    assert committed.count("\n| ") > 60
