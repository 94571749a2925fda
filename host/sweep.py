# SPDX-License-Identifier: Apache-2.0
"""`trifactor sweep`: many trainings over a grid of settings, each kept as it finishes, and what they say together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any

import typer

from ..arch.errors import ConfigurationError
from .config import DATASETS, check_choice, load_config, overridden, parse_sizes
from .options import ConfigFile, DataDir, Json, Verbose
from .output import Interrupted, Output, percent, thousands
from .plan import DATASET
from .sweep_points import Axes, Grid, Point, checked_axes, grid_of, in_order, parse_axis, parse_values, varying
from .sweep_pool import on_cluster, on_cores
from .sweep_runs import Failure, Folder, Run, Summary, summaries

PLOT = "accuracy.png"


def sweep(
    dataset: Annotated[str | None, typer.Option(help=f"{', '.join(DATASETS)}.", show_default=DATASET)] = None,
    data_dir: DataDir = None,
    layers: Annotated[
        str | None, typer.Option(help="Widths from the input to the readout.", metavar="784-256-10")
    ] = None,
    rules: Annotated[
        str | None, typer.Option(help="Learning rules.", metavar="RULE,RULE", show_default="the data's")
    ] = None,
    weight_bits: Annotated[str | None, typer.Option(help="Bits of a stored weight.", metavar="8,12,16")] = None,
    seeds: Annotated[str | None, typer.Option(help="Seeds.", metavar="1,2,3", show_default="1")] = None,
    axis: Annotated[
        list[str] | None, typer.Option(help="Any other setting and its values; repeat.", metavar="NAME=VALUE,VALUE")
    ] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Times through the training samples.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Training samples per epoch.", show_default="all")] = None,
    config: ConfigFile = None,
    out: Annotated[Path, typer.Option(help="Folder of the runs, results.csv and accuracy.png.")] = Path("sweep"),
    jobs: Annotated[int | None, typer.Option(min=1, help="Runs at a time.", show_default="one per core")] = None,
    scheduler: Annotated[str | None, typer.Option(help="Run on a Dask cluster.", metavar="tcp://HOST:8786")] = None,
    json_output: Json = False,
    verbose: Verbose = 0,
) -> None:
    """Train once for every combination of the axes' values; the same command goes on where it was stopped."""
    output = Output(as_json=json_output, verbosity=verbose)
    if dataset is not None:
        check_choice(dataset, DATASETS, "data set")
    if layers is not None:
        parse_sizes(layers)
    if jobs is not None and scheduler is not None:
        raise ConfigurationError("--jobs and --scheduler exclude each other", "a cluster has its own threads")
    loaded = load_config(config)
    plain = {"dataset": dataset, "layers": layers, "epochs": epochs, "limit": limit}
    named = {"rules": rules, "weight_bits": weight_bits, "seeds": seeds}
    axes = checked_axes(loaded.sweep, f"{config}: [sweep]")
    axes = {name: values for name, values in axes.items() if plain.get(name) is None}
    axes |= _axes(named, axis or ())
    grid = grid_of(overridden(loaded.learn, plain), loaded.array, in_order(axes))
    folder = Folder(out)
    runs = folder.finished(grid.points)
    waiting = [point for point in grid.points if point.key not in runs]
    _announce(output, grid, len(runs), out, scheduler)
    if scheduler is None:
        _check_data(waiting, data_dir)
    failures: list[Failure] = []
    try:
        _run(output, grid, waiting, runs, failures, folder, data_dir, jobs, scheduler)
    except KeyboardInterrupt:
        raise Interrupted(
            f"interrupted; {len(runs)} of {len(grid.points)} runs are kept in {out}", "the same command goes on"
        ) from None
    _show(output, grid, runs, failures, folder)
    if failures:
        raise typer.Exit(failures[0].exit_code)


def _axes(named: Mapping[str, str | None], others: Sequence[str]) -> Axes:
    """The axes of the options that have a name of their own, and of those of `--axis`."""
    axes: Axes = {}
    for name, text in named.items():
        if text is not None:
            axes |= checked_axes({name: parse_values(text)}, f"--{name.replace('_', '-')}")
    for text in others:
        name, values = parse_axis(text)
        axes |= checked_axes({name: values}, "--axis")
    return axes


def _check_data(waiting: Sequence[Point], data_dir: Path | None) -> None:
    """Fail at once for what every run of a data set would fail for: its files."""
    from ..golden.data import load

    for name in dict.fromkeys(point.dataset for point in waiting):
        load(name, data_dir)


def _run(
    output: Output,
    grid: Grid,
    waiting: Sequence[Point],
    runs: dict[str, Run],
    failures: list[Failure],
    folder: Folder,
    data_dir: Path | None,
    jobs: int | None,
    scheduler: str | None,
) -> None:
    """Do what is `waiting`: into `runs`, and at once into the folder, or into `failures`."""
    if not waiting:
        return
    if scheduler is not None:
        results = on_cluster(waiting, data_dir, scheduler, output.note)
    else:
        from joblib import cpu_count

        results = on_cores(waiting, data_dir, min(jobs or cpu_count(), len(waiting)))
    names = [*varying(grid), *(["seed"] if len(grid.axes.get("seed", ())) > 1 else [])]
    with output.progress("sweep", len(grid.points)) as update, closing(results):
        update(len(runs))
        for result in results:
            if isinstance(result, Run):
                folder.keep(result)
                runs[result.point.key] = result
                note = percent(result.accuracy)
            else:
                failures.append(result)
                note = f"failed: {result.reason}"
            update(len(runs) + len(failures), note=f"{_named(result.point, names)}: {note}", say=True)


def _announce(output: Output, grid: Grid, finished: int, out: Path, scheduler: str | None) -> None:
    axes = " × ".join(f"{name} ({len(values)})" for name, values in grid.axes.items() if len(values) > 1)
    there = f", {thousands(finished)} of them finished in {out}" if finished else ""
    where = f", on {scheduler}" if scheduler else ""
    output.note(f"runs: {thousands(len(grid.points))}{f' = {axes}' if axes else ''}{there}{where}")
    for reason, count in grid.left_out.items():
        output.note(f"left out {count}: {reason}")


def _show(output: Output, grid: Grid, runs: dict[str, Run], failures: Sequence[Failure], folder: Folder) -> None:
    names = varying(grid)
    found = summaries(grid.points, runs, names)
    there = [runs[point.key] for point in grid.points if point.key in runs]
    table = folder.tabulate(there)
    plot = _plot(grid, there, folder.path / PLOT) if there else None
    output.table(
        f"accuracy on unseen samples, in {folder.path}",
        (*names, "runs", "median", "least", "greatest", "seconds a run"),
        [_row(summary) for summary in found],
    )
    for failure in failures:
        output.note(f"failed: {_named(failure.point, [*names, 'seed'])}: {failure.reason}")
    output.line(f"every run in {table}" + (f", drawn in {plot}" if plot else ""))
    output.result(
        {
            "runs": [_described(run) for run in there],
            "combinations": [summary.to_dict() for summary in found],
            "failures": [
                {"key": failure.point.key, "settings": failure.point.values, "reason": failure.reason}
                for failure in failures
            ],
            "left_out": grid.left_out,
            "axes": grid.axes,
            "folder": str(folder.path),
            "csv": str(table),
            "plot": None if plot is None else str(plot),
        }
    )


def _row(summary: Summary) -> list[str]:
    values = [str(value) for value in summary.values.values()]
    done = len(summary.accuracies)
    runs = f"{done} of {done + summary.missing}" if summary.missing else str(done)
    if not done:
        return [*values, runs, "-", "-", "-", "-"]
    spread = (summary.median, min(summary.accuracies), max(summary.accuracies))
    return [*values, runs, *(percent(share) for share in spread), thousands(summary.seconds, 1)]


def _described(run: Run) -> dict[str, Any]:
    return {
        "key": run.point.key,
        "settings": run.point.values,
        "accuracy": run.accuracy,
        **run.model_dump(mode="json", exclude={"point", "version"}),
    }


def _named(point: Point, names: Sequence[str]) -> str:
    """The values of a point that tell it from the others, in words."""
    values = point.values
    return ", ".join(str(values[name]) if name == "rule" else f"{name} {values[name]}" for name in names)


def _plot(grid: Grid, runs: Sequence[Run], path: Path) -> Path:
    """One panel per axis with several values, one series per rule; the rules themselves where nothing else varies."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    from . import plots

    panels = [name for name in varying(grid) if name != "rule"] or ["rule"]
    rules = list(dict.fromkeys(run.point.rule for run in runs))
    columns = min(3, len(panels))
    rows = -(-len(panels) // columns)
    style: Any = plots.STYLE
    with rc_context(style):
        figure = Figure(figsize=(max(6.4, 4.6 * columns), 3.4 * rows + 0.6), layout="constrained", facecolor="white")
        axes = figure.subplots(rows, columns, squeeze=False).ravel()
        for ax, name in zip(axes, panels, strict=False):
            at = [run.point.values[name] for run in runs]
            values = list(dict.fromkeys(at))
            ordered = not any(isinstance(value, str) for value in values)
            if ordered:
                values.sort()
            series = {
                rule: [
                    [run.accuracy for run, own in zip(runs, at, strict=True) if own == value and run.point.rule == rule]
                    for value in values
                ]
                for rule in (rules if name != "rule" else [])
            } or {"": [[run.accuracy for run in runs if run.point.rule == rule] for rule in rules]}
            plots.spread(ax, name, list(map(str, values)), series, ordered=ordered)
        for ax in axes[len(panels) :]:
            ax.set_axis_off()
        if panels != ["rule"]:
            figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=min(6, len(rules)))
        figure.savefig(path, dpi=150)
    return path
