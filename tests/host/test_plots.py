# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from matplotlib.figure import Figure

from trifactor.host import plots


@pytest.fixture
def ax() -> Any:
    return Figure().subplots()


def test_raster_has_one_mark_per_spike(ax: Any) -> None:
    spikes = np.zeros((5, 8), dtype=np.int64)
    spikes[[0, 2, 4], [1, 7, 0]] = 1
    plots.raster(ax, spikes)
    assert ax.collections[0].get_offsets().tolist() == [[0, 1], [2, 7], [4, 0]]


def test_raster_of_silence_is_empty(ax: Any) -> None:
    plots.raster(ax, np.zeros((3, 4), dtype=np.int64))
    assert len(ax.collections[0].get_offsets()) == 0


def test_graded_values_have_graded_marks(ax: Any) -> None:
    plots.raster(ax, np.array([[1, 4]]))
    small, large = ax.collections[0].get_sizes()
    assert large == 4 * small


def test_membranes_show_neurons_that_start_and_stop(ax: Any) -> None:
    spikes = np.zeros((6, 5), dtype=np.int64)
    spikes[:, 0] = 1
    spikes[[1, 3, 5], 3] = 1
    spikes[:2, 1] = 1
    plots.membranes(ax, np.arange(30).reshape(6, 5), spikes, 128, most=2)
    traces = [line for line in ax.lines if line.get_label().startswith("neuron")]
    assert [line.get_label() for line in traces] == ["neuron 1", "neuron 3"]
    assert traces[1].get_ydata().tolist() == [3, 8 + 128, 13, 18 + 128, 23, 28 + 128]
    assert ax.collections[1].get_offsets().tolist() == [[1, 136], [3, 146], [5, 156]]
    assert any(set(line.get_ydata()) == {128} for line in ax.lines)


def test_weights_before_and_after_are_all_counted(ax: Any) -> None:
    before, after = np.arange(-50, 50), np.arange(-500, 500, 10)
    plots.weights(ax, before, after, 16)
    assert sum(bar.get_height() for bar in ax.patches if hasattr(bar, "get_height")) == 100
    assert ax.get_xlabel() == "stored weight (16 bit)"


def test_weights_that_are_all_equal_can_be_drawn(ax: Any) -> None:
    plots.weights(ax, np.zeros(4, dtype=np.int64), np.zeros(4, dtype=np.int64), 8)
    assert ax.patches


def test_accuracy_is_in_percent_beside_its_references(ax: Any) -> None:
    plots.accuracy(ax, [(0, 0.1), (100, 0.95)], {"float": 0.97})
    assert ax.lines[0].get_ydata() == pytest.approx([10, 95])
    assert list(ax.lines[1].get_ydata()) == pytest.approx([97, 97])


def test_utilisation_fills_what_was_busy(ax: Any) -> None:
    plots.utilisation(ax, {"forward": (30, 40), "update": (50, 60), "error": (0, 0)})
    assert [bar.get_width() for bar in ax.patches] == pytest.approx([40, 30, 60, 50, 0, 0])
    assert "75 % busy of 40 cycles" in [text.get_text() for text in ax.texts]


def test_spread_is_medians_with_least_and_greatest(ax: Any) -> None:
    series = {"one": [[0.5, 0.7, 0.6], [0.8]], "two": [[], [0.9, 0.7]]}
    plots.spread(ax, "weight_bits", ["8", "16"], series)
    one, two = ax.lines
    assert (one.get_label(), two.get_label()) == ("one", "two")
    assert list(one.get_ydata()) == pytest.approx([60, 80])
    assert list(two.get_ydata()) == pytest.approx([80])
    assert len({*one.get_xdata(), *two.get_xdata()}) == 3, "marks of series stand side by side"
    strokes = [path.vertices[:, 1].tolist() for path in ax.collections[1].get_paths()]
    assert strokes == [pytest.approx([50, 70]), pytest.approx([80, 80])]
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["8", "16"]
    assert ax.get_ylim()[0] <= 50


def test_many_series_differ_and_names_are_not_joined(ax: Any) -> None:
    names = [f"a-long-name-{index}" for index in range(12)]
    plots.spread(ax, "rule", names, {name: [[0.5]] * 12 for name in names}, ordered=False)
    assert len({(line.get_color(), line.get_marker()) for line in ax.lines}) == 12
    assert {line.get_linestyle() for line in ax.lines} == {"None"}
    assert {tick.get_rotation() for tick in ax.get_xticklabels()} == {40}


def test_boxes_are_in_order_from_above_with_thresholds_and_the_ends(ax: Any) -> None:
    layers = {"first": (-100, -5, 0, 5, 90), "last": (0, 0, 1, 2, 3)}
    plots.boxes(ax, layers, (-128, 127), name="weight", thresholds={"first": (20, 40)})
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["first", "last"]
    assert ax.get_yticks().tolist() == [1, 0]
    assert [(bar.get_x(), bar.get_width()) for bar in ax.patches] == [(-5, 10), (0, 2)]
    assert [line.get_xdata()[0] for line in ax.lines] == [-128, 127]
    assert len([one for one in ax.collections if one.get_label().startswith("_")]) == 8


@pytest.mark.parametrize("bits", [8, 12, 16])
def test_states_of_any_width_have_marks_at_both_ends(ax: Any, bits: int) -> None:
    ends = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1)
    plots.boxes(ax, {"one": (-3, -1, 0, 1, 3)}, ends, name="membrane", linear=16)
    ticks = ax.get_xticks().tolist()
    assert (ticks[0], ticks[-1]) == ends
    assert ticks == sorted(set(ticks))
    assert 0 in ticks


def test_shares_begin_below_the_least(ax: Any) -> None:
    plots.shares(ax, [4, 5], {"a": [0.985, 0.995], "b": [0.99, 1.0]}, name="equal, %")
    least, most = ax.get_ylim()
    assert 97 < least < 98.5
    assert most > 100
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["a", "b"]
