# SPDX-License-Identifier: Apache-2.0
"""`trifactor quantize --html`: what the pages hold, and that nothing is written where anything is wrong."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

nir = pytest.importorskip("nir", reason="needs nir: pip install trifactor[nir]")
pytest.importorskip("matplotlib")

from trifactor.host.cli import call  # noqa: E402

EXAMPLES = Path(__file__).parents[2] / "host" / "examples"
BRAILLE, SAMPLE = str(EXAMPLES / "braille.nir"), str(EXAMPLES / "braille_sample.npz")


@pytest.fixture
def digits(tmp_path: Path) -> str:
    """64 inputs, a hidden layer, 10 classes: random weights."""
    rng = np.random.default_rng(1)
    nodes: dict[str, Any] = {"i": nir.Input(np.array([64])), "o": nir.Output(np.array([10]))}
    for name, outputs, inputs in (("hidden", 12, 64), ("class", 10, 12)):
        nodes[f"{name}_fc"] = nir.Linear(rng.normal(0, 0.3, (outputs, inputs)))
        nodes[name] = nir.IF(r=np.ones(outputs), v_threshold=np.ones(outputs))
    names = list(nodes)[2:]
    nir.write(tmp_path / "digits.nir", nir.NIRGraph(nodes, list(zip(["i", *names], [*names, "o"], strict=True))))
    return str(tmp_path / "digits.nir")


def pictures(page: str) -> list[str]:
    return re.findall(r"<svg.*?</svg>", page, flags=re.DOTALL)


def test_weights_and_membranes_of_every_layer_inside_their_formats(tmp_path: Path) -> None:
    html = tmp_path / "page.html"
    assert call(["quantize", BRAILLE, "--reset", "zero", "--calib", SAMPLE, "--html", str(html)]) == 0
    page = html.read_text()
    weights, membranes = pictures(page)
    for name in ("lif1.lif", "lif2", "output"):
        assert name in weights
        assert name in membranes
        assert f"<td>{name}</td>" in page
    assert "weight, 8 bits of -128 … 127" in weights
    assert "membrane after the reset, 16 bits" in membranes
    assert "32 767" in membranes
    assert "var(--orange)" in membranes
    assert "var(--orange)" not in weights
    assert "99.07 %" in page
    assert page.count("<section>") == page.count("</section>") == 3


def test_without_samples_there_are_weights_alone(tmp_path: Path) -> None:
    html = tmp_path / "page.html"
    assert call(["quantize", BRAILLE, "--reset", "zero", "--html", str(html)]) == 0
    assert len(pictures(html.read_text())) == 1
    assert "--calib" in html.read_text()


def test_a_sweep_over_tests_of_a_data_set(digits: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("sklearn")
    html = tmp_path / "sweep.html"
    words = ["quantize", digits, "--reset", "subtract", "--calib", "digits:40", "--steps", "6", "--sweep", "4..6"]
    assert call([*words, "--html", str(html), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["sweep"]
    assert list(found) == ["4", "5", "6"]
    for one in found.values():
        assert one["counters"]["samples"] == 40
        assert one["counters"]["steps"] == 240
        assert 0 < one["predictions_equal"] <= 1
        assert len(one["accuracy"]) == 2
        assert [layer["name"] for layer in one["layers"]] == ["hidden", "class", "o"]
        assert 0 < one["layers"][0]["membrane_error"] < 2
        assert one["layers"][2]["membrane_error"] is None
    assert found["4"]["layers"][0]["membrane_error"] > found["6"]["layers"][0]["membrane_error"]
    spikes, predictions = pictures(html.read_text())
    assert "hidden" in spikes
    assert "class" in spikes
    assert "right class, float" in predictions
    assert call(words) == 0
    said = capsys.readouterr().out
    assert "predictions" in said
    assert "float" in said


def test_labels_of_a_file_give_accuracy(digits: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    inputs = np.random.default_rng(2).integers(0, 2, (5, 4, 64))
    np.savez(tmp_path / "labelled.npz", input=inputs, label=np.arange(5))
    np.save(tmp_path / "plain.npy", inputs)
    words = ["quantize", digits, "--reset", "subtract", "--calib"]
    assert call([*words, str(tmp_path / "labelled.npz")]) == 0
    assert "in floating point" in capsys.readouterr().out
    assert call([*words, str(tmp_path / "plain.npy"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["accuracy"] is None


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["--calib", "nowhere.npz"], 2, "no such file"),
        (["--calib", "digit:10"], 2, "no such file"),
        (["--calib", "digits:0"], 2, "--calib 'digits:0'"),
        (["--calib", "digits:ten"], 2, "as digits:100"),
        (["--calib", SAMPLE], 2, "sample 0 has shape (256, 12)"),
        (["--sweep", "4..6"], 2, "--sweep compares spikes"),
        (["--sweep", "4..6", "--calib", "digits:5", "--out", "m.npz"], 2, "--sweep makes several networks"),
        (["--calib", "LABELS"], 2, "labels are int64 of shape (3,)"),
        (["--state-bits", "8", "--out", "no/where.npz"], 2, "no is not a folder"),
        (["--dataset", "digit", "--out", "MODEL"], 2, "did you mean 'digits'"),
    ],
)
def test_nothing_is_written_on_failure(
    words: list[str], code: int, message: str, digits: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("sklearn")
    np.savez(tmp_path / "wrong.npz", input=np.ones((5, 4, 64), int), label=np.arange(3))
    html = tmp_path / "page.html"
    files = {"LABELS": str(tmp_path / "wrong.npz"), "MODEL": str(tmp_path / "model.tri")}
    words = [files.get(word, word) for word in words]
    assert call(["quantize", digits, "--reset", "subtract", "--html", str(html), *words]) == code
    found = capsys.readouterr().err
    assert message in found
    assert "Traceback" not in found
    assert sorted(path.name for path in tmp_path.iterdir()) == ["digits.nir", "wrong.npz"]


def test_a_page_is_not_written_where_there_is_no_folder(digits: str, tmp_path: Path) -> None:
    assert call(["quantize", digits, "--reset", "subtract", "--html", str(tmp_path / "no" / "page.html")]) == 2
    assert not (tmp_path / "no").exists()
