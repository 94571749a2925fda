# SPDX-License-Identifier: Apache-2.0
"""`trifactor show`: what is in a file, as a table and as a picture."""

from __future__ import annotations

import json
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

nir = pytest.importorskip("nir", reason="needs nir: pip install trifactor[nir]")

from trifactor.arch.errors import ConfigurationError  # noqa: E402
from trifactor.arch.graph import Source  # noqa: E402
from trifactor.host.cli import call  # noqa: E402
from trifactor.host.drawing import HEIGHT, WIDTH, Box, _placed, _places, _rows, drawn  # noqa: E402

EXAMPLES = Path(__file__).parents[2] / "host" / "examples"
BRAILLE = str(EXAMPLES / "braille.nir")


def said(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    assert call([*words, "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_a_nir_file_is_shown_without_being_told_what_it_lacks(capsys: pytest.CaptureFixture[str]) -> None:
    found = said(capsys, "show", BRAILLE)
    nodes = {node["name"]: node for node in found["nodes"]}
    assert list(nodes) == ["input", "fc1", "lif1.w_rec", "lif1.lif", "fc2", "lif2", "output"]
    assert nodes["fc1"]["parameters"] == 38 * 12 + 38
    assert nodes["lif1.lif"]["reset"] == "not in the file"
    assert nodes["lif1.w_rec"]["sources"] == [{"name": "lif1.lif", "late": True}]
    assert not any(note.startswith("reset") for note in found["notes"])
    assert said(capsys, "show", BRAILLE, "--reset", "zero")["nodes"][3]["reset"] == "zero"
    assert call(["show", BRAILLE]) == 0
    table = capsys.readouterr().out
    assert "0.9, 0.55" in table
    assert "lif1.lif a step later" in table


@pytest.mark.parametrize("suffix", ["svg", "png", "pdf"])
def test_the_picture_is_the_same_every_time(suffix: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pictures = [tmp_path / f"{n}.{suffix}" for n in "ab"]
    for picture in pictures:
        assert said(capsys, "show", BRAILLE, "-o", str(picture))["out"] == str(picture)
    first, second = (picture.read_bytes() for picture in pictures)
    assert first == second
    assert len(first) > 5_000
    assert sorted(tmp_path.iterdir()) == pictures


def test_a_model_file_is_shown_with_its_layers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, picture = str(tmp_path / "model"), tmp_path / "model.png"
    assert call(["quantize", BRAILLE, "--reset", "zero", "--out", model]) == 0
    capsys.readouterr()
    assert call(["show", model, "--out", str(picture)]) == 0
    table = capsys.readouterr().out
    for word in ("12 -> 38", "recurrent, bias", "3686/4096", "imported", "learned", "nothing", "8 bits"):
        assert word in table
    assert picture.read_bytes().startswith(b"\x89PNG")
    found = said(capsys, "show", model)
    assert [layer["outputs"] for layer in found["network"]["layers"]] == [38, 7, 7]
    assert found["rule"] == "imported"


BOXES = [
    Box(name="i", text="", look="end"),
    Box(name="k", text="", look="end"),
    Box(name="a", text="", sources=(Source("i"),)),
    Box(name="b", text="", sources=(Source("k"),)),
    Box(name="r", text="", sources=(Source("m", True),)),
    Box(name="l", text="", sources=(Source("a"), Source("b"), Source("r")), look="neuron"),
    Box(name="c", text="", sources=(Source("l"), Source("m", True))),
    Box(name="m", text="", sources=(Source("c"), Source("a"), Source("m", True)), look="neuron"),
    Box(name="o", text="", sources=(Source("m"), Source("i")), look="end"),
]


def test_boxes_lie_below_what_they_hear_of_and_arrows_pass_beside_them() -> None:
    rows = _rows(BOXES)
    assert rows == {"i": 0, "k": 0, "a": 1, "b": 1, "r": 1, "l": 2, "c": 3, "m": 4, "o": 5}
    paths, columns = _placed(BOXES, rows)
    assert [len(spots) for spots in paths.values()].count(1) == 1
    assert len(paths["i", "o", ""]) == 6
    places = _places(columns)
    for (_, y0), (_, y1) in combinations([places[box.name,] for box in BOXES], 2):
        assert y0 == y1 or abs(y0 - y1) > HEIGHT
    for column in columns:
        reach = [(places[s][0], WIDTH / 2 if len(s) == 1 else 0.0) for s in column]
        assert all(a + half <= b - other for (a, half), (b, other) in pairwise(reach))
    figure = drawn(BOXES, "all of it")
    assert len(figure.axes[0].patches) == len(BOXES) + len(paths)


def test_what_nobody_could_read_is_not_drawn() -> None:
    many = [Box(name=str(n), text="", sources=(Source(str(n - 1)),) * (n > 0)) for n in range(201)]
    with pytest.raises(ConfigurationError, match="201 boxes and their arrows are too many to draw"):
        drawn(many, "")
    far = [Box(name=str(n), text="", sources=tuple(Source(str(m)) for m in range(n))) for n in range(60)]
    with pytest.raises(ConfigurationError, match="60 boxes"):
        drawn(far, "")


def test_names_that_are_no_names_are_drawn(tmp_path: Path) -> None:
    odd = "$x_{" + "\n" * 3 + "w" * 300
    node = nir.LIF(tau=np.ones(1), r=np.ones(1), v_leak=np.zeros(1), v_threshold=np.ones(1))
    nodes = {"i": nir.Input(np.array([1])), odd: node, "o": nir.Output(np.array([1]))}
    nir.write(tmp_path / "odd.nir", nir.NIRGraph(nodes, [("i", odd), (odd, "o")]))
    assert call(["show", str(tmp_path / "odd.nir"), "--dt", "0.1", "-o", str(tmp_path / "odd.svg")]) == 0
    assert (tmp_path / "odd.svg").stat().st_size > 1_000


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere.nir"], "nowhere.nir: no such file"),
        ([BRAILLE, "-o", "picture.gif"], "picture.gif: not a picture"),
        ([BRAILLE, "-o", "no/where.svg"], "no/where.svg: no is not a folder"),
        ([str(EXAMPLES / "lif.nir")], "dt is missing"),
        ([str(EXAMPLES / "README.md")], "not a readable model"),
        ([str(EXAMPLES)], "Is a directory"),
        ([BRAILLE, "--reset", "soft"], "reset 'soft' is not known"),
    ],
)
def test_errors_are_one_line(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["show", *words]) == 2
    assert message in capsys.readouterr().err
