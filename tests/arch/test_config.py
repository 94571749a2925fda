# SPDX-License-Identifier: Apache-2.0
"""The shared layer: arrays, formats, errors, items, and the examples of all of it."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
from typing import Any

import pytest
from pydantic import ValidationError

import trifactor.arch
from trifactor.arch import errors
from trifactor.arch.array import UNITS, ArrayConfig, ceil_log2
from trifactor.arch.errors import ConfigurationError, did_you_mean
from trifactor.arch.events import ITEM_BITS, ROW_BITS, SHIFT_BITS, ItemKind, pack_item
from trifactor.arch.formats import QFormat

MODULES = sorted(module.name for module in pkgutil.iter_modules(trifactor.arch.__path__))


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_the_docstrings(name: str) -> None:
    assert doctest.testmod(importlib.import_module(f"trifactor.arch.{name}")).failed == 0


def test_examples_are_there_at_all() -> None:
    attempted = {name: doctest.testmod(importlib.import_module(f"trifactor.arch.{name}")).attempted for name in MODULES}
    assert {name for name, count in attempted.items() if count} >= {"events", "formats", "noise"}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"weight_bits": 6, "synapse_bits": 8}, r"synapse_bits \(8\) must not exceed weight_bits \(6\)"),
        ({"groups": 3, "lanes": 2, "classes": 7}, r"groups \* cores \* lanes \(6\) must reach classes \(7\)"),
        ({"lanes": 3}, "lanes\n.*should be 1, 2, 4, 8 or 16"),
        ({"cores": 16}, "cores\n.*should be 1, 2, 4 or 8"),
        ({"weight_bits": 17}, "weight_bits\n.*less than or equal to 16"),
        ({"traces_per_word": 3}, "traces_per_word\n.*should be 1, 2, 4 or 8"),
        ({"products": "multiply"}, "products\n.*should be 'shift' or 'exact'"),
        ({"lane": 4}, "lane\n.*not permitted"),
        ({"neuron": "cuba"}, "neuron\n.*not permitted"),
        (
            {"units": ("cube",)},
            "units.0\n.*should be 'cuba', 'post-trace', 'shadow'",
        ),
        ({"errors": ()}, "errors\n.*at least 1 item"),
        ({"errors": ("mae",)}, "errors.0\n.*should be 'softmax' or 'mse'"),
        ({"pipeline": "short", "units": ("eligibility",)}, 'eligibility takes pipeline = "long"'),
        ({"layers": 17}, "layers\n.*less than or equal to 16"),
    ],
)
def test_an_array_that_cannot_be_built_says_why(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        ArrayConfig(**values)


def test_an_array_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        ArrayConfig().lanes = 4  # type: ignore[misc]


def test_units_are_kept_in_order_and_once() -> None:
    backward = tuple(reversed(UNITS))
    assert ArrayConfig.model_validate({"units": (*backward, "bias")}).units == tuple(UNITS)
    assert ArrayConfig(errors=("mse", "softmax", "mse")).errors == ("softmax", "mse")
    assert ArrayConfig(units=("shadow",), weight_bits=12, synapse_bits=6).lane_bits == 18
    assert ArrayConfig(weight_bits=12, synapse_bits=6).lane_bits == 12


def test_formats_hold_their_range_and_no_more() -> None:
    form = QFormat(bits=8)
    assert [form.holds(value) for value in (-129, -128, 127, 128)] == [False, True, True, False]
    assert (QFormat(bits=8, signed=False).min, QFormat(bits=8, signed=False).max) == (0, 255)
    with pytest.raises(ConfigurationError, match="at least 1 bit, not 0"):
        QFormat(bits=0)


@pytest.mark.parametrize(("value", "bits"), [(1, 0), (2, 1), (3, 2), (4, 2), (5, 3), (1024, 10), (1025, 11)])
def test_ceil_log2(value: int, bits: int) -> None:
    assert ceil_log2(value) == bits


@pytest.mark.parametrize("events", [1, 3, 4, 255, 256])
@pytest.mark.parametrize("event_bits", [1, 8])
def test_a_current_never_overflows(events: int, event_bits: int) -> None:
    array = ArrayConfig(events=events, event_bits=event_bits)
    most = events << event_bits - 1
    assert array.current.holds(most * array.synapse.min)
    assert array.current.holds(most * array.synapse.max)


def test_a_learning_signal_never_overflows() -> None:
    array = ArrayConfig(lanes=2, groups=16)
    assert array.signal.holds(array.parallel * array.groups * array.synapse.min * 256)
    assert array.signal.holds(-array.parallel * array.groups * array.synapse.min * 255)


def test_items_use_their_bits_and_no_two_share_one() -> None:
    assert pack_item(ItemKind.EVENT) | pack_item(ItemKind.STEP) | pack_item(ItemKind.BEGIN) == 3
    widest = pack_item(ItemKind(0), row=(1 << ROW_BITS) - 1, shift=(1 << SHIFT_BITS) - 1)
    assert widest == (1 << ITEM_BITS) - 1 - 3


def test_did_you_mean_names_the_nearest_or_all() -> None:
    assert did_you_mean("lane", ["cores", "lanes"]) == "did you mean 'lanes'?"
    assert did_you_mean("xyz", ["lanes", "cores"]) == "known: cores, lanes"


def test_every_error_has_an_exit_code_of_its_own() -> None:
    kinds = [kind for kind in errors.TrifactorError.__subclasses__() if kind.__module__ == errors.__name__]
    codes = {kind.__name__: kind("x", "y").exit_code for kind in kinds}
    assert sorted(codes.values()) == list(range(1, 7))
    assert str(errors.DeviceError("message", "hint")) == "message"
