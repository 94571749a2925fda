# SPDX-License-Identifier: Apache-2.0
"""A sweep's runs: doing one, keeping each in a file of its own as soon as it is there, and what they say together."""

from __future__ import annotations

import csv
import io
import os
import statistics
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from .. import __version__
from ..arch.errors import ConfigurationError, TrifactorError
from ..arch.files import written_whole
from .plan import altered, check_samples, plan_of
from .sweep_points import AXES, Point

EXIT_UNFORESEEN = 70
RUNS = "runs"
CSV = "results.csv"


class Run(BaseModel):
    """A finished run, as it stands in its file.

    `accuracies` on unseen samples after each epoch, 0 … 1; `samples` learned in `seconds`; `counters` of `counted`
    further samples (`golden.train.History`).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: str
    point: Point
    accuracies: tuple[float, ...] = Field(min_length=1)
    samples: int
    seconds: float
    counted: int
    counters: dict[str, int]

    @property
    def accuracy(self) -> float:
        """The last epoch's."""
        return self.accuracies[-1]


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A run that gave no result, why, and the exit code that this reason has."""

    point: Point
    reason: str
    exit_code: int

    @classmethod
    def of(cls, point: Point, error: BaseException) -> Failure:
        """The failure that `error` is."""
        if isinstance(error, TrifactorError):
            reason = f"{error.message} ({error.hint})" if error.hint else error.message
            return cls(point=point, reason=reason, exit_code=error.exit_code)
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        return cls(point=point, reason=reason, exit_code=EXIT_UNFORESEEN)


@dataclass(frozen=True, kw_only=True)
class Summary:
    """The runs of one combination of values, over their seeds."""

    values: dict[str, Any]
    seeds: list[int]
    accuracies: list[float]
    seconds: float
    missing: int

    @property
    def median(self) -> float:
        """Of the accuracies."""
        return statistics.median(self.accuracies)

    def to_dict(self) -> dict[str, Any]:
        """For JSON: also median, min and max of the accuracies, None where there is no run."""
        found = self.accuracies
        spread = {"median": self.median, "min": min(found), "max": max(found)} if found else {}
        return {**asdict(self), "median": None, "min": None, "max": None, **spread}


def run_point(point: Point, data_dir: Path | None, version: str = __version__) -> Run | Failure:
    """Train on the golden model by the settings of `point`. What goes wrong is returned, not raised.

    `version` is that of the package which asks: another one's result would be kept under a wrong name.
    """
    from ..golden.device import GoldenDevice
    from ..golden.train import learn

    try:
        if version != __version__:
            raise ConfigurationError(
                f"this worker has trifactor {__version__}, not {version}", "install the same there"
            )
        if point.experiment.form == "float":
            return _float_run(point, data_dir)
        plan = plan_of(point, data_dir)
        model = plan.model
        device = GoldenDevice(model.array, model.network, model.state, rounding=point.experiment.rounding)
        history = learn(
            device, plan.dataset, coding=model.coding, epochs=point.epochs, fall=point.fall, rule=point.rule
        )
    except Exception as error:
        return Failure.of(point, error)
    return Run(
        version=__version__,
        point=point,
        accuracies=tuple(history.accuracies),
        samples=history.samples,
        seconds=history.seconds,
        counted=history.counted,
        counters=history.counters,
    )


def _float_run(point: Point, data_dir: Path | None) -> Run:
    """The same rule, data and steps in floating point, with a rate of `2**-(rate + 1)` that falls alike."""
    from ..golden.coding import Coding
    from ..golden.data import load
    from ..golden.floating.network import Shape
    from ..golden.floating.rules import float_rule
    from ..golden.floating.train import train

    data = load(point.dataset, data_dir, point.limit, steps=point.steps)
    check_samples(data, point.layers, "--layers")
    bits = point.array.event_bits if point.coding == "graded" else 1
    shape = Shape(
        point.layers,
        recurrent=point.recurrent,
        bias=point.bias,
        decays=None if point.decay is None else (point.decay,) * (len(point.layers) - 2),
        readout_decay=point.readout_decay,
    )
    begun = time.perf_counter()
    history = train(
        altered(float_rule(point.rule), point.gate, point.gate_steps, point.error),
        data,
        Coding(kind=point.coding, steps=point.steps, bits=bits),
        shape,
        epochs=point.epochs,
        rate=2.0 ** -(point.rate + 1),
        fall=point.fall,
        seed=point.seed,
        batch=point.experiment.batch,
        optimiser=point.experiment.optimiser,
    )
    return Run(
        version=__version__,
        point=point,
        accuracies=tuple(history.accuracies),
        samples=point.epochs * len(data.train_labels),
        seconds=time.perf_counter() - begun,
        counted=0,
        counters={},
    )


class Folder:
    """The folder of a sweep: `runs/KEY.json` for each finished run, and `results.csv`.

    Raises `ConfigurationError` if it cannot be made or written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.runs = path / RUNS
        try:
            self.runs.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigurationError(
                f"{path}: {error.strerror}", "name a folder that can be made with --out"
            ) from error
        if not os.access(self.runs, os.W_OK):
            raise ConfigurationError(f"{path}: cannot be written", "name another folder with --out")

    def finished(self, points: Iterable[Point]) -> dict[str, Run]:
        """The runs of `points` that are there, by key. A file that is damaged, or not the point's, is none."""
        found = {}
        for point in points:
            try:
                run = Run.model_validate_json((self.runs / f"{point.key}.json").read_bytes())
            except (OSError, ValidationError):
                continue
            if run.point == point:
                found[point.key] = run
        return found

    def keep(self, run: Run) -> None:
        """Write the run's file, at once or not at all."""
        write(self.runs / f"{run.point.key}.json", run.model_dump_json(indent=1) + "\n")

    def tabulate(self, runs: Sequence[Run]) -> Path:
        """Write `results.csv`, a line per run; its path."""
        counters = list(dict.fromkeys(name for run in runs for name in run.counters))
        text = io.StringIO()
        table = csv.writer(text, lineterminator="\n")
        table.writerow(
            ["key", *AXES, "accuracy", "accuracies", "samples", "seconds", "counted"]
            + [f"counter_{name}" for name in counters]
        )
        for run in runs:
            values = run.point.values
            table.writerow(
                [run.point.key, *(values[name] for name in AXES), run.accuracy, " ".join(map(str, run.accuracies))]
                + [run.samples, round(run.seconds, 3), run.counted]
                + [run.counters.get(name, 0) for name in counters]
            )
        path = self.path / CSV
        write(path, text.getvalue())
        return path


def summaries(points: Sequence[Point], runs: dict[str, Run], names: Sequence[str]) -> list[Summary]:
    """What the runs of each combination of values on the axes `names` say together, in the order of `points`."""
    groups: dict[tuple[Any, ...], list[Point]] = {}
    for point in points:
        groups.setdefault(tuple(point.values[name] for name in names), []).append(point)
    found = []
    for values, members in groups.items():
        there = [runs[point.key] for point in members if point.key in runs]
        found.append(
            Summary(
                values=dict(zip(names, values, strict=True)),
                seeds=[run.point.seed for run in there],
                accuracies=[run.accuracy for run in there],
                seconds=statistics.median(run.seconds for run in there) if there else 0.0,
                missing=len(members) - len(there),
            )
        )
    return found


def write(path: Path, text: str) -> None:
    """Write a text file as `written_whole` does."""
    with written_whole(path) as file:
        file.write(text.encode())
