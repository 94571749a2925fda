# SPDX-License-Identifier: Apache-2.0
"""Work of a C library on a file that anybody may have written, in a process of its own: it may crash or never end."""

from __future__ import annotations

import faulthandler
import gc
import os
import pickle
import signal
import warnings
from collections.abc import Callable
from typing import NoReturn, TypeVar

from ..arch.errors import ConfigurationError

CPU_SECONDS = 30
SECONDS = 300

Result = TypeVar("Result")


def guarded(work: Callable[[], Result], what: str) -> Result:
    """What `work` returns, or the error that it raises, both pickled.

    Raises `ConfigurationError`, which begins with `what`, if it crashes or takes more than `CPU_SECONDS` of a
    processor's time or `SECONDS` by the clock. Without `fork`, on Windows, it runs unguarded.
    """
    if not hasattr(os, "fork"):
        return work()
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        # Other threads do not go along; the child reads one file and needs none of them.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        os.close(reading)
        _child(work, writing)
    os.close(writing)
    try:
        with os.fdopen(reading, "rb") as pipe:
            answer = pipe.read()
    except BaseException:
        os.kill(child, signal.SIGKILL)
        raise
    finally:
        _, status = os.waitpid(child, 0)
    if status or not answer:
        ended = "never ends" if os.WTERMSIG(status) in (signal.SIGXCPU, signal.SIGALRM) else f"crashes ({status})"
        raise ConfigurationError(f"{what}: the library that reads it {ended}", "the file is damaged: write it anew")
    found, error = pickle.loads(answer)
    if error is not None:
        raise error
    result: Result = found
    return result


def _child(work: Callable[[], Result], writing: int) -> NoReturn:
    """Work, answer, and end without what the parent would do at its end."""
    import resource

    code = 1
    try:
        faulthandler.disable()
        gc.disable()  # a collection would copy the memory that is shared with the parent
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.signal(signal.SIGXCPU, signal.SIG_DFL)
        signal.alarm(SECONDS)
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS + 1))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        try:
            answer = pickle.dumps((work(), None))
        except Exception as error:
            answer = pickle.dumps((None, error))
        with os.fdopen(writing, "wb") as pipe:
            pipe.write(answer)
        code = 0
    finally:
        os._exit(code)
