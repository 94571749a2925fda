# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("matplotlib")
pytest.importorskip("jinja2")

from trifactor.host.report import ReportData, Sample, write_report

VOID = {"meta", "br", "link", "use"}


def example(**changes: object) -> ReportData:
    random = np.random.default_rng(1)
    samples = [
        Sample(
            label=label,
            predicted=label,
            inputs=random.integers(0, 2, (6, 64)),
            hidden=random.integers(0, 2, (6, 32)),
            membranes=random.integers(-90, 128, (6, 32)),
        )
        for label in (3, 1, 4)
    ]
    layers = [random.integers(-9000, 9000, (64, 32)), random.integers(-9000, 9000, (32, 10))]
    data = ReportData(
        title="digits",
        command="trifactor demo --samples 20",
        network="64-32-10",
        facts={"weight updates per cycle": "3.1"},
        curve=[(0, 0.1), (500, 0.9), (1000, 0.956)],
        accuracies={"golden": 0.956, "float OTTT": 0.961, "float BPTT": 0.97},
        samples=samples,
        threshold=128,
        weight_bits=16,
        weights_before=layers,
        weights_after=[layer + 5 for layer in layers],
        phases={"forward": (900, 1000), "error": (0, 100), "gather": (0, 0), "update": (700, 800)},
        utilisation=0.84,
        compared=1_234_567,
        mismatched=0,
        rtl_samples=20,
        counters={"spikes": 4321},
        counter_docs={"spikes": "spikes of spiking layers"},
    )
    return replace(data, **changes)  # type: ignore[arg-type]


def page_of(tmp_path: Path, data: ReportData) -> str:
    path = tmp_path / "new" / "report.html"
    write_report(path, data)
    return path.read_text(encoding="utf-8")


class Balance(HTMLParser):
    """Checks that every element that opens also closes, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.ids += [value or "" for name, value in attrs if name == "id"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.ids += [value or "" for name, value in attrs if name == "id"]

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag


def test_the_page_says_what_was_measured(tmp_path: Path) -> None:
    page = page_of(tmp_path, example())
    for text in (
        "95.6 %",
        "96.1 %",
        "97.0 %",
        "1 234 567",
        "84.0 %",
        "4 321",
        "trifactor demo --samples 20",
        "threshold 128",
    ):
        assert text in page, text
    assert page.count("<svg") == 4


def test_the_page_stands_alone(tmp_path: Path) -> None:
    page = page_of(tmp_path, example())
    assert "<script" not in page
    assert not re.findall(r'(?:src|href)="(?!#)[^"]+"', page)
    assert "@import" not in page
    assert "prefers-color-scheme: dark" in page


def test_the_page_is_well_formed_and_ids_are_unique(tmp_path: Path) -> None:
    parser = Balance()
    page = page_of(tmp_path, example())
    parser.feed(page)
    assert parser.open == []
    assert len(parser.ids) > 100
    assert len(parser.ids) == len(set(parser.ids))
    used = set(re.findall(r'(?:url\(#|href="#)([^)"]+)', page))
    assert used
    assert used <= set(parser.ids)


def test_the_same_run_gives_the_same_page(tmp_path: Path) -> None:
    assert page_of(tmp_path, example()) == page_of(tmp_path, example())


def test_pictures_follow_the_theme(tmp_path: Path) -> None:
    page = page_of(tmp_path, example())
    body = page[page.index("<main>") :]
    assert "var(--blue)" in body
    assert not re.findall(r"(?:fill|stroke): #(?!fff)", body)


def test_text_is_escaped(tmp_path: Path) -> None:
    page = page_of(tmp_path, example(title="<b>&", command="trifactor demo --out '<x>'"))
    assert "<b>&" not in page
    assert "&lt;b&gt;&amp;" in page


def test_a_mismatch_is_shown(tmp_path: Path) -> None:
    page = page_of(tmp_path, example(mismatched=1, first_mismatch="t=41 n=7 v: rtl=-12 golden=-13"))
    assert "First mismatch" in page
    assert "rtl=-12 golden=-13" in page
    assert "bad" in page
