# SPDX-License-Identifier: Apache-2.0
"""What benches that answer calls of a `session.Session` share."""

from __future__ import annotations

import json
import os
import traceback
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from ..arch.array import ArrayConfig
from ..arch.errors import TrifactorError


@dataclass(frozen=True, kw_only=True)
class Job:
    """The array in the simulation, the file descriptor that calls come from, and the bench's own settings."""

    array: ArrayConfig
    pipe: int
    settings: dict[str, Any]


def job() -> Job:
    """The job of this process, from its environment."""
    given = json.loads(os.environ["TRIFACTOR_SESSION"])
    return Job(array=ArrayConfig.model_validate(given["array"]), pipe=given["pipe"], settings=given["settings"])


async def answer_calls(driver: Any, work: Job) -> None:
    """Call methods of `driver` until the other side hangs up.

    A call is `(method, arguments)`, an answer `("ok", result)`, `("trouble", error)` or `("crash", traceback)`.
    """
    with Connection(work.pipe) as connection:
        while True:
            try:
                method, arguments = connection.recv()
            except (EOFError, ConnectionResetError):
                return
            answer: tuple[Any, ...]
            try:
                answer = ("ok", await getattr(driver, method)(**arguments))
            except TrifactorError as error:
                answer = ("trouble", error)
            except Exception:
                answer = ("crash", traceback.format_exc())
            connection.send(answer)
