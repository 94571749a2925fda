# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

pytest.importorskip("torch")

from trifactor.arch.array import NUMBERS, ArrayConfig
from trifactor.arch.errors import ConfigurationError
from trifactor.host import sweep_points
from trifactor.host.config import LearnConfig
from trifactor.host.plan import resolved
from trifactor.host.sweep_points import AXES, Point, checked_axes, grid_of, parse_axis, parse_values, varying


def point(array: dict[str, Any] | None = None, **learn: Any) -> Point:
    return Point(**dict(resolved(LearnConfig(**learn), ArrayConfig(**(array or {})))))


def test_axes_are_read_as_they_are_written() -> None:
    assert parse_axis("weight-bits=8, 12") == ("weight-bits", ["8", "12"])
    assert parse_values("a,b") == ["a", "b"]
    given = {"seeds": ["3", "1"], "weight-bits": [8, "12", "8"], "products": "exact", "recurrent": ["true", "no"]}
    axes = checked_axes({**given, "readout_decay": ["0.5"], "rules": ["sltt"]}, "--axis")
    assert axes == {
        "rule": ("sltt",),
        "weight_bits": (8, 12),
        "products": ("exact",),
        "recurrent": (True, False),
        "readout_decay": (0.5,),
        "seed": (3, 1),
    }
    assert next(iter(axes)) == "rule"
    assert list(axes)[-1] == "seed"


@pytest.mark.parametrize(
    ("given", "message", "hint"),
    [
        ({"weight_bit": [8]}, "x: no axis is called 'weight_bit'", "did you mean 'weight_bits'?"),
        ({"lanes": [8]}, "x: no axis is called 'lanes'", ""),
        ({"weight_bits": [17]}, "x: weight_bits 17: input should be less than or equal to 16", ""),
        ({"weight_bits": ["many"]}, "x: weight_bits 'many': input should be a valid integer", ""),
        ({"weight_bits": [""]}, "x: weight_bits '': input should be a valid integer", ""),
        ({"weight_bits": []}, "x: axis 'weight_bits' has no values", "give at least one weight_bits"),
        ({"weight_bits": [{}]}, "x: weight_bits {}: input should be a valid integer", ""),
        ({"products": ["shifts"]}, "x: products 'shifts': input should be 'shift' or 'exact'", ""),
        ({"rules": ["stlt"]}, "no rule is called 'stlt'", "did you mean 'sltt'?"),
        ({"dataset": ["mnits"]}, "x: dataset 'mnits': input should be 'digits', 'mnist'", ""),
        ({"layers": ["64"]}, "layers '64' need", "write widths"),
        ({"rounding": ["up"]}, "x: rounding 'up': input should be 'hash', 'random'", ""),
        ({"seeds": [-1]}, "x: seed -1: input should be greater than or equal to 0", ""),
    ],
)
def test_a_wrong_axis_is_one_line(given: dict[str, Any], message: str, hint: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        checked_axes(given, "x")
    assert caught.value.message.startswith(message)
    assert "\n" not in caught.value.message
    assert hint in caught.value.hint


def test_an_axis_without_values_names_the_form() -> None:
    with pytest.raises(ConfigurationError, match="axis 'rate' has no values") as caught:
        parse_axis("rate")
    assert caught.value.hint == "write --axis name=value,value"


def test_every_field_is_an_axis_or_a_matter_of_size() -> None:
    assert set(ArrayConfig.model_fields) >= NUMBERS
    assert set(AXES) >= NUMBERS
    assert set(LearnConfig.model_fields) - set(AXES) == {"checkpoint_every"}
    assert not NUMBERS & set(LearnConfig.model_fields), "one name, two axes"
    assert set(point().values) == set(AXES)


def test_the_grid_has_every_combination_once() -> None:
    axes = checked_axes({"rules": ["ottt-o", "sltt"], "weight_bits": [8, 16], "rate": [0], "seeds": [1, 2]}, "x")
    grid = grid_of(LearnConfig(limit=20, seed=9), ArrayConfig(decay_bits=6), axes)
    assert len(grid.points) == len({one.key for one in grid.points}) == 8
    first = grid.points[0].values
    assert (first["rule"], first["weight_bits"], first["seed"], first["limit"]) == ("ottt-o", 8, 1, 20)
    assert (first["decay_bits"], first["layers"], first["steps"]) == (6, "64-64-10", 12)
    assert varying(grid) == ["rule", "weight_bits"]
    assert grid.left_out == {}


def test_without_axes_there_is_one_point() -> None:
    grid = grid_of(LearnConfig(), ArrayConfig(), {})
    assert [one.values["rule"] for one in grid.points] == ["ottt-o"]
    assert varying(grid) == ["rule"]


def test_the_same_settings_written_differently_are_one_point() -> None:
    axes = checked_axes({"dataset": ["fsdd"], "coding": ["bernoulli", "graded"]}, "x")
    assert len(grid_of(LearnConfig(), ArrayConfig(), axes).points) == 1, "recordings have no coding"


def test_impossible_combinations_are_left_out_with_the_reason() -> None:
    grid = grid_of(
        LearnConfig(),
        ArrayConfig(),
        checked_axes({"weight_bits": [6, 8], "synapse_bits": [6, 8], "seeds": [1, 2]}, "x"),
    )
    assert {(one.array.weight_bits, one.array.synapse_bits) for one in grid.points} == {(6, 6), (8, 6), (8, 8)}
    assert grid.left_out == {"array: synapse_bits (8) must not exceed weight_bits (6)": 2}
    with pytest.raises(ConfigurationError, match="must not exceed"):
        grid_of(LearnConfig(), ArrayConfig(), checked_axes({"weight_bits": [6]}, "x"))


def test_a_key_is_its_settings_and_the_version(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = point()
    assert plain.key == point(dataset="digits", rate=0, epochs=10, rule="ottt-o", coding="bernoulli").key
    others = [
        point(seed=2), point(limit=3), point(recurrent=True), point(readout_decay=0.5), point(dataset="mnist"),
        point(decay=0.9), point(gate="last"), point(gate_steps=3),
        point({"weight_bits": 12}), point({"products": "exact"}), point({"lanes": 8}),
    ]  # fmt: skip
    assert len({plain.key, *(other.key for other in others)}) == 12
    assert point(checkpoint_every=7).key == plain.key
    monkeypatch.setattr(sweep_points, "__version__", "0.0.0")
    before = plain.key
    monkeypatch.setattr(sweep_points, "__version__", "0.0.1")
    assert plain.key != before


def test_a_key_is_the_same_in_another_process() -> None:
    code = (
        "from trifactor.arch.array import ArrayConfig; from trifactor.host.config import LearnConfig;"
        "from trifactor.host.plan import resolved; from trifactor.host.sweep_points import Point;"
        "print(Point(**dict(resolved(LearnConfig(seed=5), ArrayConfig()))).key)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == point(seed=5).key
    assert len(point(seed=5).key) == 16


def test_experiments_are_axes_and_rules_of_floating_point_have_no_fixed_form() -> None:
    axes = checked_axes({"rules": ["bptt", "sltt"], "form": ["fixed", "float"], "rounding": ["hash", "random"]}, "x")
    grid = grid_of(LearnConfig(), ArrayConfig(), axes)
    assert len(grid.points) == len({made.key for made in grid.points}) == 6
    assert grid.left_out == {"rule bptt is for floating point only": 2}
    assert {(made.rule, made.experiment.form) for made in grid.points} == {
        ("bptt", "float"), ("sltt", "fixed"), ("sltt", "float"),
    }  # fmt: skip
    assert grid.points[-1].values["rounding"] == "random"


def test_batches_and_optimisers_are_of_the_float_form_alone() -> None:
    axes = checked_axes({"form": ["fixed", "float"], "batch": [1, 16], "optimiser": ["sgd", "adam"]}, "x")
    grid = grid_of(LearnConfig(), ArrayConfig(), axes)
    made = [(one.experiment.form, one.experiment.batch, one.experiment.optimiser) for one in grid.points]
    assert made[0] == ("fixed", 1, "sgd")
    assert made[1:] == [("float", batch, kind) for batch in (1, 16) for kind in ("sgd", "adam")]
    assert list(grid.left_out.values()) == [3]
