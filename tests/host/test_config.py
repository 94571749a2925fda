# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest

from trifactor.arch.array import ArrayConfig
from trifactor.arch.errors import ConfigurationError
from trifactor.host.config import Config, check_choice, load_config, overridden, parse_sizes


def written(folder: Path, text: str) -> Path:
    path = folder / "settings.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_no_file_is_the_defaults() -> None:
    assert load_config(None) == Config()


def test_tables_reach_their_models(tmp_path: Path) -> None:
    config = load_config(
        written(tmp_path, '[array]\nlanes = 4\nweight_bits = 12\n[learn]\nrule = "sltt"\nepochs = 3\n')
    )
    assert (config.array.lanes, config.array.weight_bits, config.array_given) == (4, 12, True)
    assert (config.learn.rule, config.learn.epochs) == ("sltt", 3)


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("[array]\nlane = 4\n", "[array] has no key 'lane'", "did you mean 'lanes'?"),
        ("[learn]\nepoch = 4\n", "[learn] has no key 'epoch'", "did you mean 'epochs'?"),
        ("[lern]\nepochs = 4\n", "unknown table or key 'lern'", "did you mean 'learn'?"),
        ("[array]\nlanes = 5\n", "[array] lanes: input should be 1, 2, 4, 8 or 16, got 5", ""),
        ('[array]\nweight_bits = "many"\n', "[array] weight_bits: input should be a valid integer", ""),
        ("[array]\nweight_bits = 6\n", "[array]: synapse_bits (8) must not exceed weight_bits (6)", ""),
        (
            "[learn]\nepochs = 0\nsteps = 0\n",
            "[learn] epochs: input should be greater than or equal to 1, got 0",
            "and 1 more",
        ),
        ("sweep = 4\n", "[sweep] must be a table, not 4", "write [sweep] on its own line"),
        ("array = 4\n", "[array] must be a table, not 4", "write [array] on its own line"),
        ("[array\n", "not valid TOML", "see https://toml.io"),
        (f"a = {'[' * 9999}", "not valid TOML", "see https://toml.io"),
        (f"a = {'1' * 5000}", "not valid TOML", "see https://toml.io"),
    ],
)
def test_a_bad_file_is_one_line(tmp_path: Path, text: str, message: str, hint: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(ConfigurationError) as caught:
        load_config(path)
    assert str(path) in caught.value.message
    assert message in caught.value.message
    assert "\n" not in caught.value.message
    assert caught.value.hint == hint


def test_missing_and_binary_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"none\.toml: No such file"):
        load_config(tmp_path / "none.toml")
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigurationError, match="not a text file"):
        load_config(binary)
    with pytest.raises(ConfigurationError, match="directory"):
        load_config(tmp_path)


def test_options_override_and_are_checked_together() -> None:
    assert overridden(ArrayConfig(), {"lanes": 2, "cores": None}).lanes == 2
    with pytest.raises(ConfigurationError, match="lanes: input should be 1, 2, 4, 8 or 16, got 3"):
        overridden(ArrayConfig(), {"lanes": 3})
    with pytest.raises(ConfigurationError, match="must not exceed weight_bits"):
        overridden(ArrayConfig(), {"weight_bits": 4})


@pytest.mark.parametrize(("text", "sizes"), [("784-256-10", (784, 256, 10)), ("64-10", (64, 10)), ("1-1", (1, 1))])
def test_layers_are_read(text: str, sizes: tuple[int, ...]) -> None:
    assert parse_sizes(text) == sizes


@pytest.mark.parametrize(
    "text", ["", "64", "64-", "-64-10", "64--10", "64x10", "64-ten", "6.4-10", "64-0", "70000-10", "٣-10"]
)
def test_wrong_layers_are_refused(text: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_sizes(text)
    assert repr(text) in caught.value.message
    assert "784-256-10" in caught.value.hint


def test_widths_without_end_are_refused_in_a_short_line() -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_sizes(f"64-{'9' * 5000}-10")
    assert len(caught.value.message) < 200


def test_unknown_names_get_the_nearest() -> None:
    assert check_choice("mnist", ("digits", "mnist"), "data set") == "mnist"
    with pytest.raises(ConfigurationError, match="no data set is called 'minst'") as caught:
        check_choice("minst", ("digits", "mnist"), "data set")
    assert caught.value.hint == "did you mean 'mnist'?"
