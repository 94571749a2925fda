# SPDX-License-Identifier: Apache-2.0
"""`trifactor init`: a folder with a network, a configuration, a sample and the commands to run next."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer

from ..arch.errors import ConfigurationError
from ..arch.files import written_whole
from .config import check_choice
from .options import Json, Verbose
from .output import Output

CONFIG = "trifactor.toml"
MODEL = "model.tri"

LIF = "--dt 1e-4 --reset zero"
BRAILLE = "--reset zero"


@dataclass(frozen=True, kw_only=True)
class Example:
    """What a folder begins with: `copied` files of `host/examples`, `config`, and `commands` with what each is for."""

    title: str
    config: str
    copied: tuple[str, ...]
    commands: tuple[tuple[str, str], ...]


def _imported(name: str, words: str) -> tuple[tuple[str, str], ...]:
    """The commands of a network that a NIR file brings."""
    network, sample = f"{name}.nir {words}", f"{name}_sample.npz"
    return (
        ("what is in the file, as a drawing", f"trifactor show {name}.nir --dt 1e-4 --out {name}.svg"),
        ("whether the array can do it", f"trifactor check {network} --config {CONFIG} --input {sample}"),
        (
            "the same in integers, and which spikes that changes",
            f"trifactor quantize {network} --config {CONFIG} --calib {sample} --out {MODEL}",
        ),
        ("run it; --device verilator is the hardware", f"trifactor run --model {MODEL} --input {sample}"),
        ("how many bits it takes", f"trifactor quantize {network} --config {CONFIG} --calib {sample} --sweep 4..8"),
    )


EXAMPLES = {
    "lif": Example(
        title="One LIF neuron, recorded on nine simulators and chips",
        config="[array]\nlanes = 1\nweight_bits = 8\ndecay_bits = 12\n",
        copied=("lif.nir", "lif_sample.npz"),
        commands=_imported("lif", LIF),
    ),
    "braille": Example(
        title="Braille letters: 12-38-7, recurrent, trained in snnTorch",
        config="[array]\nlanes = 8\nweight_bits = 8\ndecay_bits = 12\n"
        'units = ["cuba", "recurrent", "bias", "thresholds"]\n',
        copied=("braille.nir", "braille_sample.npz"),
        commands=_imported("braille", BRAILLE),
    ),
    "digits": Example(
        title="8x8 digits, learned one sample at a time",
        config='[array]\nlanes = 4\n\n[learn]\ndataset = "digits"\nlayers = "64-32-10"\nepochs = 3\n',
        copied=(),
        commands=(
            ("learn, on the golden model", f"trifactor learn --config {CONFIG} --out {MODEL}"),
            ("what was learned by which rule", f"trifactor show {MODEL} --out digits.svg"),
            ("how many of the unseen digits it knows", f"trifactor run --model {MODEL}"),
            ("that the hardware does the same to the bit", f"trifactor verify --model {MODEL} --limit 5"),
            ("what learning costs by each rule", "trifactor costs"),
        ),
    ),
}


def init(
    folder: Annotated[Path, typer.Argument(help="Folder to make.", metavar="[DIR]")] = Path(),
    example: Annotated[str, typer.Option(help=f"What to begin with: {', '.join(EXAMPLES)}.")] = "digits",
    force: Annotated[
        bool, typer.Option("--force", help="Into a folder that is not empty; files of the same names are replaced.")
    ] = False,
    json_output: Json = False,
    verbose: Verbose = 0,
) -> None:
    """Make a folder with a network, a configuration and a sample, and a README with five commands that work in it.

    With --force files of these names are replaced; nothing else is ever touched.
    """
    output = Output(as_json=json_output, verbosity=verbose)
    chosen = EXAMPLES[check_choice(example, tuple(EXAMPLES), "example")]
    content = {"README.md": _readme(chosen).encode(), CONFIG: chosen.config.encode()}
    examples = files(__package__).joinpath("examples")
    content |= {name: examples.joinpath(name).read_bytes() for name in chosen.copied}
    if chosen.copied:
        content["LICENSE-NIR"] = examples.joinpath("LICENSE").read_bytes()
    _check(folder, force)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"{folder}: {error.strerror}", "name a folder that can be made") from error
    for name, data in content.items():
        with written_whole(folder / name) as file:
            file.write(data)
    output.line(f"{folder}: {', '.join(content)}")
    if folder.resolve() != Path.cwd():
        output.line(f"cd {folder}")
    for _, command in chosen.commands:
        output.line(command)
    commands = [command for _, command in chosen.commands]
    output.result({"folder": str(folder), "example": example, "files": list(content), "commands": commands})


def _check(folder: Path, force: bool) -> None:
    """Refuse to mix with what is there."""
    if folder.exists() and not folder.is_dir():
        raise ConfigurationError(f"{folder}: not a folder", "name a folder that does not exist yet")
    if folder.exists() and any(folder.iterdir()) and not force:
        raise ConfigurationError(f"{folder}: not empty", "name another folder, or write into this one with --force")


def _readme(example: Example) -> str:
    """What to type next."""
    lines = [f"# {example.title}", ""]
    for what, command in example.commands:
        lines += [f"{what[0].upper()}{what[1:]}:", "", "```sh", command, "```", ""]
    if example.copied:
        lines += [
            "The network and its recordings belong to NIR, <https://github.com/neuromorphs/NIR>: see LICENSE-NIR.",
            "",
        ]
    return "\n".join(lines)
