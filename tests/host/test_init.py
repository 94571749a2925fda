# SPDX-License-Identifier: Apache-2.0
"""`trifactor init`: every command of every README that it writes works in the folder that it makes."""

from __future__ import annotations

import json
import shlex
import tomllib
from pathlib import Path

import pytest

from trifactor.host.cli import call
from trifactor.host.init import EXAMPLES


def commands(folder: Path) -> list[list[str]]:
    """What its README says to type."""
    lines = (folder / "README.md").read_text().splitlines()
    return [shlex.split(line)[1:] for line in lines if line.startswith("trifactor ")]


def pasted(folder: Path, example: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["init", str(folder), "--example", example]) == 0
    assert str(folder) in capsys.readouterr().out
    monkeypatch.chdir(folder)
    monkeypatch.delenv("TRIFACTOR_DATA", raising=False)
    typed = commands(folder)
    assert len(typed) == 5
    for words in typed:
        assert call(words) == 0, (words, capsys.readouterr().err)
    assert (folder / "model.tri").stat().st_size > 1_000
    assert len(list(folder.glob("*.svg"))) == 1


@pytest.mark.parametrize("example", ["lif", "braille"])
def test_commands_of_imported_networks_work(
    example: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("nir", reason="needs nir: pip install trifactor[nir]")
    pasted(tmp_path / "project", example, monkeypatch, capsys)


@pytest.mark.slow
def test_commands_of_digits_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("cocotb", reason="needs cocotb: pip install trifactor[cosim]")
    pasted(tmp_path / "project", "digits", monkeypatch, capsys)


@pytest.mark.parametrize("example", EXAMPLES)
def test_a_folder_has_what_it_says(example: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["init", str(tmp_path), "--example", example, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert sorted(found["files"]) == sorted(path.name for path in tmp_path.iterdir())
    assert [shlex.split(line)[1:] for line in found["commands"]] == commands(tmp_path)
    assert "array" in tomllib.loads((tmp_path / "trifactor.toml").read_text())
    assert ("LICENSE-NIR" in found["files"]) == (example != "digits")


def test_what_is_there_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    before = sorted(tmp_path.iterdir())
    assert call(["init", str(tmp_path), "--example", "lif"]) == 2
    assert "not empty" in capsys.readouterr().err
    assert sorted(tmp_path.iterdir()) == before
    assert call(["init", str(tmp_path), "--example", "lif", "--force"]) == 0
    assert (tmp_path / "mine.txt").read_text() == "mine"
    (tmp_path / "trifactor.toml").write_text("broken")
    assert call(["init", str(tmp_path), "--example", "lif", "--force"]) == 0
    assert "broken" not in (tmp_path / "trifactor.toml").read_text()
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    capsys.readouterr()
    assert call(["init", "--example", "lif"]) == 0
    assert "cd " not in capsys.readouterr().out
    assert (here / "lif.nir").is_file()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["x", "--example", "brail"], "did you mean 'braille'?"),
        (["file/below"], "file/below: "),
        (["file"], "file: not a folder"),
    ],
)
def test_errors_are_one_line(
    words: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file").write_text("")
    assert call(["init", *words]) == 2
    assert message in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
