# SPDX-License-Identifier: Apache-2.0
"""How the samples of a data set become integers at time steps: a setting that is stored with a trained network."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from ..arch.device import IntArray
from ..arch.errors import ConfigurationError
from .encode import bernoulli, graded


class Coding(BaseModel):
    """`bernoulli`: an intensity is a spike's probability at each step. `graded`: its upper `bits` bits at each step.
    `events`: the samples are steps already.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["bernoulli", "graded", "events"] = "bernoulli"
    steps: int = Field(default=6, ge=1, le=1024, description="time steps per sample")
    bits: int = Field(default=1, ge=1, le=8, description="bits of a graded value")

    def encode(self, inputs: npt.NDArray[Any], seed: int, samples: npt.ArrayLike) -> IntArray:
        """Samples of `Dataset` inputs, coded: (B, steps, inputs).

        `samples` are their B numbers, which together with `seed` decide every Bernoulli spike. Raises
        `ConfigurationError` if the inputs are not of this kind.
        """
        expected = 3 if self.kind == "events" else 2
        if inputs.ndim != expected:
            raise ConfigurationError(f"{self.kind} coding takes arrays of {expected} dimensions, not {inputs.ndim}")
        if self.kind == "bernoulli":
            return bernoulli(inputs, seed, samples, self.steps)
        if self.kind == "graded":
            return graded(inputs, self.bits, self.steps)
        if inputs.shape[1] != self.steps:
            raise ConfigurationError(
                f"samples have {inputs.shape[1]} steps, the coding {self.steps}", "load the data with the same steps"
            )
        return inputs.astype(np.int64)
