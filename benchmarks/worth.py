# SPDX-License-Identifier: Apache-2.0
"""What rules, bits and depth are worth: sweeps, and the tables and pictures of docs/worth.md that are made of them.

    TRIFACTOR_DATA=… python benchmarks/worth.py run [NAME …]     # hours; goes on where it was stopped
    python benchmarks/synth.py --seeds 1 > logic.json; python benchmarks/worth.py logic logic.json
    python benchmarks/worth.py page                              # from docs/worth/*.csv

`run` keeps its runs in build/worth and writes docs/worth/NAME.csv. An experiment is a list of `trifactor sweep`
commands: what stands in `EXPERIMENTS` is all there is to it.
"""

from __future__ import annotations

import argparse
import csv
import json
import statistics
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from joblib import cpu_count
from matplotlib import pyplot, rc_context
from matplotlib.axes import Axes

from trifactor.arch.array import UNITS, ArrayConfig
from trifactor.arch.placement import fitted
from trifactor.arch.rules import RULES, network_for
from trifactor.host.cli import call
from trifactor.host.plots import BLUE, GREEN, INK, MARKS, MUTED, ORANGE, STYLE
from trifactor.host.sweep_points import AXES
from trifactor.host.sweep_runs import Folder, Run

ROOT = Path(__file__).parent.parent
RUNS = ROOT / "build" / "worth"
PLACE = ROOT / "docs" / "worth"
PAGE = ROOT / "docs" / "worth.md"
BARE = "stored-8"
"""The row of benchmarks/synth.py without units."""

COLUMNS = [*AXES, "accuracy", "accuracies", "seconds"]

DIGITS = "--dataset digits --epochs 3 --axis fall=2"
DEEP = "--dataset mnist --limit 4000 --epochs 2 --seeds 1,2,3"
LONG = "--dataset mnist --limit 20000 --epochs 3 --seeds 1,2,3"
MANY = "1,2,3,4,5,6,7"
"""Seeds where a test set is so small that one sample is half a point."""
HIDDEN = (1, 2, 3, 4)
DEEP_LAYERS = tuple("-".join(["784", *["128"] * hidden, "10"]) for hidden in HIDDEN)
ADAM = "--axis form=float --axis batch=16 --axis optimiser=adam"

FASTER = ("sltt-k", "s-tllr-dfa", "dalton", "tfr")
"""Rules that learn digits better at eight times the rate of the others, as `rates` says."""
BETTER = (
    f"--axis rate=0 --rules {','.join(rule for rule in RULES if rule not in FASTER)}",
    f"--axis rate=-3 --rules {','.join(FASTER)}",
)

EXPERIMENTS: dict[str, list[str]] = {
    # Fixed point against float: the same rule, steps, order and spikes, one sample at a time.
    "mnist": [
        "--dataset mnist --limit 20000 --epochs 2 --rules ottt-o --seeds 1,2,3",
        "--dataset mnist --limit 20000 --epochs 2 --rules ottt-o --seeds 1,2,3 --axis form=float --axis rate=2",
    ],
    "nmnist": [
        "--dataset nmnist --rules ottt-a --seeds 1,2,3",
        "--dataset nmnist --rules ottt-a --seeds 1,2,3 --axis form=float --axis rate=1",
    ],
    "fsdd": [f"--dataset fsdd --rules ottt-a --seeds {MANY} --axis form=fixed,float"],
    "braille": [f"--dataset braille --rules ottt-a --seeds {MANY} --axis form=fixed,float"],
    # How far hidden weights reach where inputs are few.
    "range": [f"--dataset braille --rules ottt-a --seeds {MANY} --axis weight_range=1,2"],
    # The same in fixed point with a multiplier at every product.
    "products": [
        "--dataset nmnist --rules ottt-a --seeds 1,2,3 --axis products=exact",
        "--dataset braille --rules ottt-a --seeds 1,2,3 --axis products=exact",
        "--dataset fsdd --rules ottt-a --seeds 1,2,3 --axis products=exact",
        "--dataset mnist --limit 20000 --epochs 2 --rules ottt-o --seeds 1,2,3 --axis products=exact",
    ],
    # Back-propagation through time: one sample at a time as above, and as it is usually done.
    "bptt": [
        f"--dataset {name} --rules bptt --seeds {MANY} {how}"
        for name in ("fsdd", "braille")
        for how in ("--axis form=float", f"{ADAM} --axis rate=8")
    ],
    "best": ["--dataset mnist --rules ottt-o --epochs 6"],
    # Every rule at the better of two rates: powers of two, exact products, a random source in the noise hash's place.
    "rates": [f"{DIGITS} --rules {','.join(RULES)} --axis rate=0,-3"],
    "rules": [f"{DIGITS} {better} --seeds 1,2,3 --axis products=shift,exact" for better in BETTER],
    "noise": [f"{DIGITS} {better} --seeds 1,2,3 --axis rounding=random" for better in BETTER],
    "bits": [
        f"{DIGITS} --rules ottt-o,s-tllr --seeds 1,2,3 --axis {axis}"
        for axis in (
            "weight_bits=8,10,12,16",
            "synapse_bits=4,5,6,8",
            "decay_bits=4,5,6,8",
            "surrogate_bits=2,3,4,8",
            "rounding=hash,random,nearest,floor",
        )
    ],
    # What the noise is for: stored weights with no bits below those that synapses see.
    "rounding": [f"{DIGITS} --rules ottt-o --seeds 1,2,3 --axis weight_bits=8 --axis rounding=hash,nearest,floor"],
    "depth": [
        f"{DEEP} --rules dalton,tfr --axis rate={rate} --axis layers={layers} --axis form={form}"
        for layers in DEEP_LAYERS
        for rate in (-2, -4)
        for form in ("fixed", "float")
    ]
    # As the papers do, whose optimiser makes up for the scale of each layer's error.
    + [
        f"{DEEP} --rules dalton,tfr --axis rate={rate} --axis layers={layers} {ADAM}"
        for layers in DEEP_LAYERS
        for rate in (7, 9)
    ],
    # Whether it is the budget.
    "longer": [f"{LONG} --rules dalton,tfr --axis rate=9 --axis layers={layers} {ADAM}" for layers in DEEP_LAYERS],
}
"""Experiments by name; docs/worth.md says what each asks."""

DATA = ("mnist", "nmnist", "fsdd", "braille")
"""Experiments that are data sets, in fixed and in floating point."""

Row = dict[str, str]


def run(names: Sequence[str], jobs: int) -> None:
    """Do what is missing of each experiment, then write its table."""
    for name in names:
        folder = RUNS / name
        for words in EXPERIMENTS[name]:
            if code := call(["sweep", *words.split(), "--jobs", str(jobs), "--out", str(folder)]):
                sys.exit(code)
        keep(name, folder)


def keep(name: str, folder: Path) -> None:
    """Write docs/worth/NAME.csv: a line for every run in `folder`, in an order of their own."""
    runs = [Run.model_validate_json(path.read_bytes()) for path in sorted(Folder(folder).runs.glob("*.json"))]
    runs.sort(key=lambda one: [str(value) for value in one.point.values.values()])
    PLACE.mkdir(exist_ok=True)
    with (PLACE / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(COLUMNS)
        for one in runs:
            shares = " ".join(f"{share:.4f}" for share in one.accuracies)
            values = one.point.values
            table.writerow([*(values[axis] for axis in AXES), f"{one.accuracy:.4f}", shares, round(one.seconds)])


def rows_of(name: str, **wanted: object) -> list[Row]:
    """The runs of an experiment, as text, whose columns have the `wanted` values; none where it was not run."""
    path = PLACE / f"{name}.csv"
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return [row for row in csv.DictReader(file) if all(row[key] == str(value) for key, value in wanted.items())]


def shares(rows: Iterable[Row]) -> list[float]:
    """Accuracies in per cent."""
    return [100 * float(row["accuracy"]) for row in rows]


def spread(found: Sequence[float]) -> str:
    """The median, and from the least to the greatest."""
    if not found:
        return ""
    middle = f"{statistics.median(found):.1f}"
    return middle if len(found) == 1 else f"{middle} ({min(found):.1f} … {max(found):.1f})"


def best_rate(rows: Sequence[Row]) -> list[Row]:
    """The rows of the rate with the greatest median, of those with the most runs."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row["rate"], []).append(row)
    return max(groups.values(), key=lambda group: (len(group), statistics.median(shares(group))), default=[])


def table(heads: Sequence[str], lines: Iterable[Sequence[object]]) -> str:
    """A Markdown table."""
    made = [heads, ["---"] * len(heads), *lines]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in made)


def form_table() -> str:
    """Fixed point beside float, and back-propagation through time where it was run."""
    heads = ["data", "network", "rule", "seeds", "fixed point", "float", "fixed - float"]
    products = {"exact products": "exact"} if rows_of("products") else {}
    others = {"BPTT, one at a time": "sgd", "BPTT, Adam, 16 at once": "adam"} if rows_of("bptt") else {}
    lines = []
    for name in DATA:
        rows = rows_of(name)
        fixed, real = shares(rows_of(name, form="fixed")), shares(rows_of(name, form="float"))
        if not fixed or not real:
            continue
        exact = [spread(shares(rows_of("products", dataset=name, products=kind))) for kind in products.values()]
        away = f"{statistics.median(fixed) - statistics.median(real):+.1f}"
        through_time = [spread(shares(rows_of("bptt", dataset=name, optimiser=kind))) for kind in others.values()]
        cells = [name, rows[0]["layers"], f"`{rows[0]['rule']}`", len(fixed), spread(fixed), spread(real), away]
        lines.append([*cells, *exact, *through_time])
    return table([*heads, *products, *others], lines)


def range_table() -> str:
    """Fixed point with hidden weights that reach one threshold, or more, beside floating point, where nothing ends."""
    lines: list[list[object]] = []
    for reach in sorted({row["weight_range"] for row in rows_of("range")}):
        found = shares(rows_of("range", weight_range=reach))
        lines.append([f"fixed point, {reach}", len(found), spread(found)])
    real = shares(rows_of("braille", form="float"))
    return table(
        ["greatest hidden weight, in thresholds", "seeds", "braille"], [*lines, ["float", len(real), spread(real)]]
    )


def rule_table() -> str:
    """Every rule on digits: powers of two, exact products, a true random source; and the logic it takes."""
    kinds = {"powers of two": ("rules", "shift"), "exact products": ("rules", "exact")}
    if rows_of("noise"):
        kinds["true random source"] = ("noise", "shift")
    lines = []
    for rule in RULES:
        found = [best_rate(rows_of(name, rule=rule, products=products)) for name, products in kinds.values()]
        comb, blocks = logic(rule)
        lines.append([f"`{rule}`", *(spread(shares(rows)) for rows in found), f"{comb:,}".replace(",", " "), blocks])
    return table(["rule", *kinds, "TRELLIS_COMB", "DP16KD"], lines)


def of_seeds(name: str, products: str) -> dict[tuple[str, str], float]:
    """Accuracy of every rule and seed of an experiment, each rule at the better of its rates."""
    chosen = {rule: best_rate(rows_of(name, rule=rule, products=products)) for rule in RULES}
    return {(rule, row["seed"]): 100 * float(row["accuracy"]) for rule, rows in chosen.items() for row in rows}


def of_data(name: str) -> dict[tuple[str, str], float]:
    """Accuracy of every data set and seed of an experiment, in fixed point."""
    return {(row["dataset"], row["seed"]): 100 * float(row["accuracy"]) for row in rows_of(name, form="fixed")}


def pair_table() -> str:
    """The array's arithmetic less what could stand in its place, over pairs of one rule and seed."""
    usual = of_seeds("rules", "shift")
    recorded = {"exact products, the data sets above": of_data("products")} if rows_of("products") else {}
    for name in DATA if recorded else ():
        usual |= of_data(name)
    lines = []
    for kind, other in {
        "exact products": of_seeds("rules", "exact"),
        "a true random source": of_seeds("noise", "shift"),
        **recorded,
    }.items():
        ahead = [usual[pair] - other[pair] for pair in usual.keys() & other.keys()]
        error = statistics.stdev(ahead) / len(ahead) ** 0.5
        lines.append([kind, len(ahead), f"{statistics.mean(ahead):+.2f} ± {error:.2f}"])
    return table(["powers of two with the hash, less", "pairs", "points"], lines)


def units_of(rule: str) -> tuple[str, ...]:
    """The optional units that a rule needs with two hidden layers, without recurrence or bias."""
    return fitted(network_for(RULES[rule], (64, 32, 32, 10), ArrayConfig()), ArrayConfig()).units


def logic(rule: str) -> tuple[int, int]:
    """TRELLIS_COMB and DP16KD of an array of 16 lanes with the units of a rule: the bare array's and each unit's."""
    with (PLACE / "logic.csv").open(newline="", encoding="utf-8") as file:
        cost = {row["unit"]: (int(row["trellis_comb"]), int(row["dp16kd"])) for row in csv.DictReader(file)}
    base = cost[""]
    own = [cost[unit] for unit in units_of(rule)]
    return tuple(base[i] + sum(unit[i] - base[i] for unit in own) for i in (0, 1))  # type: ignore[return-value]


def keep_logic(path: Path) -> None:
    """Write docs/worth/logic.csv from what benchmarks/synth.py printed: the bare array first, then one unit each."""
    rows = {row["name"]: row for row in json.loads(path.read_text(encoding="utf-8"))}
    with (PLACE / "logic.csv").open("w", newline="", encoding="utf-8") as file:
        made = csv.writer(file, lineterminator="\n")
        made.writerow(["unit", "trellis_comb", "dp16kd", "fmax_mhz"])
        for unit in ("", *UNITS):
            row = rows["-".join(filter(None, (BARE, unit)))]
            made.writerow([unit, row["trellis_comb"], row["dp16kd"], row["fmax_mhz_median"]])


def logic_table() -> str:
    """What the array of each rule takes: rules that need the same units stand together."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for rule in RULES:
        groups.setdefault(units_of(rule), []).append(f"`{rule}`")
    lines = []
    for units, rules in groups.items():
        comb, blocks = logic(rules[0].strip("`"))
        lines.append([", ".join(rules), ", ".join(units) or "none", f"{comb:,}".replace(",", " "), blocks])
    return table(["rules", "units", "TRELLIS_COMB", "DP16KD"], lines)


DEPTH_KINDS = {
    "fixed point": ("depth", {"form": "fixed"}),
    "float": ("depth", {"form": "float", "optimiser": "sgd"}),
    "float, Adam": ("depth", {"form": "float", "optimiser": "adam"}),
    "Adam, 60 000 samples": ("longer", {}),
}
"""How deep networks were trained: experiment and settings."""


def depth_kinds() -> list[str]:
    """Those that were run."""
    return [kind for kind, (experiment, settings) in DEPTH_KINDS.items() if rows_of(experiment, **settings)]


def at_depth(rule: str, hidden: int, kind: str) -> list[float]:
    """Accuracies of a rule with so many hidden layers, at its better rate."""
    experiment, settings = DEPTH_KINDS[kind]
    rows = [row for row in rows_of(experiment, rule=rule, **settings) if row["layers"].count("-") == hidden + 1]
    return shares(best_rate(rows))


def depth_table() -> str:
    """DALTON and TFR over the number of hidden layers, each at its better rate."""
    columns = [(kind, rule) for kind in depth_kinds() for rule in ("dalton", "tfr")]
    lines = [[hidden, *(spread(at_depth(rule, hidden, kind)) for kind, rule in columns)] for hidden in HIDDEN]
    return table(["hidden layers", *(f"`{rule}`, {kind}" for kind, rule in columns)], lines)


def bits_table() -> str:
    """One number format at a time, the others as they are by default."""
    lines = []
    for axis in PANELS:
        values = sorted({row[axis] for row in rows_of("bits")}, key=lambda text: (len(text), text))
        for value in values if len(values) > 1 else ():
            cells = [spread(shares(alone("bits", axis, rule=rule, **{axis: value}))) for rule in ("ottt-o", "s-tllr")]
            lines.append([f"`{axis}`", value, *cells])
    return table(["axis", "value", "`ottt-o`", "`s-tllr`"], lines)


def rounding_table() -> str:
    """How factors and updates are rounded, with and without bits below those that synapses see."""
    kinds = ("hash", "random", "nearest", "floor")
    lines = []
    for bits, name in ((16, "bits"), (8, "rounding")):
        cells = [alone(name, "rounding", rule="ottt-o", rounding=kind) for kind in kinds]
        lines.append([bits, *(spread(shares(rows)) for rows in cells)])
    return table(["bits of a stored weight", "noise hash", "random source", "to the nearest", "down"], lines)


def alone(name: str, axis: str, **wanted: object) -> list[Row]:
    """The wanted runs in which every setting but `axis`, rule and seed is the most common one."""
    everything = rows_of(name)
    # A table that is older than an axis has it not.
    others = [key for key in AXES if key in everything[0] and key not in (axis, "rule", "seed")]
    usual = {key: statistics.mode(row[key] for row in everything) for key in others}
    return [row for row in rows_of(name, **wanted) if all(row[key] == value for key, value in usual.items())]


def draw_forms(ax: Axes) -> None:
    """Seeds as dots, fixed point and float side by side."""
    names = [name for name in ("mnist", "nmnist", "braille", "fsdd") if rows_of(name)]
    series = [
        ("fixed point", BLUE, "o", lambda name: rows_of(name, form="fixed")),
        ("fixed point, exact products", INK, "x", lambda name: rows_of("products", dataset=name)),
        ("float", ORANGE, "s", lambda name: rows_of(name, form="float")),
        ("BPTT, float, one at a time", GREEN, "D", lambda name: rows_of("bptt", dataset=name, optimiser="sgd")),
        ("BPTT, float, Adam", MUTED, "^", lambda name: rows_of("bptt", dataset=name, optimiser="adam")),
    ]
    series = [one for one in series if any(one[3](name) for name in names)]
    for index, (label, color, marker, chosen) in enumerate(series):
        aside = 0.16 * (index - (len(series) - 1) / 2)
        points = [(at + aside, share) for at, name in enumerate(names) for share in shares(chosen(name))]
        ax.scatter(*zip(*points, strict=True), color=color, marker=marker, s=22, label=label, zorder=3)
    ax.set_xticks(range(len(names)), names)
    ax.set_xlim(-0.5, len(names) - 0.5)
    ax.set(ylabel="accuracy on unseen samples, %")
    ax.grid(axis="y")
    ax.legend(loc="lower left")


def draw_rules(ax: Axes) -> None:
    """Accuracy over logic, a mark per rule."""
    for at, rule in enumerate(RULES):
        found = shares(best_rate(rows_of("rules", rule=rule, products="shift")))
        if not found:
            continue
        color, _, marker = MARKS[at % len(MARKS)]
        comb = logic(rule)[0]
        middle = statistics.median(found)
        ax.errorbar(
            comb, middle, yerr=[[middle - min(found)], [max(found) - middle]], color=color, marker=marker, markersize=5,
            linewidth=1, linestyle="none", label=rule, markerfacecolor=color if at < len(MARKS) else "none",
        )  # fmt: skip
    ax.set(xlabel="TRELLIS_COMB of an array of 16 lanes with the rule's units", ylabel="accuracy on digits, %")
    ax.grid()
    ax.legend(ncols=3, loc="upper left", bbox_to_anchor=(0, -0.14), fontsize=8.5)


def draw_products(ax: Axes) -> None:
    """A line per rule: powers of two, exact products, a true random source."""
    names = [rule for rule in RULES if rows_of("rules", rule=rule)][::-1]
    kinds = [
        ("powers of two", BLUE, "o", lambda rule: rows_of("rules", rule=rule, products="shift")),
        ("exact products", ORANGE, "s", lambda rule: rows_of("rules", rule=rule, products="exact")),
        ("powers of two, true random source", GREEN, "D", lambda rule: rows_of("noise", rule=rule)),
    ]
    for index, (label, color, marker, chosen) in enumerate(kinds):
        points = [
            (share, at + 0.22 * (1 - index))
            for at, rule in enumerate(names)
            for share in shares(best_rate(chosen(rule)))
        ]
        if points:
            ax.scatter(*zip(*points, strict=True), color=color, marker=marker, s=14, label=label, zorder=3)
    ax.set_yticks(range(len(names)), names)
    ax.set(xlabel="accuracy on digits, %")
    ax.grid()
    ax.legend(loc="lower left")


PANELS = ("weight_bits", "synapse_bits", "decay_bits", "surrogate_bits")


def draw_bits(axes: Sequence[Axes]) -> None:
    """A panel per format."""
    for ax, axis in zip(axes, PANELS, strict=True):
        for rule, color, marker in (("ottt-o", BLUE, "o"), ("s-tllr", ORANGE, "s")):
            values = sorted({int(row[axis]) for row in rows_of("bits")})
            found = {value: shares(alone("bits", axis, rule=rule, **{axis: value})) for value in values}
            found = {value: group for value, group in found.items() if group}
            middles = [statistics.median(group) for group in found.values()]
            lower = [middle - min(group) for middle, group in zip(middles, found.values(), strict=True)]
            upper = [max(group) - middle for middle, group in zip(middles, found.values(), strict=True)]
            ax.errorbar(list(found), middles, yerr=[lower, upper], color=color, marker=marker, markersize=4, label=rule)
            ax.set_xticks(list(found))
        ax.set(xlabel=axis)
        ax.grid(axis="y")
    axes[0].set(ylabel="accuracy on digits, %")
    axes[0].legend(loc="lower right")


def draw_depth(axes: Sequence[Axes]) -> None:
    """A panel for each way of training: two lines over the number of hidden layers."""
    for ax, kind in zip(axes, depth_kinds(), strict=True):
        for rule, color, marker in (("dalton", BLUE, "o"), ("tfr", ORANGE, "s")):
            there = {hidden: group for hidden in HIDDEN if (group := at_depth(rule, hidden, kind))}
            ax.plot(list(there), [statistics.median(group) for group in there.values()], color=color, label=rule)
            for hidden, group in there.items():
                ax.scatter([hidden] * len(group), group, color=color, marker=marker, s=16, zorder=3)
        ax.set_xticks(HIDDEN)
        ax.set(xlabel="hidden layers", title=kind)
        ax.grid(axis="y")
    axes[0].set(ylabel="accuracy on MNIST, %")
    axes[0].legend(loc="lower left")


def save(name: str, size: tuple[float, float], draw: object, panels: int = 1) -> None:
    """One picture of docs/worth/."""
    with rc_context({**STYLE, "figure.facecolor": "white", "axes.facecolor": "white", "text.color": INK}):
        figure, axes = pyplot.subplots(1, panels, figsize=size, sharey=panels > 1)
        draw(axes)  # type: ignore[operator]
        figure.savefig(PLACE / f"{name}.png", dpi=120, bbox_inches="tight")
        pyplot.close(figure)


def page() -> None:
    """Draw the pictures of the experiments that were run, and write the tables that the page has marks for."""
    drawn = {
        "forms": ("braille", (6.4, 3.6), draw_forms, 1),
        "rules": ("rules", (6.4, 3.8), draw_rules, 1),
        "products": ("rules", (6.4, 5.4), draw_products, 1),
        "bits": ("bits", (10.4, 2.8), draw_bits, len(PANELS)),
        "depth": ("depth", (10.4, 3.0), draw_depth, len(depth_kinds())),
    }
    for name, (experiment, size, draw, panels) in drawn.items():
        if rows_of(experiment):
            save(name, size, draw, panels)
    text = PAGE.read_text(encoding="utf-8")
    tables = {
        "forms": form_table,
        "range": range_table,
        "rules": rule_table,
        "pairs": pair_table,
        "bits": bits_table,
        "rounding": rounding_table,
        "depth": depth_table,
        "logic": logic_table,
    }
    for name, made in tables.items():
        begin, end = f"<!-- {name}: generated by benchmarks/worth.py -->", f"<!-- end of {name} -->"
        before, found, rest = text.partition(begin)
        if found:
            text = f"{before}{begin}\n{made()}\n{end}{rest.partition(end)[2]}"
    PAGE.write_text(text, encoding="utf-8")


def main() -> None:
    """Run experiments or write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("what", choices=("run", "logic", "page"))
    parser.add_argument("names", nargs="*", help=f"of {', '.join(EXPERIMENTS)}; all if none; of logic: a file")
    parser.add_argument("--jobs", type=int, default=cpu_count(), help="runs at a time")
    words = parser.parse_args()
    if words.what == "logic":
        keep_logic(Path(words.names[0]))
        return
    if unknown := set(words.names) - set(EXPERIMENTS):
        parser.error(f"unknown experiment: {', '.join(sorted(unknown))}")
    if words.what == "page":
        page()
    else:
        run(words.names or list(EXPERIMENTS), words.jobs)


if __name__ == "__main__":
    main()
