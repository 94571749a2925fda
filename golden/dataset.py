# SPDX-License-Identifier: Apache-2.0
"""What a data set is, and the folder that the data sets are read from."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from ..arch.errors import ConfigurationError

Values = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int64]

DATA_VARIABLE = "TRIFACTOR_DATA"
FETCH = "the file is damaged: fetch it again"


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """Samples in a fixed order.

    `images`: inputs are (N, pixels), intensities 0 … 255, still to be coded. `events`: (N, T, inputs), 0 or 1.
    Labels are 0 … classes - 1. `shape` is that of one image or of one step's events.
    """

    name: str
    kind: Literal["images", "events"]
    classes: int
    shape: tuple[int, ...]
    train_inputs: Values
    train_labels: Labels
    test_inputs: Values
    test_labels: Labels

    @property
    def inputs(self) -> int:
        """Axons that a sample needs."""
        return int(self.train_inputs.shape[-1])


def data_folder(data_dir: str | Path | None, names: tuple[str, ...], what: str) -> Path:
    """The first of `names` that is a folder in `data_dir` or, without one, in the environment's TRIFACTOR_DATA.

    Raises `ConfigurationError` where there is none, which calls the data set `what`.
    """
    given = data_dir if data_dir is not None else os.environ.get(DATA_VARIABLE)
    if not given:
        raise ConfigurationError(
            f"{what} needs a data folder", f"set {DATA_VARIABLE} to the folder that holds {names[-1]}"
        )
    for name in names:
        if (folder := Path(given) / name).is_dir():
            return folder
    raise ConfigurationError(f"no folder {Path(given) / names[-1]}", f"{what} is looked for there; see {DATA_VARIABLE}")


def data_file(folder: Path, stem: str, hint: str) -> Path:
    """The file `stem` in `folder`, or `stem.gz`; raises `ConfigurationError` with `hint` where there is neither."""
    for name in (stem, f"{stem}.gz"):
        if (folder / name).is_file():
            return folder / name
    raise ConfigurationError(f"no file {folder / stem} nor {stem}.gz", hint)


def fixed_order(count: int) -> npt.NDArray[np.intp]:
    """A permutation that never changes: it sorts the raw stream of PCG64, which numpy promises to keep."""
    return np.argsort(np.random.PCG64(0).random_raw(count), kind="stable")
