# SPDX-License-Identifier: Apache-2.0
"""Runs in processes and on a cluster that lose some on the way: every result arrives, and none is made twice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("joblib")

from trifactor.arch.array import ArrayConfig
from trifactor.arch.errors import ConfigurationError, DeviceError, ToolError
from trifactor.host import sweep_pool
from trifactor.host.cli import call
from trifactor.host.config import LearnConfig
from trifactor.host.sweep_points import Point, checked_axes, grid_of
from trifactor.host.sweep_pool import on_cluster, on_cores
from trifactor.host.sweep_runs import Failure, Run

START_SECONDS = 60


def points(count: int) -> list[Point]:
    return grid_of(LearnConfig(), ArrayConfig(), checked_axes({"seeds": list(range(count))}, "x")).points


def working(folder: Path, deadly: int) -> Callable[..., Run]:
    """Stands in for `run_point`: notes each start in `folder`; the process that gets the seed `deadly` dies."""

    def work(point: Point, data_dir: Path | None) -> Run:
        (folder / f"{point.seed}-{os.getpid()}-{time.monotonic_ns()}").touch()
        if point.seed == deadly:
            time.sleep(0.3)
            os.kill(os.getpid(), signal.SIGKILL)
        return Run(version="0", point=point, accuracies=(0.5,), samples=1, seconds=1, counted=1, counters={})

    return work


def starts(folder: Path) -> list[int]:
    return sorted(int(path.name.split("-")[0]) for path in folder.iterdir())


@pytest.mark.parametrize("jobs", [1, 2])
def test_every_point_runs_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jobs: int) -> None:
    monkeypatch.setattr(sweep_pool, "run_point", working(tmp_path, deadly=-1))
    results = list(on_cores(points(5), None, jobs))
    assert sorted(result.point.seed for result in results) == starts(tmp_path) == [0, 1, 2, 3, 4]
    assert all(isinstance(result, Run) for result in results)


def test_a_run_that_kills_its_process_is_the_only_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep_pool, "run_point", working(tmp_path, deadly=2))
    results = {result.point.seed: result for result in on_cores(points(6), None, 2)}
    assert sorted(results) == [0, 1, 2, 3, 4, 5]
    (failure,) = (result for result in results.values() if isinstance(result, Failure))
    assert failure.point.seed == 2
    assert failure.reason == "its process was killed (out of memory?)"
    again = [seed for seed in set(starts(tmp_path)) if starts(tmp_path).count(seed) > 1]
    assert 2 in again
    assert len(again) <= 2, "only what was in work when the process died starts again"


def test_without_distributed_the_command_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ToolError, match="distributed") as caught:
        next(on_cluster(points(1), None, "tcp://127.0.0.1:8786"))
    assert caught.value.exit_code == 4
    assert caught.value.hint == 'pip install "trifactor[cluster]"'


def test_no_scheduler_is_one_line_within_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed", reason="distributed is not installed")
    monkeypatch.setattr(sweep_pool, "CONNECT_SECONDS", 0.5)
    with pytest.raises(DeviceError, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1:1") as caught:
        next(on_cluster(points(1), None, "tcp://127.0.0.1:1"))
    assert caught.value.exit_code == 6
    for address in ("", "nonsense://", "127.0.0.1"):
        with pytest.raises(ConfigurationError, match="is no address of a scheduler"):
            next(on_cluster(points(1), None, address))


@contextmanager
def cluster(folder: Path, *, allowed_failures: int) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """A scheduler on loopback and two worker processes of one thread each; its address, and the workers."""
    file = folder / "scheduler.json"
    environment = {**os.environ, "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": str(allowed_failures)}
    started: list[subprocess.Popen[bytes]] = []

    def start(what: str, *words: str) -> None:
        command = [sys.executable, "-m", f"distributed.cli.dask_{what}", "--scheduler-file", str(file)]
        command += ["--no-dashboard", "--host", "127.0.0.1", *words]
        with (folder / "cluster.log").open("ab") as log:
            started.append(subprocess.Popen(command, stdout=log, stderr=log, env=environment, cwd=folder))

    try:
        start("scheduler", "--port", "0")
        until(file.exists)
        for _ in range(2):
            start("worker", "--nthreads", "1", "--no-nanny")
        yield json.loads(file.read_text())["address"], started[1:]
    finally:
        for process in started:
            process.kill()
            process.wait()


def until(there: Callable[[], Any]) -> None:
    end = time.monotonic() + START_SECONDS
    while not there():
        assert time.monotonic() < end, "it did not start in time"
        time.sleep(0.02)


@pytest.mark.slow
@pytest.mark.parametrize("allowed_failures", [3, 0])
def test_a_killed_worker_loses_nothing_that_was_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], allowed_failures: int
) -> None:
    distributed = pytest.importorskip("distributed", reason="distributed is not installed")
    monkeypatch.chdir(tmp_path)
    words = ["--layers", "64-16-10", "--axis", "steps=3", "--epochs", "1", "--limit", "400"]
    words += ["--seeds", "1,2,3,4,5,6,7,8", "--json"]
    kept = Path("sweep/runs")
    before: dict[str, int] = {}
    with (
        cluster(tmp_path, allowed_failures=allowed_failures) as (address, workers),
        distributed.Client(address, timeout=START_SECONDS, set_as_default=False) as watching,
    ):
        watching.wait_for_workers(2, timeout=START_SECONDS)

        def kill_one_at_work() -> None:
            until(lambda: kept.exists() and len(list(kept.glob("[!.]*.json"))) >= 2)
            before.update((path.name, path.stat().st_mtime_ns) for path in kept.glob("[!.]*.json"))
            busy = [name for name, keys in watching.processing().items() if keys]
            pids = watching.run(os.getpid, workers=busy)
            os.kill(next(iter(pids.values())), signal.SIGKILL)

        killer = threading.Thread(target=kill_one_at_work)
        killer.start()
        code = call(["sweep", *words, "--scheduler", address])
        killer.join()
        made = watching.run_on_scheduler(
            lambda dask_scheduler: [
                entry[0]
                for entry in dask_scheduler.transition_log
                if (entry[1], entry[2]) == ("processing", "memory") and str(entry[0]).startswith("trifactor-")
            ]
        )
        assert sorted(worker.poll() is None for worker in workers) == [False, True], "one worker was to die"
        captured = capsys.readouterr()
        result = json.loads(captured.out)
        assert len(made) == len(set(made)) == len(result["runs"]), "a finished run was done again"
        if allowed_failures:
            assert code == 0, captured.err
        else:
            assert code == 6
            # The scheduler blames what was queued at the worker as well as what was in work.
            assert {one["reason"] for one in result["failures"]} == {"every worker that it ran on was killed"}
            assert 1 <= len(result["failures"]) <= 3
            assert call(["sweep", *words, "--scheduler", address]) == 0
            result = json.loads(capsys.readouterr().out)
    assert sorted(run["settings"]["seed"] for run in result["runs"]) == [1, 2, 3, 4, 5, 6, 7, 8]
    assert len(before) >= 2
    assert {name: (kept / name).stat().st_mtime_ns for name in before} == before
