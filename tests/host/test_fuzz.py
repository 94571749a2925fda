# SPDX-License-Identifier: Apache-2.0
"""Files that anybody may hand us: thousands of NIR files broken on purpose are read or refused in one line.

The cases run in `fuzz_nir.py`, in processes of their own, so that one that crashes or hangs is seen.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

nir = pytest.importorskip("nir", reason="needs nir: pip install trifactor[nir]")
h5py = pytest.importorskip("h5py", reason="needs h5py: pip install trifactor[nir]")

from trifactor.arch.errors import ConfigurationError, DoesNotFitError, TrifactorError  # noqa: E402
from trifactor.arch.graph import Graph, Node, Source  # noqa: E402
from trifactor.golden.chain import chain  # noqa: E402
from trifactor.host import guarded  # noqa: E402
from trifactor.host.nir import from_nir  # noqa: E402

EXAMPLES = Path(__file__).parents[2] / "host" / "examples"
GRAPHS = Path(os.environ.get("TRIFACTOR_DATA", "nowhere")).parent / "vectors" / "nir" / "graphs"
SEED = int(os.environ.get("TRIFACTOR_FUZZ_SEED", "7"))
BATCH = 1000


def lif(size: int, **words: Any) -> Any:
    values = {"tau": 1e-3, "r": 1.0, "v_leak": 0.0, "v_threshold": 1.0} | words
    return nir.LIF(**{key: np.full(size, value) for key, value in values.items()})


def affine(outputs: int, inputs: int) -> Any:
    rng = np.random.default_rng(outputs)
    return nir.Affine(weight=rng.normal(size=(outputs, inputs)), bias=rng.normal(size=outputs))


def sources(folder: Path) -> list[Path]:
    """Intact files: ours, those of others where they are, and one of each of two kinds made here."""
    nested = nir.NIRGraph.from_list(affine(3, 2), lif(3), type_check=False)
    nodes = {"i": nir.Input(np.array([2])), "x": nested, "j": affine(2, 3), "o": nir.Output(np.array([2]))}
    graph = nir.NIRGraph(nodes, [("i", "x"), ("x", "j"), ("j", "o")], type_check=False)
    nir.write(folder / "nested.nir", graph)
    convolution = nir.Conv2d((6, 6), np.ones((2, 1, 3, 3)), 1, 0, 1, 1, np.zeros(2))
    pool = nir.AvgPool2d(kernel_size=np.array([2, 2]), stride=np.array([2, 2]), padding=np.array([0, 0]))
    nodes = {
        "i": nir.Input(np.array([1, 6, 6])), "c": convolution, "p": pool,
        "f": nir.Flatten({"input": np.array([2, 2, 2])}, 0, -1),
        "j": affine(2, 8), "l": lif(2), "o": nir.Output(np.array([2])),
    }  # fmt: skip
    graph = nir.NIRGraph(nodes, [*zip(nodes, list(nodes)[1:], strict=False)], type_check=False)
    nir.write(folder / "convolution.nir", graph)
    names = ("spyx_braille_noDelay_bias_zero_subgraph", "paper_01_lif_lif_rockpool", "nirtorch_braille")
    others = [path for name in names if (path := GRAPHS / f"{name}.nir").is_file()]
    return [EXAMPLES / "lif.nir", EXAMPLES / "braille.nir", folder / "nested.nir", folder / "convolution.nir", *others]


def fuzzed(folder: Path, first: int, count: int) -> Counter[str]:
    """Outcomes of `count` cases; a failure names seed and case, which is all that it takes to see it again."""
    worker = Path(__file__).with_name("fuzz_nir.py")
    files = sources(folder)
    outcomes: Counter[str] = Counter()
    for start in range(first, first + count, BATCH):
        batch = min(BATCH, first + count - start)
        words = [sys.executable, str(worker), str(SEED), str(start), str(batch), str(folder), *map(str, files)]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        at = (folder / "at").read_text() if (folder / "at").exists() else "none"
        again = f"python tests/host/fuzz_nir.py {SEED} {at} 1 FOLDER {' '.join(map(str, files))}"
        assert done.returncode == 0, f"case {at} of seed {SEED} ended its process: {again}\n{done.stderr[-2000:]}"
        found = json.loads((folder / "found.json").read_text())
        assert not found["failures"], f"seed {SEED}: {found['failures'][:5]}"
        outcomes += Counter(found["outcomes"])
    assert sum(outcomes.values()) == count
    assert sorted(path.name for path in folder.iterdir()) == [
        "at",
        "convolution.nir",
        "found.json",
        "nested.nir",
        "work",
    ]
    assert not list((folder / "work").iterdir())
    sys.stdout.write(f"seed {SEED}, cases {first} to {first + count - 1}: {dict(outcomes)}\n")
    return outcomes


def test_a_few_hundred_broken_files(tmp_path: Path) -> None:
    outcomes = fuzzed(tmp_path, 0, 200)
    assert outcomes["placed"] >= 20
    assert outcomes["exit 2"] >= 40
    assert outcomes["exit 3"] >= 5


@pytest.mark.slow
def test_ten_thousand_broken_files(tmp_path: Path) -> None:
    outcomes = fuzzed(tmp_path, 1000, 10_000)
    assert outcomes["placed"] + outcomes["read"] >= 1_500
    assert outcomes["placed"] >= 1_000
    assert outcomes["exit 2"] >= 3_000
    assert outcomes["exit 3"] >= 300


def written(folder: Path) -> Path:
    path = folder / "changed.nir"
    path.write_bytes((EXAMPLES / "braille.nir").read_bytes())
    return path


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("r", h5py.SoftLink("/node/nodes/lif2/tau_mem"), "node 'lif2': 'r' is a link to elsewhere"),
        ("r", h5py.ExternalLink("/etc/hostname", "/x"), "node 'lif2': 'r' is a link to elsewhere"),
        ("r", h5py.Empty("f8"), "node 'lif2': r is no array of numbers"),
        ("r", np.ones(7, dtype="c16"), "node 'lif2': r is no array of numbers"),
        ("r", "1.0", "node 'lif2': no CubaLIF"),
        ("r", np.zeros(0), "node 'lif2': its parameters have"),
        ("r", np.ones(8), "node 'lif2': its parameters have"),
        ("tau_mem", np.zeros(7), "node 'lif2': tau_mem has values that are not positive"),
        ("tau_syn", np.full(7, -1e-3), "node 'lif2': tau_syn has values that are not positive"),
        ("v_leak", np.full(7, 0.5), "node 'lif2': v_leak is 0.5, only 0 can be placed"),
        ("type", "Izhikevich", "node 'lif2': unknown type Izhikevich"),
        ("type", "\n" * 60, "node 'lif2': unknown type '"),
        ("extra", 1.0, "node 'lif2': no CubaLIF: "),
    ],
)
def test_what_one_node_may_have_wrong(tmp_path: Path, key: str, value: Any, message: str) -> None:
    path = written(tmp_path)
    with h5py.File(path, "r+") as file:
        node = file["node/nodes/lif2"]
        if key in node:
            del node[key]
        node[key] = value
    with pytest.raises(TrifactorError) as caught:
        from_nir(path, dt=1e-4, reset="zero")
    assert caught.value.message.startswith(message)
    assert "\n" not in caught.value.message


def test_what_a_file_declares_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = written(tmp_path)
    with h5py.File(path, "r+") as file:
        del file["node/nodes/fc1/weight"]
        file.create_dataset("node/nodes/fc1/weight", shape=(1 << 20, 1 << 20), dtype="f8", chunks=(64, 64))
    with pytest.raises(DoesNotFitError, match=f"node 'fc1': weight has {1 << 40} values"):
        from_nir(path, reset="zero")
    with h5py.File(path, "r+") as file:
        file["loop"] = file["node"]
        del file["node/nodes/fc1"]
        file["node/nodes/fc1"] = file["node"]
    with pytest.raises(DoesNotFitError, match=r"graphs in each other|objects"):
        from_nir(path, reset="zero")


def test_files_from_before_graphs_lay_in_graphs_say_so(tmp_path: Path) -> None:
    path = written(tmp_path)
    with h5py.File(path, "r+") as file:
        for key in list(file["node"]):
            file.move(f"node/{key}", key)
        del file["node"], file["version"]
        file["version"] = "0.0.2"
    with pytest.raises(ConfigurationError, match=r"nir 0\.0\.2 wrote it, with its nodes at the root"):
        from_nir(path, reset="zero")
    nir.write(path, lif(3))
    with pytest.raises(ConfigurationError, match="a single LIF, not a NIR graph"):
        from_nir(path, reset="zero")
    with pytest.raises(ConfigurationError, match="a LIF, not a NIR graph"):
        from_nir(lif(3), reset="zero")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="without fork nothing guards")
def test_a_library_that_crashes_or_never_ends_is_survived(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guarded, "CPU_SECONDS", 1)

    def endless() -> None:
        while True:
            pass

    with pytest.raises(ConfigurationError, match="x: the library that reads it never ends"):
        guarded.guarded(endless, "x")
    with pytest.raises(ConfigurationError, match="x: the library that reads it crashes"):
        guarded.guarded(os.abort, "x")
    with pytest.raises(DoesNotFitError, match="too wide") as caught:
        guarded.guarded(lambda: (_ for _ in ()).throw(DoesNotFitError("too wide", "narrow it")), "x")
    assert caught.value.hint == "narrow it"
    assert guarded.guarded(lambda: np.arange(3), "x").tolist() == [0, 1, 2]


def test_a_million_neurons_are_refused_before_their_matrices_are_made() -> None:
    wide = nir.NIRGraph(
        {"i": nir.Input(np.array([1 << 20])), "l": lif(1), "o": nir.Output(np.array([1 << 20]))},
        [("i", "l"), ("l", "o")],
        type_check=False,
    )
    graph = from_nir(wide, dt=1e-4, reset="zero")
    with pytest.raises(DoesNotFitError, match="node 'i' of 1048576 values: a network this large has no place"):
        chain(graph)
    wide.nodes["i"] = nir.Input(np.array([1 << 40]))
    with pytest.raises(ConfigurationError, match=r"node 'i': shape \(1099511627776,\)"):
        from_nir(wide, dt=1e-4, reset="zero")
    nodes = [Node(name="n0", kind="input", shape=(3000,))]
    nodes += [Node(name=f"n{n}", kind="flatten", shape=(3000,), sources=(Source(f"n{n - 1}"),)) for n in range(1, 40)]
    with pytest.raises(DoesNotFitError, match=r"node 'n[0-9]+' of 3000 values"):
        chain(Graph(nodes=tuple(nodes), origin="many"))


def test_graphs_with_too_much_of_something_are_refused() -> None:
    chain_of = {"i": nir.Input(np.array([1]))}
    chain_of |= {f"s{n}": nir.Scale(np.ones(1)) for n in range(1100)} | {"o": nir.Output(np.array([1]))}
    with pytest.raises(DoesNotFitError, match="more than 1024 nodes"):
        from_nir(nir.NIRGraph(chain_of, [*zip(chain_of, list(chain_of)[1:], strict=False)], type_check=False))
    ends = {"i": nir.Input(np.array([1])), "a.b": lif(1), "o": nir.Output(np.array([1]))}
    both = ends | {"a": nir.NIRGraph({"b": lif(1)}, [], type_check=False)}
    with pytest.raises(ConfigurationError, match=r"node 'a\.b': there twice"):
        from_nir(nir.NIRGraph(both, [("i", "a.b"), ("a.b", "o")], type_check=False), reset="zero")
    itself = nir.NIRGraph(dict(ends), [], type_check=False)
    itself.nodes["more"] = itself
    with pytest.raises(DoesNotFitError, match="more than 16 graphs in each other"):
        from_nir(itself, reset="zero")
    for edge in [("i",), "io", 5, ("i", "a.b", "o")]:
        with pytest.raises(ConfigurationError, match="edge"):
            from_nir(nir.NIRGraph(ends, [edge], type_check=False), reset="zero")
    for shape in ([], [0], [-3], [1.5], ["3"], [1] * 9):
        odd = ends | {"i": nir.Input(np.array(shape))}
        with pytest.raises(ConfigurationError, match="node 'i': "):
            from_nir(nir.NIRGraph(odd, [("i", "a.b"), ("a.b", "o")], type_check=False), dt=1e-4, reset="zero")
