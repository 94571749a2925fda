# SPDX-License-Identifier: Apache-2.0
"""Where the runs of a sweep happen: on the cores of this machine (joblib), or on a Dask cluster."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import CancelledError
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

from .. import __version__
from ..arch.errors import ConfigurationError, DeviceError, ToolError
from .sweep_points import Point
from .sweep_runs import Failure, Run, run_point

CONNECT_SECONDS = 5
WATCH_SECONDS = 1
KILLED = "its process was killed (out of memory?)"

Results = Generator[Run | Failure, None, None]
"""Results as they come, in any order."""


def on_cores(points: Sequence[Point], data_dir: Path | None, jobs: int) -> Results:
    """Run the points in `jobs` processes at a time; with one job, in this process.

    Where a process is killed, every run that was in work starts again, alone, after the others: the one whose process
    dies then too is a `Failure`.
    """
    waiting = deque(points)
    again: list[Point] = []
    while waiting:
        started: dict[str, Point] = {}

        def tasks(started: dict[str, Point] = started) -> Iterator[Any]:
            while waiting:
                point = waiting.popleft()
                started[point.key] = point
                yield _task(point, data_dir)

        try:
            for result in _in_processes(tasks(), jobs, processes=jobs):
                del started[result.point.key]
                yield result
        except BrokenProcessPool:
            again += started.values()
    for point in again:
        try:
            yield from _in_processes(iter([_task(point, data_dir)]), 1, processes=2)
        except BrokenProcessPool:
            yield Failure(point=point, reason=KILLED, exit_code=DeviceError.exit_code)


def on_cluster(
    points: Sequence[Point], data_dir: Path | None, scheduler: str, say: Callable[[str], None] = lambda text: None
) -> Results:
    """Run the points on the workers of the Dask scheduler at the address `scheduler`; `say` what a person should know.

    A run whose worker dies starts again on another, as often as the scheduler allows; then it is a `Failure`. Raises
    `ToolError` without the package `distributed`, `DeviceError` if the scheduler does not answer, or is lost.
    """
    try:
        from distributed import Client, as_completed
    except ImportError as error:
        raise ToolError(
            "a sweep on a cluster needs distributed, which is not installed", 'pip install "trifactor[cluster]"'
        ) from error
    asyncio.run(_knock(scheduler))
    # What goes wrong from here on becomes one line; the client's log would add pages.
    logging.getLogger("distributed.client").setLevel(logging.CRITICAL)
    with Client(scheduler, timeout=CONNECT_SECONDS, set_as_default=False) as client:
        if not client.scheduler_info(n_workers=-1)["workers"]:
            say(f"the scheduler has no worker yet; start some with: dask worker {scheduler}")
        # Two sweeps on one scheduler must not take each other's runs for their own: their data may differ.
        sweep = uuid.uuid4().hex
        futures = {}
        for point in points:
            name = f"trifactor-{point.key}-{sweep}"
            futures[client.submit(run_point, point, data_dir, __version__, key=name, pure=False)] = point
        for future in as_completed(futures, loop=client.loop):
            try:
                result = future.result()
            except CancelledError as error:
                raise DeviceError(
                    f"the connection to the scheduler at {scheduler} is lost",
                    "finished runs are kept: the same command goes on",
                ) from error
            except Exception as error:
                result = _lost(futures[future], error)
            future.release()
            yield result


async def _knock(scheduler: str) -> None:
    """Raise an error of one line if nothing at this address speaks as a scheduler does, within `CONNECT_SECONDS`.

    A `Client` would say so too, but later, in many lines, and not for every address.
    """
    from distributed.comm import connect

    try:
        line = await connect(scheduler, timeout=CONNECT_SECONDS)
        await line.close()
    except ValueError as error:
        raise ConfigurationError(f"{scheduler!r} is no address of a scheduler", "write tcp://HOST:8786") from error
    except Exception as error:  # what is not a scheduler may answer anything
        raise DeviceError(
            f"no Dask scheduler answers at {scheduler}", "start one with: dask scheduler, and workers with: dask worker"
        ) from error


def _task(point: Point, data_dir: Path | None) -> Any:
    from joblib import delayed

    return delayed(run_point)(point, data_dir)


def _in_processes(tasks: Iterator[Any], jobs: int, *, processes: int) -> Results:
    """Do `tasks`, `jobs` at a time, each with one thread; raises `BrokenProcessPool` when a process dies."""
    from joblib import Parallel, parallel_config

    with parallel_config("loky", inner_max_num_threads=1, initializer=_follow_parent):
        pool = Parallel(n_jobs=processes, return_as="generator_unordered", pre_dispatch=jobs, batch_size=1)
        yield from pool(tasks)


def _follow_parent() -> None:
    """Make this process end soon after the one that started it: a killed sweep leaves nothing running."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(WATCH_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _lost(point: Point, error: Exception) -> Failure:
    """A run that the cluster gave up, or whose result could not be brought over."""
    if type(error).__name__ == "KilledWorker":
        return Failure(point=point, reason="every worker that it ran on was killed", exit_code=DeviceError.exit_code)
    return Failure.of(point, error)
