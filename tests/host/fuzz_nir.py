# SPDX-License-Identifier: Apache-2.0
"""Worker of test_fuzz.py: mutated NIR files through everything that reads one. A crash of it is a finding, too.

`python fuzz_nir.py SEED FIRST COUNT FOLDER FILE…` writes FOLDER/at, the case under way, and FOLDER/found.json.
"""

from __future__ import annotations

import json
import random
import resource
import shutil
import signal
import sys
import traceback
import warnings
from collections import Counter
from contextlib import redirect_stderr, redirect_stdout, suppress
from io import StringIO
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from trifactor.arch.errors import TrifactorError
from trifactor.arch.graph import Graph
from trifactor.golden.chain import chain
from trifactor.golden.quantise import quantise
from trifactor.host import guarded
from trifactor.host.cli import call
from trifactor.host.nir import from_nir

SECONDS = 60
MEMORY = 8 << 30
WORDS = (b"\xff" * 8, b"\x00" * 8, b"\xff\xff\xff\x7f", b"\x00\x00\x00\x80", (1 << 40).to_bytes(8, "little"), b"\x01")
NUMBERS = (0.0, -0.0, -1.0, 1e-310, 1e-30, 1e30, 1e308, -1e308, np.nan, np.inf, -np.inf, 1e-4, 0.5, 65536.0)
SHAPES = (
    (),
    (0,),
    (1,),
    (2,),
    (38,),
    (1, 38),
    (38, 1),
    (38, 12),
    (3, 0),
    (1, 1, 1, 1, 1),
    (1 << 40,),
    (1 << 20, 1 << 20),
)
TYPES = ("LIF", "IF", "LI", "I", "CubaLI", "CubaLIF", "Linear", "Affine", "Scale", "Delay", "Threshold", "Flatten",
         "Conv1d", "Conv2d", "SumPool2d", "Input", "Output", "NIRGraph", "NIRNode", "", "Lif", "x" * 500)  # fmt: skip
NAMES = ("a.b", "input", "new", "line\nbreak", "ü", "..", "x" * 300)
DTYPES = ("f2", "f4", "f8", "i1", "i8", "u8", "?", "c16", "S4", "f16")


def damaged(content: bytes, rng: random.Random) -> bytes:
    """The bytes of a file with one or two things done to them."""
    data = bytearray(content)
    for _ in range(rng.randint(1, 2)):
        # Half of what is hit lies where the file's own structure does, not its numbers.
        at = rng.randrange(max(1, len(data) if rng.random() < 0.5 else min(len(data), 4096)))
        size = rng.choice((1, 2, 4, 8, 64, 512))
        what = rng.randrange(9)
        if what <= 2 and data:
            data[min(at, len(data) - 1)] ^= 1 << rng.randrange(8)
        elif what == 3:
            word = rng.choice(WORDS)
            data[at : at + len(word)] = word
        elif what == 4:
            data[at : at + size] = rng.randbytes(size)
        elif what == 5:
            del data[at : at + size]
        elif what == 6:
            data[at:at] = rng.randbytes(size)
        elif what == 7:
            data[at:at] = data[at : at + size]
        elif rng.random() < 0.3:
            del data[at:]
    return bytes(data)


def restructured(path: Path, rng: random.Random) -> None:
    """Do one or two things to what an intact file says."""
    with h5py.File(path, "r+") as file, np.errstate(all="ignore"):
        for _ in range(rng.randint(1, 2)):
            found: list[str] = []
            file.visit(found.append)
            data = [name for name in found if isinstance(file.get(name), h5py.Dataset)]
            groups = [name for name in found if isinstance(file.get(name), h5py.Group)]
            if not data:
                return
            with suppress(IndexError, KeyError, OSError, RuntimeError, TypeError, ValueError):
                rng.choice(CHANGES)(file, data, groups, rng)


def replace(file: h5py.File, name: str, *words: Any, **more: Any) -> None:
    del file[name]
    file.create_dataset(name, *words, **more)


def numbers_of(file: h5py.File, data: list[str]) -> list[str]:
    return [name for name in data if file[name].dtype.kind in "fiu" and file[name].size and file[name].size < 1 << 20]


def change_values(file: h5py.File, data: list[str], groups: list[str], rng: random.Random) -> None:
    name = rng.choice(numbers_of(file, data) or data)
    if file[name].dtype.kind not in "fiu" or not file[name].size or file[name].size > 1 << 20:
        return
    value = np.array(file[name][()], dtype=np.float64)
    value.flat[rng.randrange(value.size) if rng.random() < 0.5 else slice(None)] = rng.choice(NUMBERS)
    replace(file, name, data=value)


def change_scale(file: h5py.File, data: list[str], groups: list[str], rng: random.Random) -> None:
    name = rng.choice(numbers_of(file, data) or data)
    if file[name].dtype.kind == "f" and file[name].size < 1 << 20:
        replace(file, name, data=file[name][()] * rng.choice((-1, 0.5, 2, 1e3, 1e-3, 1e10)))


def change_shape(file: h5py.File, data: list[str], groups: list[str], rng: random.Random) -> None:
    name, shape = rng.choice(data), rng.choice(SHAPES)
    if np.prod(shape, dtype=float) > 1 << 20:
        replace(file, name, shape=shape, dtype="f8", chunks=tuple(min(size, 64) for size in shape))
    elif rng.random() < 0.2:
        replace(file, name, data=h5py.Empty("f8"))
    else:
        replace(file, name, data=np.full(shape, rng.choice((1.0, 0.5, 1e-3))))


def change_type(file: h5py.File, data: list[str], groups: list[str], rng: random.Random) -> None:
    name = rng.choice(numbers_of(file, data) or data)
    if file[name].dtype.kind in "fiu" and file[name].size < 1 << 20:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            replace(file, name, data=np.array(file[name][()]).astype(rng.choice(DTYPES)))


def change_to_text(file: h5py.File, data: list[str], groups: list[str], rng: random.Random) -> None:
    replace(file, rng.choice(data), data=rng.choice(("1.0", "same", "nan", "LIF", "\n" * 9, "ü")))


def remove(file: h5py.File, data: list[str], groups: list[str], rng: random.Random) -> None:
    del file[rng.choice(data + groups)]


def rename(file: h5py.File, data: list[str], groups: list[str], rng: random.Random) -> None:
    nodes = [name for name in groups if "/nodes/" in name] or groups
    name = rng.choice(nodes)
    new = name.rsplit("/", 1)[0] + "/" + rng.choice(NAMES)
    if new not in file:
        file.move(name, new)


def change_kind(file: h5py.File, data: list[str], groups: list[str], rng: random.Random) -> None:
    kinds = [name for name in data if name.endswith("/type")]
    if kinds:
        replace(file, rng.choice(kinds), data=rng.choice(TYPES), dtype=h5py.string_dtype())


def change_edges(file: h5py.File, data: list[str], groups: list[str], rng: random.Random) -> None:
    edges = [name for name in data if name.endswith("edges") and file[name].ndim == 2 and file[name].dtype.kind == "O"]
    if not edges:
        return
    name = rng.choice(edges)
    pairs = [list(pair) for pair in file[name].asstr()[()].tolist()]
    inside = name.rsplit("/", 1)[0] + "/nodes"
    nodes = [*(file[inside] if isinstance(file.get(inside), h5py.Group) else []), "nobody"]
    what = rng.randrange(5)
    if what == 0:
        pairs.append([rng.choice(nodes), rng.choice(nodes)])
    elif what == 1:
        pairs.append(rng.choice(pairs))
    elif what == 2:
        pairs.pop(rng.randrange(len(pairs)))
    elif what == 3:
        rng.choice(pairs)[rng.randrange(2)] = rng.choice(nodes)
    else:
        pairs.append([rng.choice(nodes)] * 2)
    replace(file, name, data=np.array(pairs, dtype=object).reshape(-1, 2), dtype=h5py.string_dtype())


def add_extra(file: h5py.File, data: list[str], groups: list[str], rng: random.Random) -> None:
    inside = rng.choice(groups)
    where = f"{inside}/{rng.choice(('extra', 'metadata', 'v_reset', 'type_check', 'bias', 'r'))}"
    if where not in file:
        file[where] = rng.choice((1.0, "x", np.zeros(38), np.full(7, 0.25)))
    file[inside].attrs["note"] = rng.choice((1, "x" * 1000, np.zeros(3)))


def add_link(file: h5py.File, data: list[str], groups: list[str], rng: random.Random) -> None:
    name, target = rng.choice(data + groups), rng.choice(data + groups)
    links = (
        lambda: h5py.SoftLink(f"/{target}"),
        lambda: h5py.SoftLink(f"/{name}"),
        lambda: h5py.ExternalLink("/etc/hostname", "/node"),
        lambda: h5py.ExternalLink(file.filename, "/node"),
        lambda: file[target],
        lambda: file["/"],
    )
    made = rng.choice(links)()
    del file[name]
    file[name] = made


def nest(file: h5py.File, data: list[str], groups: list[str], rng: random.Random) -> None:
    """A copy of the graph inside itself, so that graphs lie in graphs."""
    nodes = [name for name in groups if name.count("/") >= 2 and "/nodes/" in name]
    if nodes and len(found := file["node"]) and len(found) < 40 and len(data) < 500:
        name = rng.choice(nodes)
        file.copy("node", "copy")
        del file[name]
        file.move("copy", name)


def unnest(file: h5py.File, data: list[str], groups: list[str], rng: random.Random) -> None:
    """As files were before nir had graphs in graphs."""
    for key in list(file["node"]) if isinstance(file.get("node"), h5py.Group) else []:
        if key not in file:
            file.move(f"node/{key}", key)
    if "node" in file and rng.random() < 0.8:
        del file["node"]


CHANGES = (
    *(change_values, change_scale, change_shape, change_type, change_edges, change_kind) * 2,
    *(change_to_text, remove, rename, add_extra, add_link, nest, unnest),
)


def mutated(folder: Path, sources: list[Path], seed: int, index: int) -> tuple[Path, random.Random]:
    """The file of one case."""
    rng = random.Random(f"{seed}-{index}")
    path = folder / "case.nir"
    source = rng.choice(sources)
    if rng.random() < 0.4:
        path.write_bytes(damaged(source.read_bytes(), rng))
    else:
        shutil.copyfile(source, path)
        restructured(path, rng)
    return path, rng


def tried(path: Path, rng: random.Random) -> str:
    """What became of a file: read, placed, or which exit code; anything but an error of ours is raised."""
    words: dict[str, Any] = {"reset": rng.choice(("zero", "subtract", "none", "delayed-zero"))}
    if rng.random() < 0.7:
        words["dt"] = 1e-4
    options = [word for key, value in words.items() for word in (f"--{key}", str(value))]
    try:
        graph = from_nir(path, **words)
    except TrifactorError as error:
        _one_line(error)
        outcome = f"exit {error.exit_code}"
        if "library that reads it" in error.message:
            return "guarded"
    else:
        assert isinstance(graph, Graph)
        outcome = "read"
        try:
            chain(graph)
            quantise(graph, method=rng.choice(("channel", "global", "pow2")))
            outcome = "placed"
        except TrifactorError as error:
            _one_line(error)
    before = sorted(path.parent.iterdir())
    out = path.parent / "out.tri"
    command = (
        ["quantize", str(path), *options, "--out", str(out)] if rng.random() < 0.7 else ["check", str(path), *options]
    )
    if rng.random() < (0.05 if outcome == "exit 2" else 0.5):
        said, errors = StringIO(), StringIO()
        with redirect_stdout(said), redirect_stderr(errors):
            code = call(command)
        assert code in (0, 2, 3), (command, code, errors.getvalue())
        assert "Traceback" not in errors.getvalue()
        assert out.exists() == (command[0] == "quantize" and code == 0), (command, code)
        out.unlink(missing_ok=True)
    assert sorted(path.parent.iterdir()) == before
    return outcome


def _one_line(error: TrifactorError) -> None:
    assert error.exit_code in (2, 3), error.exit_code
    assert error.message.strip(), error
    assert "\n" not in error.message, error
    assert len(error.message) < 2000, error


def main() -> None:
    seed, first, count = (int(word) for word in sys.argv[1:4])
    folder, sources = Path(sys.argv[4]), [Path(word) for word in sys.argv[5:]]
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    warnings.simplefilter("error")
    guarded.CPU_SECONDS = 2
    outcomes: Counter[str] = Counter()
    failures = []
    work = folder / "work"
    work.mkdir(exist_ok=True)
    for index in range(first, first + count):
        (folder / "at").write_text(str(index))
        signal.alarm(SECONDS)
        path, rng = mutated(work, sources, seed, index)
        try:
            outcomes[tried(path, rng)] += 1
        except Exception as error:  # whatever it is, it is the finding
            where = traceback.extract_tb(error.__traceback__)[-1]
            failures.append((index, f"{where.filename}:{where.lineno}: {type(error).__name__}: {error}"[:500]))
        path.unlink()
    signal.alarm(0)
    (folder / "found.json").write_text(json.dumps({"outcomes": outcomes, "failures": failures}))


if __name__ == "__main__":
    main()
