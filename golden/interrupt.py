# SPDX-License-Identifier: Apache-2.0
"""Ctrl-C, held back until no sample is half learned."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any, Self


class HeldInterrupt:
    """Holds the first Ctrl-C back until `check`, so that no sample is left half learned; a second one acts at once."""

    def __init__(self) -> None:
        self._pending = False
        self._previous: Any = None

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._previous = signal.signal(signal.SIGINT, self._hold) or signal.default_int_handler
        return self

    def __exit__(self, *exception: object) -> None:
        self._release()

    def check(self) -> None:
        """Raise what was held back."""
        if self._pending:
            self._pending = False
            raise KeyboardInterrupt

    def _hold(self, number: int, frame: FrameType | None) -> None:
        self._pending = True
        self._release()

    def _release(self) -> None:
        if self._previous is not None:
            signal.signal(signal.SIGINT, self._previous)
