# SPDX-License-Identifier: Apache-2.0
"""Errors a person can cause: one line, a hint, and the exit code that the command line returns."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class TrifactorError(Exception):
    """A problem with one clear line, what to do next (`hint`), and an exit code.

    Exit codes: 0 ok, 1 verification mismatch, 2 usage or configuration, 3 network not supported or does not fit,
    4 external tool missing or too old, 5 place-and-route or timing failed, 6 device or link error, 130 interrupted.
    """

    exit_code = 2

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class MismatchError(TrifactorError):
    """Two backends disagree."""

    exit_code = 1


class ConfigurationError(TrifactorError):
    """A value, a key, a shape or a file is wrong."""

    exit_code = 2


class DoesNotFitError(TrifactorError):
    """The network needs more than the array has, or something the array lacks."""

    exit_code = 3


class ToolError(TrifactorError):
    """An external tool is missing, too old, or failed."""

    exit_code = 4


class TimingError(TrifactorError):
    """Place-and-route failed, or timing was not met."""

    exit_code = 5


class DeviceError(TrifactorError):
    """A device or the link to it does not answer as it should."""

    exit_code = 6


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A hint naming the nearest of `known`, or all of them: `did you mean 'lanes'?`."""
    names = sorted(known)
    close = difflib.get_close_matches(word, names, n=1, cutoff=0.5)
    return f"did you mean {close[0]!r}?" if close else f"known: {', '.join(names)}"


def brief(value: object, length: int = 80) -> str:
    """What was given, at a length that a line takes: its first `length` characters."""
    text = str(value)
    return text if len(text) <= length else f"{text[:length]}…"
